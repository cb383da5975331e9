#include "cdc/consume/partition_sequence.hpp"

#include <gtest/gtest.h>

#include <sstream>

namespace crossfade::cdc::consume {
namespace {

// One event a line: PUBLISHER (@: that of a resync) COMMIT/ORDINAL [<LSN/ORDINAL: the one before] [!END] [b: a barrier]
// [tTIMELINE] [lTIMELINE@END] [sSYSTEM] -> ready, barrier, repeat or stop:CAUSE. Offsets count from 100. The follower
// is at 50/0 of system 1, timeline 1, with everything before 50 applied.
struct scenario {
    const char* name;
    const char* script;
    std::int64_t next_offset;  // afterwards
};

void PrintTo(const scenario& of, std::ostream* out) {
    *out << of.name;
}

model::place place(const std::string& text) {
    const auto slash = text.find('/');
    return {model::lsn{std::stoul(text)}, std::stoul(text.substr(slash + 1))};
}

std::string text_of(const decision& made) {
    switch (made.what) {
        case decision::outcome::ready:
            return "ready";
        case decision::outcome::barrier:
            return "barrier";
        case decision::outcome::repeat:
            return "repeat";
        case decision::outcome::stopped:
            break;
        default:
            return "?";
    }
    switch (made.why->cause) {
        case stop_cause::foreign_cluster:
            return "stop:foreign";
        case stop_cause::older_timeline:
            return "stop:older";
        case stop_cause::diverged:
            return "stop:diverged";
        case stop_cause::missing_events:
            return "stop:missing";
        default:
            return "stop:bad";
    }
}

received read(std::istringstream& words, std::int64_t offset, std::string& expected) {
    received next;
    next.offset = offset;
    next.event.at.system_identifier = 1;
    next.event.at.timeline = 1;
    std::string word;
    words >> word;
    next.event.publisher = word == "@" ? model::resync_publisher : static_cast<std::uint64_t>(word[0]);
    words >> word;
    const auto at = place(word);
    next.event.at.commit_lsn = at.commit_lsn;
    next.event.at.ordinal = at.ordinal;
    while (words >> word && word != "->") {
        const auto rest = word.substr(1);
        switch (word[0]) {
            case '<':
                next.event.partition_previous = place(rest);
                break;
            case '!':
                next.event.last = true;
                next.event.end_lsn = model::lsn{std::stoul(rest)};
                break;
            case 'b':
                next.event.barrier = true;
                break;
            case 't':
                next.event.at.timeline = static_cast<std::uint32_t>(std::stoul(rest));
                break;
            case 'l':
                next.event.left.push_back({static_cast<std::uint32_t>(std::stoul(rest)),
                                           model::lsn{std::stoul(rest.substr(rest.find('@') + 1))}});
                break;
            default:
                next.event.at.system_identifier = std::stoul(rest);
        }
    }
    words >> expected;
    return next;
}

class partition : public testing::TestWithParam<scenario> {};

TEST_P(partition, decides) {
    partition_sequence tested{{1, 1, model::lsn{50}, 100, {}, {model::lsn{50}, 0}}};
    std::istringstream lines{GetParam().script};
    std::int64_t offset = 100;
    for (std::string line; std::getline(lines, line);) {
        std::istringstream words{line};
        if (line.find_first_not_of(' ') == std::string::npos) continue;
        std::string expected;
        auto next = read(words, offset++, expected);
        EXPECT_EQ(text_of(tested.accept(std::move(next))), expected) << line;
    }
    EXPECT_EQ(tested.next_offset(), GetParam().next_offset);
    EXPECT_EQ(tested.held_bytes(), 0U);
}

INSTANTIATE_TEST_SUITE_P(events, partition,
                         testing::Values(scenario{"in_order_with_parts_of_transactions", R"(
        a 60/2 <49/0 -> ready
        a 60/5 <60/2 -> ready
        a 70/1 <60/5 !80 -> ready
        a 89/0 <70/1 !90 -> ready)",
                                                  104},
                                         scenario{"a_commit_record_may_begin_where_all_is_applied", R"(
        a 50/1 <49/0 -> ready)",
                                                  101},
                                         scenario{"what_was_sent_twice", R"(
        a 60/1 <49/0 -> ready
        a 70/1 <60/1 -> ready
        b 60/1 <49/0 -> repeat
        b 70/1 <60/1 -> repeat
        b 70/2 <70/1 -> ready
        a 70/2 <70/1 -> repeat)",
                                                  106},
                                         scenario{"two_publishers_in_between_each_other", R"(
        a 60/1 <49/0 -> ready
        b 60/1 <49/0 -> repeat
        a 61/1 <60/1 -> ready
        b 61/1 <60/1 -> repeat
        b 62/3 <61/1 -> ready
        a 62/3 <61/1 -> repeat)",
                                                  106},
                                         scenario{"a_message_is_missing", R"(
        a 60/1 <49/0 -> ready
        a 80/1 <70/1 -> stop:missing)",
                                                  101},
                                         scenario{"the_first_is_missing", R"(
        a 80/1 <60/1 -> stop:missing)",
                                                  100},
                                         scenario{"a_transaction_s_later_part_is_missing", R"(
        a 60/1 <49/0 -> ready
        a 60/4 <60/2 -> stop:missing)",
                                                  101},
                                         scenario{"heartbeats_say_where_a_partition_is", R"(
        a 79/0 <49/0 !80 -> ready
        b 80/1 <79/0 -> ready)",
                                                  102},
                                         scenario{"barriers", R"(
        a 60/1 <49/0 b -> barrier
        a 60/2 <60/1 -> ready
        b 60/1 <49/0 b -> repeat)",
                                                  103},
                                         scenario{"a_resync_that_it_knows", R"(
        @ 50/0 !50 -> repeat
        a 60/1 <49/0 -> ready)",
                                                  102},
                                         scenario{"a_resync_behind_it", R"(
        @ 70/0 !70 -> stop:missing)",
                                                  100},
                                         scenario{"of_a_stream_that_is_ordered_by_transaction", R"(
        a 60/1 -> stop:bad)",
                                                  100},
                                         scenario{"ends_before_it_begins", R"(
        a 60/1 <49/0 !60 -> stop:bad)",
                                                  100},
                                         scenario{"of_another_cluster", R"(
        a 60/1 <49/0 s2 -> stop:foreign)",
                                                  100}));

INSTANTIATE_TEST_SUITE_P(timelines, partition,
                         testing::Values(scenario{"a_promotion_behind_what_is_applied", R"(
        a 60/1 <49/0 -> ready
        b 75/1 <60/1 t2 l1@70 -> ready
        b 76/1 <75/1 t2 -> ready)",
                                                  103},
                                         scenario{"a_promotion_before_what_is_applied", R"(
        a 60/1 <49/0 -> ready
        b 75/1 <49/0 t2 l1@55 -> stop:diverged)",
                                                  101},
                                         scenario{"a_commit_that_begins_where_the_timeline_was_left", R"(
        a 60/1 <49/0 -> ready
        b 75/1 <60/1 t2 l1@60 -> stop:diverged)",
                                                  101},
                                         scenario{"an_lsn_that_was_used_twice", R"(
        a 60/1 <49/0 -> ready
        b 60/1 <49/0 t2 l1@55 -> stop:diverged)",
                                                  101},
                                         scenario{"the_old_primary_goes_on", R"(
        a 60/1 <49/0 -> ready
        b 75/1 <60/1 t2 l1@70 -> ready
        a 72/1 <60/1 -> stop:older)",
                                                  102},
                                         scenario{"what_it_wrote_before_is_a_repeat", R"(
        a 60/1 <49/0 -> ready
        b 75/1 <60/1 t2 l1@70 -> ready
        a 60/1 <49/0 -> repeat)",
                                                  103},
                                         scenario{"an_older_server_is_published", R"(
        a 60/1 <49/0 t3 l1@55 -> ready
        b 80/1 <60/1 t2 -> stop:older)",
                                                  101}));

}  // namespace
}  // namespace crossfade::cdc::consume
