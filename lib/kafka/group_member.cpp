#include "lib/kafka/group_member.hpp"

#include "lib/kafka/event.hpp"
#include "lib/kafka/partition_list.hpp"

namespace crossfade::kafka {

namespace {

std::map<std::string, std::string> properties_for(const settings::kafka& config, const std::string& group) {
    std::map<std::string, std::string> properties{
        {"group.id", group},
        {"enable.auto.commit", "false"},
        {"enable.auto.offset.store", "false"},
        {"allow.auto.create.topics", "false"},
        {"partition.assignment.strategy", "cooperative-sticky"},
    };
    // How long the partitions of a member that was killed wait. Brokers allow 6 s and more unless told otherwise.
    if (!config.properties.contains("session.timeout.ms")) properties.emplace("session.timeout.ms", "10000");
    return properties;
}

}  // namespace

result<std::unique_ptr<group_member>> group_member::join(const settings::kafka& config, const std::string& topic,
                                                         const std::string& group, handlers tell) {
    std::unique_ptr<group_member> made{new group_member{topic, std::move(tell)}};
    auto client = make_client(RD_KAFKA_CONSUMER, config, properties_for(config, group), {&rebalanced, made.get()});
    if (!client) return client.error();
    made->client_ = std::move(*client);
    const auto wanted = one_partition(topic, RD_KAFKA_PARTITION_UA, RD_KAFKA_OFFSET_INVALID);
    const auto code = rd_kafka_subscribe(made->client_.get(), wanted.get());
    if (code != RD_KAFKA_RESP_ERR_NO_ERROR) return failure_of(made->client_.get(), code);
    return made;
}

group_member::~group_member() {
    if (client_) rd_kafka_consumer_close(client_.get());
}

result<void> group_member::poll(std::chrono::milliseconds timeout) {
    auto trouble = drain(client_.get());
    const message_handle come{rd_kafka_consumer_poll(client_.get(), static_cast<int>(timeout.count()))};
    if (come && come->err != RD_KAFKA_RESP_ERR_NO_ERROR && !trouble) {
        trouble = failure_of(client_.get(), come->err);
        if (!trouble->fatal) trouble->message = rd_kafka_message_errstr(come.get());
    }
    if (trouble) return *trouble;
    return {};
}

bool group_member::admitted() const {
    struct free_text {
        void operator()(char* of) const { rd_kafka_mem_free(nullptr, of); }
    };
    const std::unique_ptr<char, free_text> id{rd_kafka_memberid(client_.get())};
    return id && *id != '\0';
}

void group_member::note_offsets(const std::map<std::int32_t, std::int64_t>& next) {
    const list_handle list{rd_kafka_topic_partition_list_new(static_cast<int>(next.size()))};
    for (const auto& [partition, offset] : next)
        rd_kafka_topic_partition_list_add(list.get(), topic_.c_str(), partition)->offset = offset;
    // Asynchronous, and nobody relies on it: an error here is not worth a word.
    if (list->cnt > 0) static_cast<void>(rd_kafka_commit(client_.get(), list.get(), 1));
}

void group_member::rebalanced(rd_kafka_t* client, rd_kafka_resp_err_t code, rd_kafka_topic_partition_list_t* which,
                              void* self) {
    const auto& tell = static_cast<group_member*>(self)->tell_;
    partitions numbers;
    for (int i = 0; i < which->cnt; ++i) numbers.push_back(which->elems[i].partition);
    // An error here is one of the group's, which then begins anew.
    if (code == RD_KAFKA_RESP_ERR__ASSIGN_PARTITIONS) {
        // At the end, and paused at once: others read.
        for (int i = 0; i < which->cnt; ++i) which->elems[i].offset = RD_KAFKA_OFFSET_END;
        rd_kafka_error_destroy(rd_kafka_incremental_assign(client, which));
        static_cast<void>(rd_kafka_pause_partitions(client, which));
        tell.given(numbers);
    } else {
        tell.taken(numbers);
        rd_kafka_error_destroy(rd_kafka_incremental_unassign(client, which));
    }
}

}  // namespace crossfade::kafka
