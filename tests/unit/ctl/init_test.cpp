#include <gtest/gtest.h>

#include <functional>

#include "ctl/init/plan.hpp"

namespace crossfade::ctl::init {
namespace {

catalog::progress progress_of(const std::string& system_identifier) {
    catalog::progress made;
    made.system_identifier = system_identifier;
    return made;
}

stream::topic_tail tail_of(std::int64_t low, std::int64_t high) {
    stream::topic_tail made;
    made.low = low;
    made.high = high;
    return made;
}

situation untouched() {
    situation made;
    made.stream = {.name = "app", .tables = {"public.*"}};
    made.legacy_system_identifier = "1";
    made.legacy_database = "app";
    catalog::table orders;
    orders.name = {"public", "orders"};
    orders.key = {"id"};
    made.tables = {orders};
    return made;
}

situation complete() {
    auto made = untouched();
    made.publication =
        catalog::publication{.via_root = true, .every_operation = true, .tables = {{"public", "orders"}}};
    made.slot =
        catalog::slot{.plugin = "pgoutput", .database = "app", .wal_status = "reserved", .confirmed = model::lsn{7}};
    made.progress = progress_of("1");
    made.topic = tail_of(0, 3);
    return made;
}

TEST(init_plan, makes_everything_once) {
    const auto first = make_plan(untouched(), keyless_tables::refuse);
    EXPECT_TRUE(first.objections.empty());
    EXPECT_TRUE(first.create_publication && first.create_slot && first.begin_progress);
    EXPECT_EQ(first.add_to_publication.size(), 1U);

    const auto second = make_plan(complete(), keyless_tables::refuse);
    EXPECT_TRUE(second.objections.empty());
    EXPECT_FALSE(second.create_publication || second.create_slot || second.begin_progress);
    EXPECT_TRUE(second.add_to_publication.empty());
}

TEST(init_plan, adds_new_tables) {
    auto found = complete();
    found.tables.push_back(found.tables[0]);
    found.tables[1].name.name = "items";
    const auto made = make_plan(found, keyless_tables::refuse);
    ASSERT_EQ(made.add_to_publication.size(), 1U);
    EXPECT_EQ(made.add_to_publication[0].name, "items");
}

TEST(init_plan, tables_without_key_need_a_word) {
    auto found = untouched();
    found.tables[0].key = {};
    EXPECT_EQ(make_plan(found, keyless_tables::refuse).objections.size(), 1U);
    const auto allowed = make_plan(found, keyless_tables::set_replica_identity_full);
    EXPECT_TRUE(allowed.objections.empty());
    EXPECT_EQ(allowed.replica_identity_full.size(), 1U);
    found.tables[0].identity = catalog::replica_identity::full;
    EXPECT_TRUE(make_plan(found, keyless_tables::refuse).objections.empty());
}

struct half_stream {
    const char* name;
    std::function<void(situation&)> cause;
    const char* way_out;  // a part of it; null: goes on
};

class init_half_streams : public testing::TestWithParam<half_stream> {};

TEST_P(init_half_streams, are_mended_only_where_nothing_can_be_lost) {
    auto found = complete();
    GetParam().cause(found);
    const auto made = make_plan(found, keyless_tables::refuse);
    if (GetParam().way_out == nullptr) {
        EXPECT_TRUE(made.objections.empty());
        EXPECT_TRUE(made.begin_progress);
        return;
    }
    ASSERT_EQ(made.objections.size(), 1U);
    EXPECT_NE(made.objections[0].way_out.find(GetParam().way_out), std::string::npos) << made.objections[0].way_out;
}

INSTANTIATE_TEST_SUITE_P(
    all, init_half_streams,
    testing::Values(
        half_stream{"slot_without_progress_topic_empty",
                    [](auto& of) {
                        of.progress.reset();
                        of.topic = stream::topic_tail{};
                    },
                    nullptr},
        half_stream{"slot_without_progress_events_published", [](auto& of) { of.progress.reset(); }, "--resync"},
        half_stream{"slot_without_progress_topic_expired",
                    [](auto& of) {
                        of.progress.reset();
                        of.topic = tail_of(5, 5);
                    },
                    "--resync"},
        half_stream{"progress_without_slot", [](auto& of) { of.slot.reset(); }, "--resync"},
        half_stream{"topic_made_anew",
                    [](auto& of) {
                        of.progress->next_offset = 7;
                        of.topic.reset();
                    },
                    "--resync"},
        half_stream{"lost_slot", [](auto& of) { of.slot->wal_status = "lost"; }, "pg_drop_replication_slot"},
        half_stream{"foreign_plugin", [](auto& of) { of.slot->plugin = "wal2json"; }, "stream.name"},
        half_stream{"other_cluster", [](auto& of) { of.progress->system_identifier = "2"; }, "legacy.dsn"}),
    [](const auto& each) { return std::string{each.param.name}; });

TEST(init_plan, a_resync_minds_neither_progress_nor_topic) {
    auto found = complete();
    found.slot.reset();
    const auto made = make_plan(found, keyless_tables::refuse, purpose::anew);
    EXPECT_TRUE(made.objections.empty());
    EXPECT_TRUE(made.create_slot);
    EXPECT_FALSE(made.begin_progress);
}

}  // namespace
}  // namespace crossfade::ctl::init
