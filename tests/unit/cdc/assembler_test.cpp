#include <gtest/gtest.h>

#include <cstdio>
#include <sstream>

#include "cdc/consume/transaction_assembler.hpp"

namespace crossfade::cdc::consume {
namespace {

// One event a line: PUBLISHER (@: that of a resync) COMMIT/ORDINAL [<PREVIOUS] [!END] [sSYSTEM] [tTIMELINE]
// [lTIMELINE@END ...] -> DECISION Offsets count from 100. The follower is at end 50 of system 1, timeline 1. DECISION:
// held, repeat, stop:CAUSE, reread:PUBLISHER, ready:FIRST-LAST (ordinals) with + for "more to come", undo- before it
// for a roll back; then, if given, @OFFSET is the next_offset afterwards.
constexpr std::size_t event_bytes = 10;
constexpr std::size_t most_bytes = 30;  // three events

std::string name_of(stop_cause cause) {
    switch (cause) {
        case stop_cause::foreign_cluster:
            return "foreign";
        case stop_cause::older_timeline:
            return "older";
        case stop_cause::diverged:
            return "diverged";
        case stop_cause::missing_events:
            return "missing";
        case stop_cause::broken_transaction:
            return "broken";
        case stop_cause::bad_event:
            break;
    }
    return "bad";
}

std::string text_of(const decision& made) {
    std::string text = made.roll_back ? "undo-" : "";
    switch (made.what) {
        case decision::outcome::held:
            return text + "held";
        case decision::outcome::repeat:
            return text + "repeat";
        case decision::outcome::reread:
            return text + "reread:" + std::to_string(made.prefer->publisher - 1);
        case decision::outcome::stopped:
            return text + "stop:" + name_of(made.why->cause);
        case decision::outcome::ready:
        case decision::outcome::barrier:
            break;
    }
    const auto& events = made.part->events;
    return text + "ready:" + std::to_string(events.front().event.at.ordinal) + '-' +
           std::to_string(events.back().event.at.ordinal) + (made.part->ends ? "" : "+");
}

struct scenario {
    const char* name;
    const char* script;
    std::optional<preference> prefer = {};
};

void PrintTo(const scenario& of, std::ostream* out) {
    *out << of.name;
}

class assembler : public testing::TestWithParam<scenario> {};

TEST_P(assembler, decides) {
    transaction_assembler tested{{1, 1, model::lsn{50}, 100}, most_bytes, GetParam().prefer};
    std::istringstream lines{GetParam().script};
    std::int64_t offset = 100;
    for (std::string line; std::getline(lines, line);) {
        std::istringstream words{line};
        std::string word;
        if (!(words >> word)) continue;
        received next;
        next.offset = offset++;
        next.bytes = event_bytes;
        next.event.publisher = static_cast<std::uint64_t>(word[0] - 'A' + 1);
        next.event.at.system_identifier = 1;
        next.event.at.timeline = 1;
        next.event.body = model::heartbeat{};
        words >> word;
        unsigned long commit = 0;
        unsigned long ordinal = 0;
        ASSERT_EQ(std::sscanf(word.c_str(), "%lu/%lu", &commit, &ordinal), 2) << line;
        next.event.at.commit_lsn = model::lsn{commit};
        next.event.at.ordinal = ordinal;
        std::string expected;
        std::optional<std::int64_t> next_offset;
        while (words >> word) {
            const auto number = word.size() > 1 ? std::strtoul(word.c_str() + 1, nullptr, 10) : 0;
            if (word[0] == '<') next.event.previous = model::lsn{number};
            if (word[0] == '!') {
                next.event.last = true;
                next.event.end_lsn = model::lsn{number};
            }
            if (word[0] == 's') next.event.at.system_identifier = number;
            if (word[0] == 'p') next.event.partition_previous = model::place{model::lsn{number}, 1};
            if (word[0] == 't') next.event.at.timeline = static_cast<std::uint32_t>(number);
            unsigned left = 0;
            if (unsigned long end = 0; std::sscanf(word.c_str(), "l%u@%lu", &left, &end) == 2)
                next.event.left.push_back({left, model::lsn{end}});
            if (word == "->") break;
        }
        words >> expected;
        if (words >> word) next_offset = static_cast<std::int64_t>(std::strtoul(word.c_str() + 1, nullptr, 10));
        const auto before = tested.next_offset();
        EXPECT_EQ(text_of(tested.accept(std::move(next))), expected) << line;
        if (expected.starts_with("stop:")) {
            EXPECT_EQ(tested.next_offset(), before) << "a restart would pass over it: " << line;
        }
        if (next_offset) {
            EXPECT_EQ(tested.next_offset(), *next_offset) << line;
        }
        EXPECT_LE(tested.held_bytes(), transaction_assembler::most_publishers * most_bytes);
    }
}

INSTANTIATE_TEST_SUITE_P(
    scripts, assembler,
    testing::Values(scenario{"whole_transactions", R"(
            A 60/1 <50     -> held       @100
            A 60/2     !70 -> ready:1-2  @102
            A 70/1 <70 !80 -> ready:1-1  @103)"},
                    scenario{"a_commit_may_begin_where_the_last_ended", R"(
            A 50/1 <50 !60 -> ready:1-1  @101
            A 60/1 <60 !61 -> ready:1-1  @102)"},
                    scenario{"heartbeats_move_on", R"(
            A 60/0 <50 !61 -> ready:0-0  @101
            A 60/0 <50 !61 -> repeat     @102)"},
                    scenario{"repeats_of_another_publisher", R"(
            A 60/1 <50 !70 -> ready:1-1
            B 60/1 <70     -> repeat
            B 60/2     !70 -> repeat     @103
            B 70/1 <70 !80 -> ready:1-1)"},
                    scenario{"cut_off_and_sent_again", R"(
            A 60/1 <50     -> held       @100
            B 60/1 <50     -> held       @100
            B 60/2     !70 -> ready:1-2  @103
            B 80/1 <70 !90 -> ready:1-1  @104)"},
                    scenario{"a_zombie_goes_on_between", R"(
            A 60/1 <50     -> held
            B 60/1 <50     -> held
            A 60/2     !70 -> ready:1-2  @103
            B 60/2     !70 -> repeat     @104
            A 70/1 <70 !80 -> ready:1-1
            B 70/1 <70 !80 -> repeat     @106)"},
                    scenario{"begun_again_by_the_same", R"(
            A 60/1 <50     -> held       @100
            A 60/1 <50     -> held       @101
            A 60/2     !70 -> ready:1-2  @103)"},
                    scenario{"missing_before_it", "A 60/1 <51 !70 -> stop:missing"}, scenario{"missing_between", R"(
            A 60/1 <50 !70 -> ready:1-1
            A 90/1 <80 !99 -> stop:missing)"},
                    scenario{"missing_ordinal", R"(
            A 60/1 <50     -> held
            A 60/3     !70 -> stop:broken)"},
                    scenario{"missing_beginning", "A 60/2 !70 -> stop:broken"}, scenario{"missing_end", R"(
            A 60/1 <50     -> held
            A 70/1 <50 !80 -> stop:broken)"},
                    scenario{"no_previous", "A 60/1 !70 -> stop:bad"}, scenario{"no_end", "A 60/1 <50 !0 -> stop:bad"},
                    scenario{"foreign_cluster", "A 60/1 <50 !70 s2 -> stop:foreign"},
                    scenario{"of_a_stream_by_key", "A 60/1 <50 p50 !70 -> stop:bad"}, scenario{"older_timeline", R"(
            A 60/1 <50 !70 t2 l1@50 -> ready:1-1
            B 70/1 <70 !80 t1 -> stop:older)"},
                    scenario{"promoted", R"(
            A 50/1 <50 !60        -> ready:1-1
            B 50/1 <50 !60        -> repeat
            B 60/1 <60 !70        -> ready:1-1
            B 70/1 <70    t2 l1@70 -> held
            B 70/2     !80 t2     -> ready:1-2
            B 80/1 <80 !90 t2     -> ready:1-1
            A 60/1 <50 !70        -> repeat
            A 70/1 <70 !80        -> stop:older)"},
                    scenario{"promoted_twice_since", R"(
            A 60/1 <50 !70 t3 l1@55 l2@60 -> ready:1-1
            A 70/1 <70 !80 t3     -> ready:1-1
            A 80/1 <80 !90 t4 l1@55 l2@60 l3@80 -> ready:1-1)"},
                    scenario{"applied_what_the_promoted_one_never_had", R"(
            A 60/1 <50 !70        -> ready:1-1
            B 80/1 <50 !90 t2 l1@69 -> stop:diverged)"},
                    scenario{"its_place_was_used_again", R"(
            A 60/1 <50 !70        -> ready:1-1
            B 65/1 <50 !90 t2 l1@60 -> stop:diverged)"},
                    scenario{"its_place_was_used_again_by_a_large_one", R"(
            B 60/1 <50     t2 l1@55 -> held
            A 60/1 <50 !70        -> ready:1-1
            B 60/2     !80 t2     -> stop:diverged)"},
                    scenario{"the_second_promotion_was_behind", R"(
            A 60/1 <50 !70        -> ready:1-1
            B 90/1 <50 !99 t3 l1@65 l2@90 -> stop:diverged)"},
                    scenario{"a_timeline_that_the_source_was_never_on", R"(
            A 60/1 <50 !70 t2 l1@50 -> ready:1-1
            B 90/1 <50 !99 t3 l1@80 -> stop:diverged)"},
                    scenario{"an_old_primary_goes_on_at_lsns_that_are_used_twice", R"(
            B 80/1 <50 !90 t2 l1@60 -> ready:1-1
            A 55/1 <50 !58          -> repeat
            A 60/1 <50 !70          -> stop:older)"},
                    scenario{"cut_off_by_a_promotion", R"(
            A 90/1 <50             -> held       @100
            B 70/1 <50 !80 t2 l1@60 -> ready:1-1 @102
            B 90/1 <80 !99 t2      -> ready:1-1  @103)"},
                    scenario{"large_cut_off_by_a_promotion", R"(
            A 90/1 <50             -> held
            A 90/2                 -> held
            A 90/3                 -> ready:1-3+
            B 70/1 <50 !80 t2 l1@60 -> undo-ready:1-1 @104)"},
                    scenario{"given_up_and_cut_off_by_a_promotion", R"(
            A 90/1 <50             -> held
            A 90/2                 -> held
            A 90/3                 -> ready:1-3+
            B 90/1 <50             -> held
            B 90/2                 -> held
            B 90/3                 -> undo-ready:1-3+
            C 70/1 <50    t2 l1@60 -> held       @100
            C 70/2     !80 t2      -> undo-ready:1-2 @108)"},
                    scenario{"cut_off_by_the_second_of_two_promotions", R"(
            A 70/1 <50    t2 l1@55 -> held       @100
            B 65/1 <50 !68 t3 l1@55 l2@60 -> ready:1-1 @102)"},
                    scenario{"cut_off_before_a_promotion_that_has_it", R"(
            A 60/1 <50             -> held       @100
            B 60/1 <50             -> held       @100
            B 60/2     !70         -> ready:1-2  @103
            B 70/1 <70 !80 t2 l1@70 -> ready:1-1 @104)"},
                    scenario{"a_timeline_that_says_nothing_of_itself", "A 60/1 <50 !70 t2 -> stop:diverged"},
                    scenario{"a_resync", R"(
            @ 40/0 <0 !40         -> repeat
            @ 50/0 <0 !50         -> repeat
            A 50/1 <50 !70        -> ready:1-1)"},
                    scenario{"a_resync_that_the_follower_was_restored_behind", R"(
            @ 60/0 <0 !60         -> stop:missing)"},
                    scenario{"a_resync_on_another_timeline", R"(
            A 50/1 <50 !70        -> ready:1-1
            @ 60/0 <0 !60 t2 l1@50 -> stop:diverged)"},
                    scenario{"large_in_parts", R"(
            A 60/1 <50     -> held
            A 60/2         -> held
            A 60/3         -> ready:1-3+ @100
            A 60/4         -> held       @100
            A 60/5     !70 -> ready:4-5  @105)"},
                    scenario{"large_cut_off_and_taken_over", R"(
            A 60/1 <50     -> held
            A 60/2         -> held
            A 60/3         -> ready:1-3+
            B 60/1 <50     -> held
            B 60/2         -> held
            B 60/3         -> undo-ready:1-3+ @100
            B 60/4     !70 -> ready:4-4  @107)"},
                    scenario{"large_begun_again_by_the_same", R"(
            A 60/1 <50     -> held
            A 60/2         -> held
            A 60/3         -> ready:1-3+
            A 60/1 <50     -> undo-held  @103
            A 60/2     !70 -> ready:1-2)"},
                    scenario{"large_finished_by_the_one_that_was_given_up", R"(
            A 60/1 <50     -> held
            A 60/2         -> held
            A 60/3         -> ready:1-3+
            B 60/1 <50     -> held
            B 60/2         -> held
            B 60/3         -> undo-ready:1-3+
            A 60/4     !70 -> undo-reread:0)"},
                    scenario{"read_again_with_preference", R"(
            A 60/1 <50     -> held
            A 60/2         -> held
            A 60/3         -> ready:1-3+
            B 60/1 <50     -> held
            B 60/2         -> held
            B 60/3         -> held
            A 60/4     !70 -> ready:4-4  @107
            B 60/4     !70 -> repeat)",
                             preference{model::lsn{60}, 1}}),
    [](const auto& each) { return std::string{each.param.name}; });

// Of publishers that stopped at the same event again and again, until an operator had the topic take it.
TEST(assembler_of_many, outlives_any_number_of_copies_that_were_cut_off) {
    transaction_assembler tested{{1, 1, model::lsn{50}, 100}, most_bytes};
    std::int64_t offset = 100;
    const auto accept = [&](std::uint64_t publisher, std::uint64_t ordinal, bool last) {
        received next;
        next.offset = offset++;
        next.bytes = event_bytes;
        next.event.publisher = publisher;
        next.event.at = {1, 1, model::lsn{60}, ordinal};
        next.event.body = model::heartbeat{};
        if (ordinal == 1) next.event.previous = model::lsn{50};
        next.event.last = last;
        if (last) next.event.end_lsn = model::lsn{70};
        return text_of(tested.accept(std::move(next)));
    };
    constexpr std::uint64_t copies = 3 * transaction_assembler::most_unfinished;
    for (std::uint64_t publisher = 1; publisher <= copies; ++publisher)
        ASSERT_EQ(accept(publisher, 1, false), "held") << publisher;
    EXPECT_EQ(tested.next_offset(), offset - static_cast<std::int64_t>(transaction_assembler::most_unfinished));
    EXPECT_EQ(accept(copies + 1, 1, false), "held");
    // One that is known still may go on, one that isn't says so.
    EXPECT_EQ(accept(copies - 100, 2, true), "reread:" + std::to_string(copies - 101));
    EXPECT_EQ(accept(1, 2, true), "stop:broken");
    EXPECT_EQ(accept(copies + 1, 2, true), "ready:1-2");
    EXPECT_EQ(tested.next_offset(), offset);
}

}  // namespace
}  // namespace crossfade::cdc::consume
