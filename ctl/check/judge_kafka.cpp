#include <charconv>

#include "ctl/check/judge.hpp"
#include "ctl/check/listing.hpp"
#include "lib/kafka/client.hpp"

namespace crossfade::ctl::check {

namespace {

constexpr long long short_retention_ms = 24LL * 3600 * 1000;

long long number(const std::string& text) {
    long long value = 0;
    std::from_chars(text.data(), text.data() + text.size(), value);
    return value;
}

// Empty: it is told, and enough.
std::string too_small_for(const kafka::facts& of, const std::string& max_message_bytes) {
    if (max_message_bytes.empty() || static_cast<std::uint64_t>(number(max_message_bytes)) >= of.largest_message)
        return {};
    return "max.message.bytes=" + std::to_string(of.largest_message + crossfade::kafka::batch_overhead);
}

std::string alter(const std::string& topic) {
    return "kafka-configs.sh --alter --entity-type topics --entity-name " + topic + " --add-config ";
}

void judge_topic_settings(const std::string& id, const std::string& topic, const kafka::facts& of,
                          const kafka::topic_facts& facts, settings::cleanup_policy wanted, findings& into) {
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
                  alter(topic) + "cleanup.policy=" + wanted_policy);
    } else if (!compacted && !retention.empty() && number(retention) >= 0 && number(retention) < short_retention_ms) {
        into.warn(id, found + ": an apply that stands still for longer loses events",
                  alter(topic) + "retention.ms=604800000");
    } else if (!compacted && !size.empty() && number(size) >= 0) {
        into.warn(id, found + ", retention.bytes=" + size + ": much at once pushes out events that are not applied yet",
                  alter(topic) + "retention.bytes=-1");
    } else if (value("unclean.leader.election.enable") == "true") {
        into.warn(id,
                  found +
                      ", unclean.leader.election.enable=true: a replica that is behind may lead, without the events "
                      "that it lacks",
                  alter(topic) + "unclean.leader.election.enable=false");
    } else if (const auto enough = too_small_for(of, largest); !enough.empty()) {
        into.warn(id,
                  found + ": rows larger than that stop the stream, and up to " + std::to_string(of.largest_message) +
                      " bytes are sent",
                  alter(topic) + enough + "; or message.max.bytes in kafka.properties, for no row to be larger");
    } else {
        into.ok(id, found);
    }
}

std::string count_text(int partitions) {
    return std::to_string(partitions) + (partitions == 1 ? " partition" : " partitions");
}

// Of changes: `id` "kafka.topic", and `id`_settings. `mend`: where it has another number of partitions.
void judge_topic(const std::string& id, const std::string& topic, const kafka::facts& of,
                 const kafka::topic_facts& facts, int partitions, settings::cleanup_policy wanted,
                 const std::string& mend, findings& into) {
    if (facts.partitions == 0) {
        into.warn(id, topic + " does not exist yet", "crossfade init");
    } else if (facts.partitions != partitions) {
        into.fail(id, topic + " has " + count_text(facts.partitions), mend);
    } else {
        into.ok(id, topic + ", " + count_text(partitions));
        judge_topic_settings(id + "_settings", topic, of, facts, wanted, into);
    }
}

// All of one table's letters have one key, and the database has them, whatever becomes of the topic.
void judge_letters(const std::string& topic, const kafka::facts& of, findings& into) {
    const std::string id = "kafka.dead_letter_topic";
    if (of.dead_letters.partitions == 0) return into.warn(id, topic + " does not exist yet", "crossfade init");
    into.ok(id, topic);
    if (!of.dead_letters.settings) return;
    const auto value = [&](const std::string& key) {
        const auto at = of.dead_letters.settings->find(key);
        return at == of.dead_letters.settings->end() ? std::string{} : at->second;
    };
    const auto policy = value("cleanup.policy");
    const auto largest = value("max.message.bytes");
    const std::string found = "cleanup.policy=" + policy + ", max.message.bytes=" + largest;
    if (!policy.empty() && policy != to_string(settings::cleanup_policy::remove))
        into.warn(id + "_settings", found + ": compaction leaves one letter of each table",
                  alter(topic) + "cleanup.policy=delete");
    else if (const auto enough = too_small_for(of, largest); !enough.empty())
        into.warn(id + "_settings", found + ": larger letters are in crossfade.dead_letters alone",
                  alter(topic) + enough);
    else
        into.ok(id + "_settings", found);
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
    judge_topic("kafka.topic", of.stream.topic(), of.kafka, of.kafka.changes, of.stream.topic_partitions(),
                settings::cleanup_policy::remove,
                of.stream.by_key() ? "stream.partitions says " + std::to_string(of.stream.partitions) + ": set it to " +
                                         std::to_string(of.kafka.changes.partitions) + ", or " + another
                                   : one + another,
                into);
    if (of.stream.json_events)
        judge_topic("kafka.json_topic", of.stream.json_topic(), of.kafka, of.kafka.json, 1, of.stream.json_cleanup,
                    one + "delete the topic before crossfade init", into);
    judge_letters(of.stream.dead_letter_topic(), of.kafka, into);
}

}  // namespace crossfade::ctl::check
