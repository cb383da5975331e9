#include <gtest/gtest.h>

#include <functional>

#include "ctl/init/plan.hpp"

namespace crossfade::ctl::init {
namespace {

catalog::progress progress_of(const std::string& system_identifier, int partitions = 1) {
    catalog::progress made{.system_identifier = system_identifier, .partitions = {}};
    for (int i = 0; i < partitions; ++i) made.partitions.push_back({.partition = i});
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
    orders.key = orders.identity_columns = {"id"};
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
    made.topic_partitions = 1;
    made.topic = {tail_of(0, 3)};
    return made;
}

situation complete_by_key() {
    auto made = complete();
    made.stream.ordering = settings::event_ordering::key;
    made.stream.partitions = 3;
    made.progress = progress_of("1", 3);
    made.topic_partitions = 3;
    made.topic = {tail_of(0, 3), tail_of(0, 0), tail_of(2, 9)};
    for (auto& tail : made.topic) tail.ordering = settings::event_ordering::key;
    return made;
}

TEST(init_plan, makes_everything_once) {
    const auto first = make_plan(untouched(), unfit_identity::refuse);
    EXPECT_TRUE(first.objections.empty());
    EXPECT_TRUE(first.create_publication && first.create_slot && first.begin_progress);
    EXPECT_EQ(first.add_to_publication.size(), 1U);

    const auto second = make_plan(complete(), unfit_identity::refuse);
    EXPECT_TRUE(second.objections.empty());
    EXPECT_FALSE(second.create_publication || second.create_slot || second.begin_progress);
    EXPECT_TRUE(second.add_to_publication.empty());

    auto by_key = untouched();
    by_key.stream.ordering = settings::event_ordering::key;
    EXPECT_TRUE(make_plan(by_key, unfit_identity::refuse).begin_progress);
    const auto again = make_plan(complete_by_key(), unfit_identity::refuse);
    EXPECT_TRUE(again.objections.empty());
    EXPECT_FALSE(again.begin_progress);
}

// Neither pgoutput nor the functions that apply asks have what the stream needs.
TEST(init_plan, needs_postgresql_14_on_both_sides) {
    for (auto version : {&situation::source_version, &situation::follower_version}) {
        auto found = complete();
        found.*version = 130022;
        const auto objections = make_plan(found, unfit_identity::refuse).objections;
        ASSERT_EQ(objections.size(), 1U);
        EXPECT_NE(objections[0].what.find("PostgreSQL 13"), std::string::npos) << objections[0].what;
        EXPECT_NE(objections[0].way_out.find("PostgreSQL 14"), std::string::npos) << objections[0].way_out;
        found.*version = 140000;
        EXPECT_TRUE(make_plan(found, unfit_identity::refuse).objections.empty());
    }
}

TEST(init_plan, adds_new_tables) {
    auto found = complete();
    found.tables.push_back(found.tables[0]);
    found.tables[1].name.name = "items";
    const auto made = make_plan(found, unfit_identity::refuse);
    ASSERT_EQ(made.add_to_publication.size(), 1U);
    EXPECT_EQ(made.add_to_publication[0].name, "items");
}

TEST(init_plan, tables_without_key_need_a_word) {
    auto found = untouched();
    found.tables[0].key = found.tables[0].identity_columns = {};
    EXPECT_EQ(make_plan(found, unfit_identity::refuse).objections.size(), 1U);
    const auto allowed = make_plan(found, unfit_identity::set_full);
    EXPECT_TRUE(allowed.objections.empty());
    EXPECT_EQ(allowed.replica_identity_full.size(), 1U);
    found.tables[0].identity = catalog::replica_identity::full;
    EXPECT_TRUE(make_plan(found, unfit_identity::refuse).objections.empty());
}

// That was asked for before its partition came.
TEST(init_plan, partitions_of_a_table_that_is_full_itself_need_none) {
    auto found = untouched();
    found.tables[0].identity = catalog::replica_identity::full;
    found.tables[0].identity_columns = {};
    EXPECT_TRUE(make_plan(found, unfit_identity::refuse).replica_identity_full.empty());
    const model::table_name part{"public", "orders_1"};
    found.tables[0].unlike_parts = {part};
    const auto made = make_plan(found, unfit_identity::refuse);
    EXPECT_TRUE(made.objections.empty());
    EXPECT_EQ(made.replica_identity_full, std::vector{part});
}

TEST(init_plan, tables_whose_key_is_deferrable_need_a_word) {
    auto found = untouched();
    found.tables[0].identity_columns = {};
    const auto objections = make_plan(found, unfit_identity::refuse).objections;
    ASSERT_EQ(objections.size(), 1U);
    EXPECT_NE(objections[0].way_out.find("DEFERRABLE"), std::string::npos) << objections[0].way_out;
}

TEST(init_plan, tables_that_are_tied_across_partitions_need_a_word) {
    const model::tie primary{"orders_pkey", {"id"}};
    const model::tie number{"orders_number_key", {"number"}};
    auto found = complete_by_key();
    found.modern_tables = found.tables;
    found.tables[0].identity_columns = {"id"};
    found.tables[0].ties = {primary};
    EXPECT_TRUE(make_plan(found, unfit_identity::set_full).replica_identity_full.empty());

    for (const auto& [tables, side] : {std::pair{&found.tables, "legacy"}, {&found.modern_tables, "modern"}}) {
        tables->front().ties = {primary, number};
        for (const auto of : {purpose::begin, purpose::anew}) {
            const auto refused = make_plan(found, unfit_identity::refuse, of).objections;
            ASSERT_EQ(refused.size(), 1U);
            const std::string named = std::string{"public.orders (orders_number_key on "} + side + ")";
            EXPECT_NE(refused[0].what.find(named), std::string::npos) << refused[0].what;
            EXPECT_NE(refused[0].way_out.find("init --replica-identity-full"), std::string::npos);
            const auto allowed = make_plan(found, unfit_identity::set_full, of);
            EXPECT_TRUE(allowed.objections.empty());
            EXPECT_EQ(allowed.replica_identity_full, std::vector{found.tables[0].name});
        }
        tables->front().ties = {primary};
    }

    found.tables[0].ties = {number};
    found.tables[0].identity_columns = {};
    found.tables[0].identity = catalog::replica_identity::full;
    EXPECT_TRUE(make_plan(found, unfit_identity::set_full).replica_identity_full.empty());
    auto whole = complete();
    whole.tables[0].identity_columns = {"id"};
    whole.tables[0].ties = {number};
    EXPECT_TRUE(make_plan(whole, unfit_identity::set_full).replica_identity_full.empty());
}

// Once, whatever it wants it for.
TEST(init_plan, a_mute_table_that_is_tied_gets_its_identity_once) {
    auto found = complete_by_key();
    found.tables[0].identity = catalog::replica_identity::nothing;  // of a leaf
    found.tables[0].identity_columns = {"id"};
    found.tables[0].ties = {{"orders_number_key", {"number"}}};
    const auto made = make_plan(found, unfit_identity::refuse);
    EXPECT_EQ(made.objections.size(), 1U);
    EXPECT_EQ(made.replica_identity_full.size(), 1U);
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
    const auto made = make_plan(found, unfit_identity::refuse);
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
                        of.topic = {stream::topic_tail{}};
                    },
                    nullptr},
        half_stream{"slot_without_progress_events_published", [](auto& of) { of.progress.reset(); }, "--resync"},
        half_stream{"slot_without_progress_topic_expired",
                    [](auto& of) {
                        of.progress.reset();
                        of.topic = {tail_of(5, 5)};
                    },
                    "--resync"},
        half_stream{"progress_without_slot", [](auto& of) { of.slot.reset(); }, "--resync"},
        half_stream{"topic_made_anew",
                    [](auto& of) {
                        of.progress->partitions[0].next_offset = 7;
                        of.topic_partitions = 0;
                        of.topic.clear();
                    },
                    "--resync"},
        half_stream{"topic_ends_before_modern", [](auto& of) { of.progress->partitions[0].next_offset = 4; },
                    "--resync"},
        half_stream{"partitions_without_progress_topic_empty",
                    [](auto& of) {
                        of = complete_by_key();
                        of.progress.reset();
                        for (auto& tail : of.topic) tail = {};
                    },
                    nullptr},
        half_stream{"partitions_without_progress_events_in_one",
                    [](auto& of) {
                        of = complete_by_key();
                        of.progress.reset();
                        of.topic[0] = {};
                    },
                    "--resync"},
        half_stream{"lost_slot", [](auto& of) { of.slot->wal_status = "lost"; }, "pg_drop_replication_slot"},
        half_stream{"foreign_plugin", [](auto& of) { of.slot->plugin = "wal2json"; }, "stream.name"},
        half_stream{"other_cluster", [](auto& of) { of.progress->system_identifier = "2"; }, "legacy.dsn"}),
    [](const auto& each) { return std::string{each.param.name}; });

struct other_partitions {
    const char* name;
    std::function<situation()> found;
    std::vector<const char*> what;     // parts of it
    std::vector<const char*> way_out;  // of init
    bool resync_refused = false;       // the topic has to go first
};

class init_other_partitions : public testing::TestWithParam<other_partitions> {};

TEST_P(init_other_partitions, are_refused_with_a_way_out) {
    const auto found = GetParam().found();
    const auto made = make_plan(found, unfit_identity::refuse);
    ASSERT_EQ(made.objections.size(), 1U);
    for (const auto* part : GetParam().what)
        EXPECT_NE(made.objections[0].what.find(part), std::string::npos) << made.objections[0].what;
    for (const auto* part : GetParam().way_out)
        EXPECT_NE(made.objections[0].way_out.find(part), std::string::npos) << made.objections[0].way_out;

    const auto resync = make_plan(found, unfit_identity::refuse, purpose::anew);
    EXPECT_EQ(resync.objections.size(), GetParam().resync_refused ? 1U : 0U);
    for (const auto& each : resync.objections)
        EXPECT_NE(each.way_out.find("delete the topic"), std::string::npos) << each.way_out;
}

template <class Change>
auto altered(situation (*from)(), Change change) {
    return [from, change] {
        auto made = from();
        change(made);
        return made;
    };
}

INSTANTIATE_TEST_SUITE_P(
    all, init_other_partitions,
    testing::Values(
        other_partitions{"commit_order_has_one",
                         altered(complete,
                                 [](auto& of) {
                                     of.progress.reset();
                                     of.topic_partitions = 4;
                                     of.topic.clear();
                                 }),
                         {"has 4 partitions; commit order needs one"},
                         {"another stream.name, or delete the topic"},
                         true},
        other_partitions{"topic_with_fewer",
                         altered(complete_by_key,
                                 [](auto& of) {
                                     of.progress.reset();
                                     of.topic_partitions = 2;
                                     of.topic.clear();
                                 }),
                         {"has 2 partitions", "stream.partitions says 3", "a row's changes"},
                         {"set stream.partitions to 2", "stream.name", "delete the topic"},
                         true},
        other_partitions{"topic_with_more_than_progress",
                         altered(complete_by_key,
                                 [](auto& of) {
                                     of.topic_partitions = 4;
                                     of.topic.clear();
                                 }),
                         {"has 4 partitions", "stream.partitions says 3"},
                         {"delete the topic, then crossfade backfill --resync"},
                         true},
        other_partitions{"progress_of_more",
                         altered(complete_by_key,
                                 [](auto& of) {
                                     of.stream.partitions = 2;
                                     of.topic.clear();
                                 }),
                         {"progress of 3 partitions", "stream.partitions says 2"},
                         {"set stream.ordering and stream.partitions back",
                          "delete topic crossfade.app.changes, then crossfade backfill --resync"},
                         true},
        other_partitions{"progress_with_a_hole",
                         altered(complete_by_key, [](auto& of) { of.progress->partitions[2].partition = 3; }),
                         {"begun otherwise"},
                         {"--resync"}},
        other_partitions{"progress_of_a_stream_by_key",
                         altered(complete,
                                 [](auto& of) {
                                     of.progress = progress_of("1", 8);
                                     of.topic_partitions = 8;
                                     of.topic.clear();
                                 }),
                         {"progress of 8 partitions", "stream.ordering: transaction has one"},
                         {"set stream.ordering and stream.partitions back", "--resync"},
                         true},
        other_partitions{"progress_of_a_stream_by_transaction",
                         altered(complete_by_key,
                                 [](auto& of) {
                                     of.progress = progress_of("1");
                                     of.topic_partitions = 1;
                                     of.topic.clear();
                                 }),
                         {"progress of 1 partition,"},
                         {"--resync"},
                         true},
        other_partitions{"one_partition_of_the_other_ordering",
                         altered(complete,
                                 [](auto& of) {
                                     of.stream.ordering = settings::event_ordering::key;
                                     of.stream.partitions = 1;
                                     of.topic[0].ordering = settings::event_ordering::transaction;
                                 }),
                         {"stream.ordering: transaction, and the file says key"},
                         {"set it back, or delete the topic, then crossfade backfill --resync"},
                         true},
        other_partitions{"an_offset_that_one_partition_lacks",
                         altered(complete_by_key, [](auto& of) { of.progress->partitions[1].next_offset = 1; }),
                         {"no longer has offset 1 of partition 1"},
                         {"--resync"}},
        other_partitions{"topic_made_anew",
                         altered(complete_by_key,
                                 [](auto& of) {
                                     of.progress->partitions[2].next_offset = 5;
                                     of.topic_partitions = 0;
                                     of.topic.clear();
                                 }),
                         {"no longer has offset 5 of partition 2"},
                         {"--resync"}}),
    [](const auto& each) { return std::string{each.param.name}; });

TEST(init_plan, a_resync_minds_neither_progress_nor_offsets) {
    auto found = complete();
    found.slot.reset();
    found.progress = progress_of("2", 7);
    found.progress->partitions[0].next_offset = 100;
    const auto made = make_plan(found, unfit_identity::refuse, purpose::anew);
    EXPECT_TRUE(made.objections.empty());
    EXPECT_TRUE(made.create_slot);
    EXPECT_FALSE(made.begin_progress);
}

}  // namespace
}  // namespace crossfade::ctl::init
