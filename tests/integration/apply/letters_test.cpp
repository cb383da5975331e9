// Dead letters: what was refused, what waits behind it, and what an operator has asked for.
#include <gtest/gtest.h>

#include <csignal>

#include "lib/pgclient/connection.hpp"
#include "lib/store/schema.hpp"
#include "tests/integration/apply/stream_script.hpp"
#include "tests/support/eventually.hpp"

namespace crossfade::cdc {
namespace {

using namespace std::chrono_literals;

const auto stock = table("stock", {"id!", "amount"});
const auto notes = table("notes", {"what", "amount"}, model::replica_identity::full);

// Amounts beyond 100 are refused.
class dead_letters : public testing::Test {
  protected:
    dead_letters()
        : at("CREATE TABLE public.stock (id int PRIMARY KEY, amount int CONSTRAINT few CHECK (amount < 100));"
             "CREATE TABLE public.notes (what text, amount int CONSTRAINT few CHECK (amount < 100))"),
          from(at.publish_as(1)) {
        at.cdc->start();
    }

    // Each in a batch of its own: what a batch comes to as a whole may be fine.
    void apply(const std::vector<std::vector<model::change_event>>& transactions) {
        for (const auto& each : transactions) {
            from.commit(each);
            from.flush();
            ASSERT_TRUE(at.applied(from)) << at.cdc->log();
        }
    }
    void mend() const { at.exec("ALTER TABLE stock DROP CONSTRAINT few; ALTER TABLE notes DROP CONSTRAINT few"); }
    // Asks, and lets the stream move.
    void ask(const std::string& what, const std::string& of = "true") {
        at.exec("UPDATE crossfade.dead_letters SET state = '" + what + "' WHERE " + of);
        from.heartbeat();
        from.flush();
        ASSERT_TRUE(at.applied(from)) << at.cdc->log();
        EXPECT_EQ(at.one("SELECT count(*) FROM crossfade.dead_letters WHERE state IN ('replay', 'discard')"), "0");
    }
    std::string letters() const {
        return at.all("SELECT operation, state, tries FROM crossfade.dead_letters ORDER BY commit_lsn, ordinal");
    }
    std::string stocks() const { return at.all("SELECT id, amount FROM stock ORDER BY id"); }

    stream_fixture at;
    publisher from;
};

TEST_F(dead_letters, what_happens_to_their_row_later_waits_behind_them) {
    apply({{insert(stock, {"1", "5"}), insert(stock, {"2", "5"})},
           {update(stock, {"1", "500"})},
           {update(stock, {"2", "6"})},
           {update(stock, {"1", "7"})}});
    EXPECT_EQ(stocks(), "1|5;2|6");
    EXPECT_EQ(letters(), "update|refused|1;update|behind|1");
    mend();
    ask("replay");
    EXPECT_EQ(stocks(), "1|7;2|6");
    EXPECT_EQ(letters(), "");
    EXPECT_EQ(at.all("SELECT kind, state, key->>'id' FROM crossfade.drift"), "rejected|repaired|1");
    apply({{update(stock, {"1", "8"})}});
    EXPECT_EQ(stocks(), "1|8;2|6");
}

// Change by change, as something else in the batch is refused whichever way.
// The INSERT has one content, the DELETE another, and the row that has the key by now a third.
TEST_F(dead_letters, of_a_table_that_the_source_knows_by_whole_rows_wait_by_the_follower_s_key) {
    const auto whole = table("stock", {"id", "amount"}, model::replica_identity::full);
    apply({{insert(whole, {"1", "500"})},
           {remove(whole, {"1", "500"})},
           {insert(whole, {"1", "7"})},
           {insert(whole, {"2", "7"})}});
    EXPECT_EQ(letters(), "insert|refused|1;delete|behind|1;insert|behind|1");
    EXPECT_EQ(stocks(), "2|7");
    mend();
    ask("replay");
    EXPECT_EQ(stocks(), "1|7;2|7");
    EXPECT_EQ(letters(), "");
}

// Modern takes 'bob' for 'Bob', and legacy might not.
TEST_F(dead_letters, hold_the_whole_table_where_equal_keys_have_several_texts) {
    at.exec(
        "CREATE COLLATION folding (provider = icu, locale = 'und-u-ks-level2', deterministic = false);"
        "CREATE TABLE public.people (name text COLLATE folding PRIMARY KEY, amount int CONSTRAINT few CHECK (amount < "
        "100))");
    const auto people = table("people", {"name!", "amount"});
    apply({{insert(people, {"Bob", "5"})},
           {update(people, {"Bob", "500"})},
           {remove(people, {"Bob", "~"})},
           {insert(people, {"bob", "7"})}});
    EXPECT_EQ(letters(), "update|refused|1;delete|behind|1;insert|behind|1");
    EXPECT_EQ(at.all("SELECT * FROM people"), "Bob|5");
    at.exec("ALTER TABLE people DROP CONSTRAINT few");
    ask("replay");
    EXPECT_EQ(letters(), "");
    EXPECT_EQ(at.all("SELECT * FROM people"), "bob|7");
    EXPECT_EQ(at.all("SELECT kind, state, key->>'name' FROM crossfade.drift ORDER BY key->>'name' COLLATE \"C\""),
              "rejected|repaired|Bob;rejected|repaired|bob");
}

// On both sides the row's identity is another one by then.
TEST_F(dead_letters, hold_what_is_known_by_other_columns_since) {
    at.exec("ALTER TABLE stock ADD COLUMN code text UNIQUE");
    const auto by_id = table("stock", {"id!", "code", "amount"});
    const auto by_code = table("stock", {"id", "code!", "amount"}, model::replica_identity::index);
    apply({{insert(by_id, {"1", "a", "5"}), insert(by_id, {"2", "b", "5"})},
           {update(by_id, {"1", "a", "500"})},
           {update(by_code, {"1", "a", "7"})}});
    EXPECT_EQ(letters(), "update|refused|1;update|behind|1");
    at.cdc->stop();
    at.cdc->start();
    apply({{update(by_code, {"2", "b", "6"})}, {update(by_code, {"1", "a", "8"})}});
    EXPECT_EQ(stocks(), "1|5;2|5");
    mend();
    ask("replay", "state = 'behind'");
    EXPECT_EQ(letters(), "update|refused|1;update|behind|1;update|behind|1;update|behind|1");
    ask("replay");
    EXPECT_EQ(letters(), "");
    EXPECT_EQ(stocks(), "1|8;2|6");
    EXPECT_EQ(at.all("SELECT key::text FROM crossfade.drift WHERE state <> 'repaired'"), "");
}

// Nothing else has been said of the table since.
TEST_F(dead_letters, are_replayed_into_the_columns_that_there_are_then) {
    at.exec("INSERT INTO stock VALUES (2, 5)");
    apply({{insert(stock, {"1", "3000000000"})}, {update(stock, {"2", "6"})}});
    EXPECT_EQ(letters(), "insert|refused|1");
    at.exec("ALTER TABLE stock DROP CONSTRAINT few, ALTER amount TYPE bigint");
    ask("replay");
    EXPECT_EQ(stocks(), "1|3000000000;2|6");
    EXPECT_EQ(letters(), "");
}

TEST_F(dead_letters, of_a_number_are_known_by_its_value) {
    at.exec("CREATE TABLE public.counts (n numeric PRIMARY KEY, amount int CONSTRAINT few CHECK (amount < 100))");
    const auto counts = table("counts", {"n!", "amount"});
    apply({{insert(counts, {"1.0", "5"}), insert(counts, {"2", "5"})},
           {update(counts, {"1.0", "500"})},
           {remove(counts, {"1.0", "~"})},
           {insert(counts, {"1.00", "7"})},
           {update(counts, {"2", "6"})}});
    EXPECT_EQ(letters(), "update|refused|1;delete|behind|1;insert|behind|1");
    EXPECT_EQ(at.all("SELECT * FROM counts ORDER BY 1"), "1.0|5;2|6");
    at.exec("ALTER TABLE counts DROP CONSTRAINT few");
    ask("replay");
    EXPECT_EQ(letters(), "");
    EXPECT_EQ(at.all("SELECT * FROM counts ORDER BY 1"), "1.00|7;2|6");
}

TEST_F(dead_letters, within_one_batch_wait_as_well) {
    apply({{insert(stock, {"3", "500"}), insert(stock, {"1", "500"}), update(stock, {"1", "7"}),
            remove(stock, {"1", "~"}), insert(stock, {"2", "1"})}});
    EXPECT_EQ(stocks(), "2|1");
    EXPECT_EQ(letters(), "insert|refused|1;insert|refused|1;update|behind|1;delete|behind|1");
    mend();
    ask("replay");
    EXPECT_EQ(stocks(), "2|1;3|500");
    EXPECT_EQ(letters(), "");
}

TEST_F(dead_letters, follow_a_row_to_its_new_key) {
    apply({{insert(stock, {"1", "5"})},
           {update(stock, {"1", "500"})},
           {update(stock, {"1", "~"}, {"9", "500"})},
           {insert(stock, {"1", "10"})},
           {update(stock, {"9", "20"})}});
    EXPECT_EQ(stocks(), "1|5");
    mend();
    ask("replay");
    EXPECT_EQ(stocks(), "1|10;9|20");
    EXPECT_EQ(letters(), "");
}

TEST_F(dead_letters, of_a_table_without_a_key_are_known_by_the_whole_row) {
    apply({{insert(notes, {"a", "500"}), insert(notes, {"b", "1"})},
           {update(notes, {"a", "500"}, {"a", "7"})},
           {update(notes, {"b", "1"}, {"b", "2"})}});
    EXPECT_EQ(at.all("SELECT * FROM notes"), "b|2");
    mend();
    ask("replay");
    EXPECT_EQ(at.all("SELECT * FROM notes ORDER BY 1"), "a|7;b|2");
    EXPECT_EQ(letters(), "");
}

TEST_F(dead_letters, stay_when_they_are_refused_again_or_others_are_first) {
    apply({{insert(stock, {"1", "5"})}, {update(stock, {"1", "500"})}, {update(stock, {"1", "7"})}});
    ask("replay", "state = 'behind'");
    EXPECT_EQ(letters(), "update|refused|1;update|behind|1");
    ask("replay", "state = 'refused'");
    EXPECT_EQ(letters(), "update|refused|2;update|behind|1");
    ask("replay");
    EXPECT_EQ(letters(), "update|refused|3;update|behind|1");
    EXPECT_EQ(stocks(), "1|5");
    ask("discard", "state = 'refused'");
    EXPECT_EQ(letters(), "update|behind|1");
    EXPECT_EQ(stocks(), "1|5");
    ask("replay");
    EXPECT_EQ(stocks(), "1|7");
}

TEST_F(dead_letters, are_remembered_by_the_next_process) {
    apply({{insert(stock, {"1", "5"})}, {update(stock, {"1", "500"})}});
    at.cdc->kill9();
    at.cdc->start();
    apply({{update(stock, {"1", "7"})}});
    EXPECT_EQ(stocks(), "1|5");
    EXPECT_EQ(letters(), "update|refused|1;update|behind|1");
}

TEST_F(dead_letters, mean_nothing_any_more_behind_a_truncate) {
    apply({{insert(stock, {"1", "500"})}, {update(stock, {"1", "7"})}});
    EXPECT_EQ(letters(), "insert|refused|1;update|behind|1");
    apply({{truncate({stock})}, {insert(stock, {"1", "8"})}});
    EXPECT_EQ(letters(), "");
    EXPECT_EQ(stocks(), "1|8");
}

TEST_F(dead_letters, of_a_truncate_hold_the_whole_table_and_no_other) {
    apply({{insert(stock, {"1", "5"}), insert(notes, {"a", "1"})}});
    at.exec("CREATE TABLE hanger_on (id int REFERENCES stock)");
    apply({{truncate({stock})}, {insert(stock, {"1", "6"})}, {insert(notes, {"b", "1"})}});
    EXPECT_EQ(stocks(), "1|5");
    EXPECT_EQ(letters(), "truncate|refused|1;insert|behind|1");
    EXPECT_EQ(at.all("SELECT what FROM notes ORDER BY 1"), "a;b");
    at.exec("DROP TABLE hanger_on");
    ask("replay");
    EXPECT_EQ(stocks(), "1|6");
    EXPECT_EQ(letters(), "");
}

TEST_F(dead_letters, behind_a_truncate_of_their_own_transaction_outlive_its_replay) {
    apply({{insert(stock, {"1", "5"})}, {update(stock, {"1", "500"})}});
    at.exec("CREATE TABLE hanger_on (id int REFERENCES stock)");
    apply({{truncate({stock}), insert(stock, {"1", "6"})}});
    EXPECT_EQ(letters(), "update|refused|1;truncate|refused|1;insert|behind|1");
    at.exec("DROP TABLE hanger_on");
    ask("replay", "operation = 'truncate'");
    EXPECT_EQ(letters(), "update|refused|1;truncate|behind|1;insert|behind|1");
    ask("discard", "operation = 'update'");
    ask("replay", "operation = 'truncate'");
    EXPECT_EQ(letters(), "insert|behind|1");
    EXPECT_EQ(stocks(), "");
    ask("replay");
    EXPECT_EQ(stocks(), "1|6");
    EXPECT_EQ(letters(), "");
}

// What is replayed into a table that is being copied would lie over the copy, which is newer.
TEST_F(dead_letters, are_not_replayed_while_a_backfill_is_at_work) {
    apply({{insert(stock, {"1", "500"})}});
    mend();
    at.cdc->stop();
    at.cdc->start({{"CROSSFADE_FAILPOINT", "letters.asked:1:stop"}});
    ASSERT_TRUE(at.in_state("applying")) << at.cdc->log();
    at.exec("UPDATE crossfade.dead_letters SET state = 'replay'");
    from.heartbeat();
    from.flush();
    ASSERT_TRUE(support::eventually(20s, [&] { return at.cdc->stopped(); })) << at.cdc->log();
    auto backfill = pgclient::connection::open(at.modern_dsn(), {}).value();
    ASSERT_TRUE(
        backfill.exec("SELECT pg_advisory_lock($1::int, $2::int)", store::lock_key(store::lock::backfilling, "app")));
    at.cdc->signal(SIGCONT);
    ASSERT_TRUE(at.in_state("held")) << at.cdc->log();
    EXPECT_EQ(letters(), "insert|replay|1");
    EXPECT_EQ(stocks(), "");
    ASSERT_TRUE(backfill.exec("SELECT pg_advisory_unlock_all()"));
    ASSERT_TRUE(at.applied(from)) << at.cdc->log();
    EXPECT_EQ(letters(), "");
    EXPECT_EQ(stocks(), "1|500");
}

TEST_F(dead_letters, of_a_schema_with_a_dot_in_its_name_keep_their_order_after_a_restart) {
    at.exec("CREATE SCHEMA \"odd.name\"; CREATE TABLE \"odd.name\".stock (LIKE stock INCLUDING ALL)");
    auto odd = std::make_shared<model::relation>(*stock);
    odd->oid = 77;
    odd->table.schema = "odd.name";
    apply({{insert(odd, {"1", "5"})}, {update(odd, {"1", "500"})}});
    at.cdc->stop();
    at.cdc->start();
    apply({{update(odd, {"1", "7"})}});
    EXPECT_EQ(letters(), "update|refused|1;update|behind|1");
    at.exec("ALTER TABLE \"odd.name\".stock DROP CONSTRAINT few");
    ask("replay");
    EXPECT_EQ(letters(), "");
    EXPECT_EQ(at.one("SELECT amount FROM \"odd.name\".stock"), "7");
}

TEST_F(dead_letters, that_hold_no_event_hold_up_nobody) {
    apply({{insert(stock, {"1", "500"})}});
    at.exec("UPDATE crossfade.dead_letters SET event = 'x'");
    ask("replay");
    EXPECT_EQ(at.all("SELECT state, sqlstate FROM crossfade.dead_letters"), "refused|XX001");
    apply({{insert(stock, {"2", "1"})}});
    EXPECT_EQ(stocks(), "2|1");
}

TEST_F(dead_letters, say_how_many_they_are) {
    apply({{insert(stock, {"1", "500"})}, {update(stock, {"1", "7"})}});
    EXPECT_TRUE(support::eventually(10s, [&] { return at.metric("crossfade_dead_letters_waiting") == "2"; }));
    EXPECT_EQ(at.metric("crossfade_waiting_rows"), "1");
    mend();
    ask("replay");
    EXPECT_TRUE(support::eventually(10s, [&] { return at.metric("crossfade_dead_letters_waiting") == "0"; }));
    EXPECT_EQ(at.metric("crossfade_dead_letters_served_total{result=\"replayed\""), "2");
}

}  // namespace
}  // namespace crossfade::cdc
