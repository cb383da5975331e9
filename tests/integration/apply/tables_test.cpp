// Tables that are other than most: which rows of the follower a change is of.
#include <gtest/gtest.h>

#include <csignal>

#include "tests/integration/apply/stream_script.hpp"
#include "tests/support/eventually.hpp"

namespace crossfade::cdc {
namespace {

using model::replica_identity;

const std::string all_drift = "SELECT kind, state, key::text FROM crossfade.drift ORDER BY id";

class tables : public testing::Test {
  protected:
    void begin(const std::string& ddl) {
        at = std::make_unique<stream_fixture>(ddl);
        at->cdc->start();
        from.emplace(at->publish_as(1));
    }
    void apply(const std::vector<model::change_event>& transaction) {
        from->commit(transaction);
        from->flush();
        ASSERT_TRUE(at->applied(*from)) << at->cdc->log();
    }
    std::string letters() const {
        return at->all("SELECT operation, sqlstate FROM crossfade.dead_letters ORDER BY id");
    }

    std::unique_ptr<stream_fixture> at;
    std::optional<publisher> from;
};

// The first row of each partition has the same ctid.
TEST_F(tables, of_partitions_without_a_key_lose_the_row_that_is_meant) {
    const auto log = table("log", {"day", "what"}, replica_identity::full);
    begin(
        "CREATE TABLE public.log (day int, what text) PARTITION BY LIST (day);"
        "CREATE TABLE public.log1 PARTITION OF log FOR VALUES IN (1);"
        "CREATE TABLE public.log2 PARTITION OF log FOR VALUES IN (2)");
    apply({insert(log, {"1", "a"}), insert(log, {"2", "b"})});
    apply({remove(log, {"1", "a"})});
    EXPECT_EQ(at->all("SELECT * FROM log"), "2|b");
    apply({insert(log, {"1", "c"})});
    apply({update(log, {"1", "c"}, {"1", "d"})});
    EXPECT_EQ(at->all("SELECT * FROM log ORDER BY day"), "1|d;2|b");
    EXPECT_EQ(at->all(all_drift), "");
}

TEST_F(tables, others_that_inherit_have_events_of_their_own) {
    const auto parent = table("parent", {"id!", "note"});
    const auto child = table("child", {"id!", "note"});
    begin(
        "CREATE TABLE public.parent (id int PRIMARY KEY, note text);"
        "CREATE TABLE public.child (PRIMARY KEY (id)) INHERITS (parent)");
    apply({insert(parent, {"5", "a"}), insert(parent, {"6", "b"})});
    // As rows are moved to a partition of the old kind.
    apply({insert(child, {"5", "a"}), remove(parent, {"5", "~"})});
    EXPECT_EQ(at->all("SELECT tableoid::regclass, id, note FROM parent ORDER BY id"), "child|5|a;parent|6|b");
    apply({insert(child, {"6", "other"}), update(parent, {"6", "c"})});
    EXPECT_EQ(at->all("SELECT tableoid::regclass, id, note FROM parent ORDER BY id, note"),
              "child|5|a;parent|6|c;child|6|other");
    apply({truncate({parent})});
    EXPECT_EQ(at->all("SELECT id FROM parent ORDER BY id"), "5;6");
    EXPECT_EQ(at->all(all_drift), "");
}

// Nothing keeps the follower's rows apart for as long as both have one key.
TEST_F(tables, whose_key_is_deferrable_may_swap_it) {
    const auto places = table("places", {"pos", "name"}, replica_identity::full);
    begin("CREATE TABLE public.places (pos int PRIMARY KEY DEFERRABLE, name text)");
    apply({insert(places, {"1", "a"}), insert(places, {"2", "b"})});
    apply({update(places, {"1", "a"}, {"2", "a"}), update(places, {"2", "b"}, {"1", "b"})});
    EXPECT_EQ(at->all("SELECT * FROM places ORDER BY pos"), "1|b;2|a");
    EXPECT_EQ(at->all(all_drift), "");
}

TEST_F(tables, that_number_their_rows_always_have_the_authority_s_numbers) {
    const auto cart = table("cart", {"customer!", "no", "note"});
    begin(
        "CREATE TABLE public.cart (customer int PRIMARY KEY, no bigint GENERATED ALWAYS AS IDENTITY, note text,"
        " of_modern text DEFAULT clock_timestamp())");
    apply({insert(cart, {"1", "1", "a"}), insert(cart, {"2", "7", "b"})});
    // The row is another one, with another number.
    apply({remove(cart, {"1", "~", "~"}), insert(cart, {"1", "2", "a"})});
    EXPECT_EQ(at->all("SELECT customer, no, note FROM cart ORDER BY customer"), "1|2|a;2|7|b");
    EXPECT_EQ(at->all(all_drift), "");
    // UPDATE cart SET no = DEFAULT.
    const auto own = at->one("SELECT of_modern FROM cart WHERE customer = 2");
    apply({update(cart, {"2", "8", "?"})});
    EXPECT_EQ(at->all("SELECT customer, no, note, of_modern FROM cart WHERE customer = 2"), "2|8|b|" + own);
    apply({update(cart, {"2", "8", "c"})});
    EXPECT_EQ(at->all("SELECT no, note FROM cart WHERE customer = 2"), "8|c");
    EXPECT_EQ(letters(), "");
    EXPECT_EQ(at->all(all_drift), "");
}

// Which the authority doesn't have to.
TEST_F(tables, that_number_their_rows_on_the_follower_alone_have_the_authority_s_keys) {
    const auto items = table("items", {"id!", "note"});
    begin("CREATE TABLE public.items (id int GENERATED ALWAYS AS IDENTITY PRIMARY KEY, note text)");
    apply({insert(items, {"41", "a"})});
    apply({update(items, {"41", "~"}, {"100", "a"})});
    EXPECT_EQ(at->all("SELECT * FROM items"), "100|a");
    apply({update(items, {"100", "b"})});
    EXPECT_EQ(at->all("SELECT * FROM items"), "100|b");
    EXPECT_EQ(letters(), "");
    EXPECT_EQ(at->all(all_drift), "");
}

// Whose number is the follower's own: found out, and not said to be mended.
TEST_F(tables, of_which_a_row_is_in_the_way_of_a_new_one_get_its_number) {
    const auto cart = table("cart", {"customer!", "no"});
    begin("CREATE TABLE public.cart (customer int PRIMARY KEY, no bigint GENERATED ALWAYS AS IDENTITY)");
    at->exec("INSERT INTO cart (customer) VALUES (1)");
    apply({insert(cart, {"1", "70"})});
    EXPECT_EQ(at->all("SELECT * FROM cart"), "1|70");
    EXPECT_EQ(at->all("SELECT kind, state FROM crossfade.drift"), "insert_exists|repaired");
}

// The stream's key isn't the follower's.
TEST_F(tables, that_have_a_key_twice_are_said_to) {
    const auto twins = table("twins", {"id!", "note"});
    begin("CREATE TABLE public.twins (id int NOT NULL, note text)");
    at->exec("INSERT INTO twins VALUES (1, 'a'), (1, 'b')");
    apply({update(twins, {"1", "c"})});
    EXPECT_EQ(at->all("SELECT kind, state FROM crossfade.drift"), "multiple_unique_conflicts|confirmed");
}

// Between its DELETE and its new INSERT the chunk that it belongs to was read.
TEST_F(tables, that_are_copied_have_the_rows_that_came_again) {
    const auto items = table("items", {"id!", "note"});
    begin("CREATE TABLE public.items (id int PRIMARY KEY, note text)");
    at->cdc->stop();
    at->exec(
        "INSERT INTO crossfade.tables (stream, table_name, state) VALUES ('app', 'public.items', 'backfilling');"
        "INSERT INTO crossfade.backfills (stream, table_name, state, key_columns, reason)"
        " VALUES ('app', 'public.items', 'copying', 'id', 'held by the test')");
    from->commit({remove(items, {"7", "~"})});
    from->commit({insert(items, {"7", "new"})});
    from->flush();
    at->cdc->start();
    ASSERT_TRUE(at->applied(*from)) << at->cdc->log();
    EXPECT_EQ(at->all("SELECT * FROM items"), "7|new");
}

// By a migration on the follower, once rows have been written there.
TEST_F(tables, that_come_to_be_partitioned_have_the_changes_that_are_meant) {
    const auto items = table("items", {"id!", "note"});
    begin("CREATE TABLE public.items (id int PRIMARY KEY, note text)");
    apply({insert(items, {"7", "a"}), insert(items, {"8", "b"})});
    at->exec(
        "BEGIN; ALTER TABLE items RENAME TO items_1;"
        "CREATE TABLE public.items (LIKE items_1 INCLUDING ALL) PARTITION BY RANGE (id);"
        "ALTER TABLE items ATTACH PARTITION items_1 FOR VALUES FROM (0) TO (100); COMMIT");
    apply({remove(items, {"7", "~"})});
    apply({update(items, {"8", "c"})});
    EXPECT_EQ(at->all("SELECT * FROM items"), "8|c");
    EXPECT_EQ(letters(), "");
    EXPECT_EQ(at->all(all_drift), "");
}

// Rows that are refused are met by the new columns, too.
TEST_F(tables, that_get_other_types_are_written_as_they_are_now) {
    const auto items = table("items", {"id!", "at", "r", "n"});
    begin("CREATE TABLE public.items (id int PRIMARY KEY, at date, r real, n int CHECK (n <> 3))");
    apply({insert(items, {"1", "2024-05-05", "0.5", "1"})});
    at->exec("ALTER TABLE items ALTER at TYPE timestamp, ALTER r TYPE double precision");
    apply({insert(items, {"2", "2024-05-05 13:14:15", "0.1", "1"})});
    at->exec("ALTER TABLE items ALTER r TYPE numeric, ALTER n TYPE bigint");
    apply({insert(items, {"3", "2024-05-05 13:14:15", "0.12345678901234567890", "3000000000"}),
           insert(items, {"4", "2024-05-05 13:14:15", "0.1", "3"})});
    EXPECT_EQ(at->all("SELECT * FROM items ORDER BY id"),
              "1|2024-05-05 00:00:00|0.5|1;2|2024-05-05 13:14:15|0.1|1;"
              "3|2024-05-05 13:14:15|0.12345678901234567890|3000000000");
    EXPECT_EQ(letters(), "insert|23514");
}

// Once the batch knows them, and before it has written there.
TEST_F(tables, that_get_other_types_in_the_middle_of_a_batch_are_written_as_they_are_then) {
    const auto items = table("items", {"id!", "at"});
    begin("CREATE TABLE public.items (id int PRIMARY KEY, at date)");
    at->cdc->stop();
    at->cdc->start({{"CROSSFADE_FAILPOINT", "apply.careful:1:stop"}});
    from->commit({remove(items, {"9", "~"}), insert(items, {"1", "2024-05-05 13:14:15"})});
    from->flush();
    ASSERT_TRUE(support::eventually(std::chrono::seconds{20}, [&] { return at->cdc->stopped(); })) << at->cdc->log();
    at->exec("ALTER TABLE items ALTER at TYPE timestamp");
    at->cdc->signal(SIGCONT);
    ASSERT_TRUE(at->applied(*from)) << at->cdc->log();
    EXPECT_EQ(at->all("SELECT * FROM items"), "1|2024-05-05 13:14:15");
    EXPECT_EQ(at->all("SELECT kind, state, seen FROM crossfade.drift"), "delete_missing|repaired|1");
}

TEST_F(tables, that_the_follower_publishes_without_an_identity_hold_up_no_others) {
    const auto log = table("log", {"day", "what"}, replica_identity::full);
    const auto items = table("items", {"id!"});
    begin(
        "CREATE TABLE public.log (day int, what text); CREATE TABLE public.items (id int PRIMARY KEY);"
        "CREATE PUBLICATION back FOR TABLE log");
    apply({insert(log, {"1", "a"})});
    apply({update(log, {"1", "a"}, {"1", "b"}), insert(items, {"1"})});
    EXPECT_EQ(at->all("SELECT * FROM items"), "1");
    EXPECT_EQ(letters(), "update|55000");
}

}  // namespace
}  // namespace crossfade::cdc
