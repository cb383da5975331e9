#include "tests/integration/capture/rig.hpp"

#include <stdexcept>

#include "lib/events/codec.hpp"
#include "lib/kafka/consumer.hpp"
#include "lib/kafka/producer.hpp"
#include "tests/support/eventually.hpp"

namespace crossfade::proxy::capture {

using namespace std::chrono_literals;

support::postgres_cluster& legacy() {
    static support::postgres_cluster cluster;
    if (!cluster.running()) cluster.restart();
    return cluster;
}

stream_fixture::stream_fixture(std::string name, settings::kafka kafka, support::postgres_cluster& source)
    : source_(source), settings_(std::make_shared<settings::in_force>()) {
    auto& config = settings_->config;
    config.legacy.dsn = source.dsn();
    config.kafka = std::move(kafka);
    config.stream.name = std::move(name);
    config.stream.heartbeat_interval = 200ms;
    sql("CREATE SCHEMA " + stream().name + "; CREATE PUBLICATION " + stream().publication());
}

stream_fixture::~stream_fixture() {
    try {
        support::eventually(10s, [&] { return !slot_active(); });
        sql("SELECT pg_drop_replication_slot(slot_name) FROM pg_replication_slots WHERE slot_name = '" +
            stream().slot() + "'");
        sql("DROP PUBLICATION " + stream().publication() + "; DROP SCHEMA " + stream().name + " CASCADE");
    } catch (const std::exception&) {
        // The cluster goes with the suite.
    }
}

void stream_fixture::table(const std::string& name, const std::string& columns, const std::string& more_sql) {
    const auto qualified = stream().name + '.' + name;
    sql("CREATE TABLE " + qualified + " (" + columns + "); ALTER PUBLICATION " + stream().publication() +
        " ADD TABLE " + qualified + "; " + more_sql);
}

void stream_fixture::make_slot() {
    sql("SELECT pg_create_logical_replication_slot('" + stream().slot() + "', 'pgoutput')");
}

model::lsn stream_fixture::confirmed() const {
    return *model::parse_lsn(source_.value("SELECT confirmed_flush_lsn FROM pg_replication_slots WHERE slot_name = '" +
                                           stream().slot() + "'"));
}

bool stream_fixture::slot_active() const {
    const auto rows =
        source_.exec("SELECT active FROM pg_replication_slots WHERE slot_name = '" + stream().slot() + "'");
    return !rows.empty() && rows[0][0] == "t";
}

support::child_process stream_fixture::spawn_publisher() const {
    const auto& config = settings_->config;
    return support::child_process{
        {.argv = {CROSSFADE_TEST_PUBLISHER, config.legacy.dsn, config.kafka.brokers, config.stream.name}}};
}

std::vector<model::change_event> read_topic(const settings::configuration& config) {
    auto reader = kafka::partition_reader::open(config.kafka, config.stream.topic(), 0, "crossfade-test").value();
    const auto marks = reader.query_watermarks(5s).value();
    reader.seek(marks.low, 5s).value();
    std::vector<model::change_event> events;
    events::relation_decoder relations;
    const auto deadline = std::chrono::steady_clock::now() + 60s;
    for (auto next = marks.low; next < marks.high;) {
        if (std::chrono::steady_clock::now() > deadline) throw std::runtime_error("the topic can't be read");
        const auto got = reader.read(10000, 200ms);
        if (!got) continue;
        for (const auto& message : *got) {
            events.push_back(events::decode(message.payload(), relations).value());
            next = message.offset() + 1;
        }
    }
    return events;
}

namespace {

std::string describe(const model::row& cells) {
    std::string text = "(";
    for (const auto& cell : cells) {
        if (text.size() > 1) text += ',';
        text += cell.kind == model::cell_kind::null        ? "-"
                : cell.kind == model::cell_kind::unchanged ? "~"
                                                           : cell.text.substr(0, 20);
    }
    return text + ')';
}

}  // namespace

void place_resync_mark(const settings::configuration& config, model::lsn at) {
    const auto newest = read_topic(config).back().at;
    model::change_event mark;
    mark.at = {newest.system_identifier, newest.timeline, at, 0};
    mark.publisher = model::resync_publisher;
    mark.previous = model::lsn{};
    mark.last = true;
    mark.end_lsn = at;
    mark.body = model::heartbeat{mark.commit_time};
    auto producer = kafka::producer::open(config.kafka, 1).value();
    events::relation_encoder relations;
    producer.produce(config.stream.topic(), 0, "", events::encode(mark, relations), {}, 1).value();
    const auto sent = [&] { return producer.poll(100ms).has_value() && producer.unacknowledged() == 0; };
    if (!support::eventually(10s, sent)) throw std::runtime_error("the mark is not acknowledged");
}

std::string describe(const model::change_event& event) {
    if (const auto* row = std::get_if<model::row_change>(&event.body)) {
        const auto& name = row->rel->table.name;
        if (row->operation == model::row_operation::insert) return "insert " + name + ' ' + describe(row->after);
        if (row->operation == model::row_operation::remove) return "delete " + name + ' ' + describe(row->before);
        const auto before = row->before_kind == model::before_image::absent ? "" : describe(row->before);
        return "update " + name + ' ' + before + "->" + describe(row->after);
    }
    if (const auto* truncate = std::get_if<model::truncate>(&event.body)) {
        std::string text = "truncate";
        for (const auto& rel : truncate->relations) text += ' ' + rel->table.name;
        return text;
    }
    if (const auto* message = std::get_if<model::logical_message>(&event.body))
        return "message " + message->prefix + ' ' + message->content;
    return "heartbeat";
}

void exactly_once_reader::take(const std::vector<model::change_event>& events) {
    for (const auto& event : events) {
        auto& open = open_[event.publisher];
        if (event.at.ordinal <= 1) {
            if (!open.empty()) faults_.push_back("a transaction broken off by its own publisher");
            open.clear();
            if (!event.previous) faults_.push_back("no previous");
        } else if (open.empty() || open.back().at.ordinal + 1 != event.at.ordinal ||
                   open.back().at.commit_lsn != event.at.commit_lsn) {
            faults_.push_back("ordinal " + std::to_string(event.at.ordinal) + " out of turn");
        }
        open.push_back(event);
        if (!event.last) continue;
        if (event.end_lsn <= event.at.commit_lsn) faults_.push_back("ends before it begins");
        if (event.at.commit_lsn < applied_) {
            ++repeats_;
        } else if (*open.front().previous > applied_) {
            faults_.push_back("a gap before " + to_string(event.at));
        } else {
            for (const auto& one : open)
                if (one.body.index() != 3) rows_.push_back(describe(one));
            applied_ = event.end_lsn;
            ++transactions_;
        }
        open.clear();
    }
}

one_table::one_table(const std::string& name) : stream_(name, kafka_.config()) {
    kafka_.create_topic(stream_.stream().topic(), 1);
    stream_.table("a", "id int PRIMARY KEY");
    stream_.make_slot();
    start_ = stream_.confirmed();
}

void one_table::insert(int first, int last) {
    for (int id = first; id <= last; ++id)
        stream_.sql("INSERT INTO " + stream_.stream().name + ".a VALUES (" + std::to_string(id) + ')');
}

exactly_once_reader one_table::read() const {
    exactly_once_reader reader{start_};
    reader.take(read_topic(stream_.settings()->config));
    return reader;
}

}  // namespace crossfade::proxy::capture
