#include "proxy/publish/partitioner.hpp"

#include <gtest/gtest.h>

#include <set>

#include "lib/events/codec.hpp"

namespace crossfade::proxy::publish {
namespace {

constexpr int count = 4;

model::cell text(std::string value) {
    return {model::cell_kind::text, std::move(value)};
}

std::shared_ptr<const model::relation> table(model::replica_identity identity) {
    return std::make_shared<const model::relation>(
        model::relation{1, {"public", "a"}, identity, {{"id", 23, -1, true}, {"note", 25, -1, false}}});
}

model::change_event event_at(std::uint64_t lsn, std::uint64_t ordinal, decltype(model::change_event::body) body) {
    model::change_event event;
    event.at = {7, 1, model::lsn{lsn}, ordinal};
    event.publisher = 9;
    event.body = std::move(body);
    return event;
}

model::row_change insert(const std::string& id, model::replica_identity identity) {
    return {table(identity), model::row_operation::insert, model::before_image::absent, {}, {text(id), text("n")}};
}

model::row_change rename(const std::string& from, const std::string& to) {
    return {table(model::replica_identity::primary_key),
            model::row_operation::update,
            model::before_image::key,
            {text(from), {}},
            {text(to), text("n")}};
}

// Empty: not one alone.
std::optional<std::int32_t> partition_of(const partitioner& by, const model::change_event& event) {
    const auto to = by.route_of(event, events::message_key(event));
    return to.first >= 0 && to.second < 0 ? std::optional{to.first} : std::nullopt;
}

TEST(partitioner, gives_all_changes_of_a_row_to_one_partition_and_rows_to_all) {
    const partitioner by{count, model::lsn{100}};
    std::set<std::int32_t> used;
    for (int i = 0; i < 100; ++i) {
        const auto id = std::to_string(i);
        auto change = insert(id, model::replica_identity::primary_key);
        const auto first = partition_of(by, event_at(200, 1, change));
        ASSERT_TRUE(first);
        used.insert(*first);
        change.operation = model::row_operation::update;
        EXPECT_EQ(partition_of(by, event_at(300, 1, change)), first);
        change.operation = model::row_operation::remove;
        change.before_kind = model::before_image::key;
        change.before = {text(id), {}};
        change.after.clear();
        EXPECT_EQ(partition_of(by, event_at(400, 1, change)), first);
    }
    EXPECT_EQ(used, (std::set<std::int32_t>{0, 1, 2, 3}));
}

// Of a topic that was written by an older version the same rows have to be in the same partitions: Java's
// Utils.murmur2("21") & 0x7fffffff is 1 modulo 2 of -973932308, as Kafka's own tests have it.
TEST(partitioner, divides_as_kafka_s_own_producers_do) {
    const partitioner by{1000, model::lsn{100}};
    auto relation = *table(model::replica_identity::nothing);
    relation.table = {"", "21"};
    const auto event = event_at(200, 1, insert("1", model::replica_identity::nothing));
    EXPECT_EQ(by.route_of(event, "21").first, (-973932308 & 0x7fffffff) % 1000);
    EXPECT_EQ(by.route_of(event, "foobar").first, (-790332482 & 0x7fffffff) % 1000);
}

TEST(partitioner, keeps_a_table_together_whose_rows_have_no_identity) {
    const partitioner by{count, model::lsn{100}};
    for (const auto identity : {model::replica_identity::full, model::replica_identity::nothing}) {
        const auto first = partition_of(by, event_at(200, 1, insert("1", identity)));
        for (const char* id : {"2", "3", "4", "5", "6", "7"})
            EXPECT_EQ(partition_of(by, event_at(200, 1, insert(id, identity))), first);
    }
}

TEST(partitioner, gives_what_concerns_several_partitions_to_these) {
    const partitioner by{count, model::lsn{100}};
    const auto rel = table(model::replica_identity::primary_key);
    for (const auto& each :
         {event_at(200, 1, model::truncate{{rel}, false, false}),
          event_at(200, 1, model::logical_message{"crossfade.ddl", "x"}), event_at(200, 0, model::heartbeat{})})
        EXPECT_EQ(by.route_of(each, events::message_key(each)).first, -1);
    unsigned moves = 0;
    for (int i = 0; i < 40; ++i) {
        const auto from = std::to_string(i);
        const auto to = std::to_string(i + 1000);
        const auto before = partition_of(by, event_at(200, 1, insert(from, model::replica_identity::primary_key)));
        const auto after = partition_of(by, event_at(200, 1, insert(to, model::replica_identity::primary_key)));
        const auto event = event_at(200, 1, rename(from, to));
        const auto moved = by.route_of(event, events::message_key(event));
        EXPECT_EQ(moved.first, before);
        EXPECT_EQ(moved.second, before == after ? -1 : *after);
        moves += before != after ? 1 : 0;
    }
    EXPECT_GT(moves, 10U);
    EXPECT_LT(moves, 40U);
}

TEST(partitioner, says_in_each_partition_what_came_before) {
    partitioner by{2, model::lsn{100}};
    auto first = event_at(200, 1, insert("1", model::replica_identity::full));
    first.left = {{1, model::lsn{50}}};
    by.place(first, 0);
    EXPECT_EQ(first.partition_previous, (model::place{model::lsn{99}, 0}));
    EXPECT_EQ(first.left.size(), 1U);

    auto second = event_at(200, 2, insert("1", model::replica_identity::full));
    by.place(second, 0);
    EXPECT_EQ(second.partition_previous, (model::place{model::lsn{200}, 1}));
    EXPECT_TRUE(second.left.empty());

    // The other partition has not seen how this timeline was come to.
    auto third = event_at(200, 3, insert("1", model::replica_identity::full));
    by.place(third, 1);
    EXPECT_EQ(third.partition_previous, (model::place{model::lsn{99}, 0}));
    EXPECT_EQ(third.left.size(), 1U);
}

// What another publisher has sent of a table may be divided in another way, and what this one has.
TEST(partitioner, says_once_in_each_partition_since_when_a_table_is_divided_so) {
    partitioner by{2, model::lsn{100}};
    const auto placed = [&](std::uint64_t lsn, const std::shared_ptr<const model::relation>& rel, int partition) {
        auto event = event_at(lsn, 1, insert("1", model::replica_identity::full));
        std::get<model::row_change>(event.body).rel = rel;
        event.after_others = model::place{model::lsn{1}, 1};
        by.place(event, partition);
        return event.after_others;
    };
    const auto first = table(model::replica_identity::primary_key);
    const model::place begin{model::lsn{99}, 0};
    EXPECT_EQ(placed(200, first, 0), begin);
    EXPECT_EQ(placed(210, first, 0), std::nullopt);
    EXPECT_EQ(placed(220, first, 1), begin);
    EXPECT_EQ(placed(230, first, 1), std::nullopt);

    auto wider = *first;
    wider.columns.push_back({"more", 25, -1, false});
    EXPECT_EQ(placed(240, std::make_shared<const model::relation>(wider), 0), std::nullopt);

    const auto changed = [&](auto change) {
        auto other = wider;
        change(other);
        return std::make_shared<const model::relation>(other);
    };
    for (const auto& other :
         {changed([](auto& rel) { rel.identity = model::replica_identity::full; }),
          changed([](auto& rel) { rel.table.name = "b"; }), changed([](auto& rel) { rel.columns[1].key = true; }),
          changed([](auto& rel) { rel.columns[0].type_oid = 1700; })}) {
        EXPECT_EQ(placed(300, other, 1), (model::place{model::lsn{240}, 1}));
        EXPECT_EQ(placed(310, other, 0), (model::place{model::lsn{240}, 1}));
        EXPECT_EQ(placed(320, other, 0), std::nullopt);
        EXPECT_EQ(placed(240, first, 0), (model::place{model::lsn{320}, 1})) << "back to what it was";
    }
    EXPECT_EQ(placed(400, changed([](auto& rel) {
                         rel.oid = 2;
                         rel.table.name = "new";
                     }),
                     0),
              begin);
}

// The same number of columns of the same types, and others: the key was dropped, and made of another one.
TEST(partitioner, says_that_a_key_is_of_another_column) {
    partitioner by{2, model::lsn{100}};
    const auto placed = [&](std::uint64_t lsn, std::vector<model::column> columns) {
        auto event = event_at(lsn, 1, insert("1", model::replica_identity::full));
        std::get<model::row_change>(event.body).rel = std::make_shared<const model::relation>(
            model::relation{1, {"public", "a"}, model::replica_identity::primary_key, std::move(columns)});
        by.place(event, 0);
        return event.after_others;
    };
    EXPECT_TRUE(placed(200, {{"id", 23, -1, true}, {"other", 23, -1, false}}));
    EXPECT_EQ(placed(210, {{"id", 23, -1, false}, {"other", 23, -1, true}}), (model::place{model::lsn{200}, 1}));
    // By the names that they have swapped since.
    EXPECT_EQ(placed(220, {{"other", 23, -1, true}, {"id", 23, -1, false}}), (model::place{model::lsn{210}, 1}));
}

// A name that goes over to another table, and comes back.
TEST(partitioner, says_that_a_name_is_another_table_s) {
    partitioner by{2, model::lsn{100}};
    const auto named = [](std::uint32_t oid, const char* name) {
        return std::make_shared<const model::relation>(model::relation{
            oid, {"public", name}, model::replica_identity::primary_key, {{"id", 23, -1, true}, {"note", 25, -1}}});
    };
    const auto placed = [&](std::uint64_t lsn, const std::shared_ptr<const model::relation>& rel, int partition) {
        auto event = event_at(lsn, 1, insert("1", model::replica_identity::full));
        std::get<model::row_change>(event.body).rel = rel;
        by.place(event, partition);
        return event.after_others;
    };
    const auto first = named(1, "a");
    EXPECT_EQ(placed(200, first, 0), (model::place{model::lsn{99}, 0}));
    const auto second = named(2, "a");
    EXPECT_EQ(placed(210, second, 1), (model::place{model::lsn{200}, 1}));
    EXPECT_EQ(placed(220, second, 0), (model::place{model::lsn{200}, 1}));
    EXPECT_EQ(placed(230, second, 0), std::nullopt);
    EXPECT_EQ(placed(240, first, 0), (model::place{model::lsn{230}, 1}));
    EXPECT_EQ(placed(250, named(1, "b"), 0), (model::place{model::lsn{240}, 1}));
    EXPECT_EQ(placed(260, second, 0), (model::place{model::lsn{250}, 1}));
    EXPECT_EQ(placed(270, named(3, "a"), 0), (model::place{model::lsn{260}, 1}));
    EXPECT_EQ(placed(280, named(2, "c"), 0), (model::place{model::lsn{270}, 1}));
    EXPECT_EQ(placed(290, named(4, "d"), 0), (model::place{model::lsn{99}, 0}));
}

// What was to be said, and isn't known any more, is said of all that has been sent.
TEST(partitioner, forgets_no_division_that_is_yet_to_be_said) {
    partitioner by{2, model::lsn{100}};
    const auto placed = [&](std::uint64_t lsn, std::uint32_t oid, model::replica_identity identity, int partition) {
        auto event = event_at(lsn, 1, insert("1", identity));
        auto rel = *table(identity);
        rel.oid = oid;
        rel.table.name += std::to_string(oid);
        std::get<model::row_change>(event.body).rel = std::make_shared<const model::relation>(rel);
        by.place(event, partition);
        return event.after_others;
    };
    placed(200, 1, model::replica_identity::full, 0);
    EXPECT_EQ(placed(210, 1, model::replica_identity::primary_key, 1), (model::place{model::lsn{200}, 1}));
    for (std::uint32_t oid = 2; oid <= partitioner::most_tables + 1; ++oid)
        placed(300, oid, model::replica_identity::primary_key, 0);
    const auto told = placed(400, 1, model::replica_identity::primary_key, 0);
    ASSERT_TRUE(told);
    EXPECT_GE(*told, (model::place{model::lsn{200}, 1}));
}

TEST(partitioner, adds_heartbeats_while_there_is_much_wal_without) {
    partitioner by{2, model::lsn{100}};
    auto small = event_at(200, 1, insert("1", model::replica_identity::full));
    small.last = true;
    small.end_lsn = model::lsn{300};
    EXPECT_FALSE(by.follow_up(small));
    auto large = event_at(400, 1, insert("1", model::replica_identity::full));
    large.commit_time = model::source_time{std::chrono::microseconds{77}};
    EXPECT_FALSE(by.follow_up(large)) << "not within a transaction";
    large.last = true;
    large.end_lsn = model::lsn{100 + partitioner::most_unmarked};
    const auto beat = by.follow_up(large);
    ASSERT_TRUE(beat);
    EXPECT_TRUE(beat->last);
    EXPECT_EQ(beat->end_lsn, large.end_lsn);
    EXPECT_EQ(model::place_of(beat->at), (model::place{model::lsn{large.end_lsn.value - 1}, 0}));
    EXPECT_EQ(beat->commit_time, large.commit_time);
    EXPECT_FALSE(by.follow_up(*beat));
    EXPECT_FALSE(by.follow_up(large)) << "marked by now";
}

}  // namespace
}  // namespace crossfade::proxy::publish
