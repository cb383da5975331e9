#include <charconv>

#include "ctl/check/judge.hpp"
#include "ctl/check/listing.hpp"

namespace crossfade::ctl::check {

namespace {

// A transaction's largest row, doubled for an UPDATE under REPLICA IDENTITY FULL, has to fit into one message.
constexpr long long small_message = 1 << 20;
constexpr long long short_retention_ms = 24LL * 3600 * 1000;

long long number(const std::string& text) {
    long long value = 0;
    std::from_chars(text.data(), text.data() + text.size(), value);
    return value;
}

void judge_topic_settings(const std::string& id, const std::string& topic, const kafka::topic_facts& facts,
                          settings::cleanup_policy wanted, findings& into) {
    const bool compacted = wanted == settings::cleanup_policy::compact;
    const std::string wanted_policy{to_string(wanted)};
    if (!facts.settings) {
        into.warn(id, "not checked: the broker does not describe its topics",
                  "see to it by hand: cleanup.policy=" + wanted_policy +
                      (compacted ? "" : ", retention longer than the longest outage to survive"));
        return;
    }
    const auto value = [&](const std::string& key) {
        const auto at = facts.settings->find(key);
        return at == facts.settings->end() ? std::string{} : at->second;
    };
    const std::string alter = "kafka-configs.sh --alter --entity-type topics --entity-name " + topic + " --add-config ";
    const std::string policy = value("cleanup.policy");
    const std::string retention = value("retention.ms");
    const std::string largest = value("max.message.bytes");
    const std::string size = value("retention.bytes");
    const std::string found =
        "cleanup.policy=" + policy + ", retention.ms=" + retention + ", max.message.bytes=" + largest;
    if (!policy.empty() && policy != wanted_policy) {
        into.fail(id,
                  found + (compacted ? ": stream.json_cleanup is compact, and the rows would go with their age"
                                     : ": compaction removes events that a reader still needs"),
                  alter + "cleanup.policy=" + wanted_policy);
    } else if (!compacted && !retention.empty() && number(retention) >= 0 && number(retention) < short_retention_ms) {
        into.warn(id, found + ": an apply that stands still for longer loses events", alter + "retention.ms=604800000");
    } else if (!compacted && !size.empty() && number(size) >= 0) {
        into.warn(id, found + ", retention.bytes=" + size + ": much at once pushes out events that are not applied yet",
                  alter + "retention.bytes=-1");
    } else if (value("unclean.leader.election.enable") == "true") {
        into.warn(id,
                  found +
                      ", unclean.leader.election.enable=true: a replica that is behind may lead, without the events "
                      "that it lacks",
                  alter + "unclean.leader.election.enable=false");
    } else if (!largest.empty() && number(largest) < small_message) {
        into.warn(id, found + ": rows larger than that stop the stream", alter + "max.message.bytes=16777216");
    } else {
        into.ok(id, found);
    }
}

std::string count_text(int partitions) {
    return std::to_string(partitions) + (partitions == 1 ? " partition" : " partitions");
}

// Of changes: `id` "kafka.topic", and `id`_settings. `mend`: where it has another number of partitions.
void judge_topic(const std::string& id, const std::string& topic, const kafka::topic_facts& facts, int partitions,
                 settings::cleanup_policy wanted, const std::string& mend, findings& into) {
    if (facts.partitions == 0) {
        into.warn(id, topic + " does not exist yet", "crossfade init");
    } else if (facts.partitions != partitions) {
        into.fail(id, topic + " has " + count_text(facts.partitions), mend);
    } else {
        into.ok(id, topic + ", " + count_text(partitions));
        judge_topic_settings(id + "_settings", topic, facts, wanted, into);
    }
}

}  // namespace

void judge_kafka(const evidence& of, findings& into) {
    if (!of.kafka.problem.empty()) {
        into.fail("kafka.reachable", of.kafka.brokers + ": " + of.kafka.problem,
                  "start the broker, or correct kafka.brokers and kafka.properties");
        return;
    }
    into.ok("kafka.reachable", of.kafka.brokers + ", " + std::to_string(of.kafka.broker_count) + " broker" +
                                   (of.kafka.broker_count == 1 ? "" : "s"));
    const std::string one = "commit order needs one: ";
    const std::string another = "another stream.name, or delete the topic before crossfade init";
    judge_topic("kafka.topic", of.stream.topic(), of.kafka.changes, of.stream.topic_partitions(),
                settings::cleanup_policy::remove,
                of.stream.by_key() ? "stream.partitions says " + std::to_string(of.stream.partitions) + ": set it to " +
                                         std::to_string(of.kafka.changes.partitions) + ", or " + another
                                   : one + another,
                into);
    if (of.stream.json_events)
        judge_topic("kafka.json_topic", of.stream.json_topic(), of.kafka.json, 1, of.stream.json_cleanup,
                    one + "delete the topic before crossfade init", into);
    const std::string letters = of.stream.dead_letter_topic();
    if (of.kafka.dead_letters.partitions == 0) {
        into.warn("kafka.dead_letter_topic", letters + " does not exist yet", "crossfade init");
    } else {
        into.ok("kafka.dead_letter_topic", letters);
    }
}

}  // namespace crossfade::ctl::check
