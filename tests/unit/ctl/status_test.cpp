#include <gmock/gmock.h>

#include <boost/json.hpp>
#include <functional>

#include "ctl/flags/compare.hpp"
#include "ctl/status/assess.hpp"
#include "lib/settings/describe.hpp"

namespace crossfade::ctl::status {
namespace {

picture healthy() {
    picture made;
    made.config.stream.name = "app";
    made.proxy.answer = boost::json::parse(R"({"ready": true, "uptime_seconds": 5, "flags": {"epoch": 3},
        "sessions": {"open": 2, "limit": 100}, "stream": {"state": "publishing"}})")
                            .as_object();
    made.cdc.answer =
        boost::json::parse(R"({"ready": true, "stream": {"state": "applying", "lag_seconds": 0.25}})").as_object();
    made.slot.emplace();
    made.slot->active = true;
    made.slot->wal_status = "reserved";
    made.store.present = true;
    made.store.progress = catalog::progress{.system_identifier = "1", .partitions = {{}}};
    made.drift = {{"repaired", 4}};
    return made;
}

std::string line(const assessment& of, const std::string& part) {
    for (const auto& [name, state] : of.lines)
        if (name == part) return state;
    return {};
}

TEST(status, healthy) {
    const auto made = assess(healthy());
    EXPECT_EQ(made.code(), exit_code::fine) << made.troubles.front();
    EXPECT_EQ(line(made, "authority"), "legacy (legacy-primary), epoch 3");
    EXPECT_EQ(line(made, "proxy"), "publishing, 2 of 100 sessions, up 5.0 s");
    EXPECT_EQ(line(made, "cdc"), "applying, lag 0.2 s");
    EXPECT_EQ(line(made, "drift"), "0 confirmed, 0 suspect, 4 repaired");
}

TEST(status, of_many_partitions_is_that_of_the_last) {
    auto of = healthy();
    of.legacy_position = model::lsn{0x70};
    of.store.progress->partitions[0].end_lsn = model::lsn{0x60};
    EXPECT_EQ(line(assess(of), "modern"), "applied up to 0/60, 16 B behind, moved 0.0 s ago");

    of.config.stream.ordering = settings::event_ordering::key;
    of.config.stream.partitions = 2;
    of.store.progress->partitions.push_back({.partition = 1, .end_lsn = model::lsn{0x50}, .age_seconds = 2});
    const auto made = assess(of);
    EXPECT_EQ(made.code(), exit_code::fine);
    EXPECT_EQ(line(made, "modern"), "applied up to 0/50 in all 2 partitions, 32 B behind, moved 2.0 s ago");
}

TEST(status, held_on_purpose_is_healthy) {
    auto of = healthy();
    of.cdc.answer = boost::json::parse(
                        R"({"ready": true, "stream": {"state": "held", "reason": "every scope is legacy-only",
        "way_out": ""}})")
                        .as_object();
    const auto made = assess(of);
    EXPECT_EQ(made.code(), exit_code::fine);
    EXPECT_EQ(line(made, "cdc"), "held (every scope is legacy-only)");
}

struct trouble {
    const char* name;
    std::function<void(picture&)> cause;
    const char* says;
};
class status_troubles : public testing::TestWithParam<trouble> {};

TEST_P(status_troubles, are_said) {
    auto of = healthy();
    GetParam().cause(of);
    const auto made = assess(of);
    EXPECT_EQ(made.code(), exit_code::no);
    ASSERT_EQ(made.troubles.size(), 1U);
    EXPECT_NE(made.troubles[0].find(GetParam().says), std::string::npos) << made.troubles[0];
}

INSTANTIATE_TEST_SUITE_P(
    all, status_troubles,
    testing::Values(
        trouble{
            "stopped",
            [](auto& of) {
                of.cdc.answer =
                    boost::json::parse(
                        R"({"ready": false, "stream": {"state": "stopped", "reason": "a gap", "way_out": "resync"}})")
                        .as_object();
            },
            "a gap. Way out: resync"},
        trouble{"held_up",
                [](auto& of) {
                    of.cdc.answer = boost::json::parse(R"({"ready": true, "stream": {"state": "held",
                        "reason": "modern's one_code ties rows of seat", "way_out": "drop one_code"}})")
                                        .as_object();
                },
                "cdc holds the stream: modern's one_code ties rows of seat. Way out: drop one_code"},
        trouble{"retention",
                [](auto& of) {
                    of.cdc.answer = boost::json::parse(R"({"ready": true, "stream": {"state": "held", "retention":
                        {"used": 0.6, "warning": "the next event is old", "way_out": "raise it"}}})")
                                        .as_object();
                },
                "the next event is old. Way out: raise it"},
        trouble{"retained_wal",
                [](auto& of) {
                    of.proxy.answer = boost::json::parse(R"({"ready": true, "stream": {"state": "publishing",
                        "retained_wal": {"warning": "the slot keeps 9 GiB", "way_out": "see to Kafka"}}})")
                                          .as_object();
                },
                "the slot keeps 9 GiB. Way out: see to Kafka"},
        trouble{"mirror",
                [](auto& of) {
                    of.proxy.answer = boost::json::parse(R"({"ready": true, "stream": {"state": "publishing",
                        "mirror": {"degraded": true, "warning": "nobody waits", "way_out": "mend it"}}})")
                                          .as_object();
                },
                "nobody waits. Way out: mend it"},
        trouble{"no_slot", [](auto& of) { of.slot.reset(); }, "crossfade init"},
        trouble{"no_reader", [](auto& of) { of.slot->active = false; }, "nobody reads"},
        trouble{"slot_lost", [](auto& of) { of.slot->wal_status = "lost"; }, "--resync"},
        trouble{"other_partitions", [](auto& of) { of.config.stream.ordering = settings::event_ordering::key; },
                "Way out: set stream.ordering and stream.partitions back"},
        trouble{"no_progress", [](auto& of) { of.store.progress.reset(); }, "crossfade init"},
        trouble{"copying", [](auto& of) { of.store.table_states["public.a"] = "copying"; }, "public.a"},
        trouble{"new", [](auto& of) { of.store.table_states["public.a"] = "new"; }, "never copied"},
        trouble{"stale", [](auto& of) { of.store.table_states["public.a"] = "stale"; }, "public.a"},
        trouble{"drift", [](auto& of) { of.drift["confirmed"] = 2; }, "2 rows differ"},
        trouble{"dead_letters", [](auto& of) { of.dead_letters = 1; }, "wait among the dead letters"}),
    [](const auto& each) { return std::string{each.param.name}; });

TEST(status, names_what_did_not_answer) {
    auto of = healthy();
    of.cdc = {.answer = std::nullopt, .problem = "Connection refused"};
    of.modern_problem = "no connection";
    const auto made = assess(of);
    EXPECT_EQ(made.code(), exit_code::unreachable);
    EXPECT_EQ(made.unreachable, (std::vector<std::string>{"cdc", "modern"}));
}

settings::flag_scope group(const std::string& name) {
    return {name, ""};
}

store::authority_row on(settings::side side, std::string completed_at = {}) {
    store::authority_row row;
    row.epoch = 4;
    row.authorities.everything = side;
    row.completed_at = std::move(completed_at);
    return row;
}

// A picture of both ways.
picture both_ways(store::authority_row row) {
    auto made = healthy();
    made.config.stream.both_ways = true;
    made.authority_by_legacy = row;
    made.authority_by_modern = std::move(row);
    return made;
}
picture back_of(const picture& of) {
    auto made = of;
    made.config.source = settings::side::modern;
    made.config.stream.name = "app_back";
    return made;
}

TEST(status, has_a_state_for_each_scope) {
    using settings::side;
    auto of = both_ways(on(side::legacy));
    const settings::flag_scope everything;
    EXPECT_EQ(stage_of(healthy(), everything, true), "pending");  // nothing was prepared
    EXPECT_EQ(stage_of(of, everything, true), "ready");
    EXPECT_EQ(stage_of(of, everything, false), "pending");

    of.authority_by_modern->authorities.apart[group("orders")] = side::modern;
    of.authority_by_modern->epoch = 5;
    of.were_on_modern = {group("orders")};
    EXPECT_EQ(stage_of(of, group("orders"), true), "cutover");
    EXPECT_EQ(stage_of(of, everything, true), "ready");
    EXPECT_EQ(scopes_of(of), (std::vector<settings::flag_scope>{everything, group("orders")}));
    of.authority_by_modern->authorities.apart.clear();
    EXPECT_EQ(stage_of(of, group("orders"), true), "rolled_back");
    EXPECT_EQ(stage_of(of, group("bills"), true), "ready");
    EXPECT_EQ(stage_of(of, everything, true), "ready");
    of.were_on_modern = {everything};
    EXPECT_EQ(stage_of(of, group("bills"), true), "rolled_back");

    of = both_ways(on(side::modern));
    EXPECT_EQ(stage_of(of, everything, false), "cutover");
    of = both_ways(on(side::modern, "2026-01-02 03:04:05 UTC"));
    EXPECT_EQ(stage_of(of, everything, false), "completed");
    EXPECT_EQ(line(assess(of), "cutover of everything"), "completed");
}

TEST(status, says_that_a_flip_is_under_way) {
    using settings::side;
    using store::handover_state;
    EXPECT_EQ(flip_of(healthy()), nullptr);
    // Until it is decided it is noted on the side alone that gives something away.
    for (const auto from : {side::legacy, side::modern}) {
        auto of = both_ways(on(from));
        EXPECT_EQ(flip_of(of)->state, handover_state::settled);
        auto& noted = from == side::legacy ? of.authority_by_legacy : of.authority_by_modern;
        noted->state = handover_state::fenced;
        noted->moving = group("orders");
        EXPECT_EQ(flip_of(of), &*noted);
        EXPECT_THAT(line(assess(of), "authority"), testing::HasSubstr(", a flip of group orders is under way: fenced"));
        noted->state = handover_state::handed;
        noted->epoch = 5;
        EXPECT_EQ(flip_of(of), &*noted);
    }
}

TEST(status, says_what_is_left_of_the_way_back) {
    auto of = both_ways(on(settings::side::modern));
    auto back = back_of(of);
    EXPECT_EQ(assess(of, &back).code(), exit_code::fine);

    back.slot.reset();
    auto made = assess(of, &back);
    ASSERT_EQ(made.troubles.size(), 1U);
    EXPECT_EQ(made.troubles.front(),
              "the way back is lost, and no flip to legacy can be made: slot crossfade_app_back on modern is gone, and"
              " what modern takes from now on does not reach legacy. The application loses nothing. Way out: stay on"
              " modern (cutover_completed), or make legacy a copy of modern anew: docs/operations.md, The way back is"
              " lost");
    back.slot = healthy().slot;
    back.slot->wal_status = "lost";
    EXPECT_NE(assess(of, &back).troubles.front().find("slot crossfade_app_back on modern is lost"), std::string::npos);
    // As long as legacy is the authority it begins anew.
    of = both_ways(on(settings::side::legacy));
    back = back_of(of);
    back.slot.reset();
    EXPECT_EQ(assess(of, &back).troubles.front(), "way back: the stream is not set up: crossfade init");

    of = both_ways(on(settings::side::modern, "2026-01-02 03:04:05 UTC"));
    back = back_of(of);
    EXPECT_EQ(assess(of, &back).troubles.front(),
              "slot crossfade_app_back on modern keeps WAL for nobody: crossfade flip --complete --yes --reason ...");
    back.slot.reset();
    made = assess(of, &back);
    EXPECT_EQ(made.code(), exit_code::fine);
    EXPECT_EQ(line(made, "way back"), "none: the cutover was completed at 2026-01-02 03:04:05 UTC");
}

TEST(flags_compare, finds_values_and_scopes_that_differ) {
    const auto file =
        boost::json::parse(
            R"([{"group": "", "tenant": "", "flags": {"canary_percent": 100, "migration_drift_tolerance": 0.001}},
        {"group": "g", "tenant": "", "flags": {"canary_percent": 100}}])")
            .as_array();
    const auto running =
        boost::json::parse(
            R"([{"group": "", "tenant": "", "flags": {"canary_percent": 50, "migration_drift_tolerance": 1E-3}}])")
            .as_array();
    const auto found = flags::compare(file, running);
    ASSERT_EQ(found.size(), 2U);
    EXPECT_EQ(found[0].flag, "canary_percent");
    EXPECT_EQ(found[0].running, "50");
    EXPECT_EQ(found[1].group, "g");
    EXPECT_EQ(found[1].running, "");
}

TEST(flags_compare, takes_who_is_in_charge_from_the_databases) {
    const settings::flag_set file;
    const auto running = [&](const settings::assignment& decided) {
        return settings::flags_json(file.under(decided), 2).at("scopes").as_array();
    };
    for (const settings::assignment& decided :
         {settings::assignment{settings::side::modern, {}},
          settings::assignment{settings::side::legacy, {{{"", "acme"}, settings::side::modern}}}}) {
        EXPECT_TRUE(flags::compare(file, decided, running(decided)).empty());
        EXPECT_FALSE(flags::compare(file, std::nullopt, running(decided)).empty());
        EXPECT_FALSE(flags::compare(file, decided, running({})).empty());
    }
}

}  // namespace
}  // namespace crossfade::ctl::status
