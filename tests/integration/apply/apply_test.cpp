#include <gtest/gtest.h>

#include "tests/integration/apply/stream_script.hpp"
#include "tests/support/eventually.hpp"
#include "tests/support/every_type.hpp"

namespace crossfade::cdc {
namespace {

using model::replica_identity;

const auto accounts = table("accounts", {"id!", "email", "note"});
const std::string accounts_ddl = "CREATE TABLE public.accounts (id bigint PRIMARY KEY, email text UNIQUE, note text)";
const auto journal = table("journal", {"who", "what"}, replica_identity::full);
const std::string journal_ddl = "CREATE TABLE public.journal (who int, what text)";

const std::string all_drift = "SELECT kind, state, key::text, seen FROM crossfade.drift ORDER BY id";

TEST(apply, changes_in_order) {
    stream_fixture at{accounts_ddl};
    at.cdc->start();
    auto from = at.publish_as(1);
    from.commit(
        {insert(accounts, {"1", "a", "x"}), insert(accounts, {"2", "b", "~"}), insert(accounts, {"3", "c", "z"})});
    from.commit({update(accounts, {"1", "a2", "?"}), remove(accounts, {"3", "~", "~"})});
    from.commit({update(accounts, {"2", "~", "~"}, {"20", "b", "?"})});
    from.heartbeat();
    from.flush();
    ASSERT_TRUE(at.applied(from)) << at.cdc->log();
    EXPECT_EQ(at.all("SELECT * FROM accounts ORDER BY id"), "1|a2|x;20|b|");
    EXPECT_EQ(at.all(all_drift), "");
    EXPECT_TRUE(at.in_state("applying"));
    EXPECT_TRUE(support::eventually(
        std::chrono::seconds{5}, [&] { return at.metric("crossfade_events_applied_total{kind=\"insert\"") == "3"; }));
    EXPECT_EQ(at.cdc->stop(), 0);
}

TEST(apply, f07_every_type_to_the_byte) {
    const auto& types = support::every_type();
    std::vector<std::string> columns{"id!"};
    values first{"1"};
    values null{"2"};
    for (std::size_t i = 0; i < types.size(); ++i) {
        columns.push_back("c" + std::to_string(i));
        first.push_back(types[i].value);
        null.emplace_back("~");
    }
    stream_fixture at{support::own_types + support::wide_table("public.wide", "int PRIMARY KEY")};
    const auto wide = table("wide", columns);
    at.cdc->start();
    auto from = at.publish_as(1);
    auto updated = first;
    updated[0] = "2";
    auto single = first;
    single[0] = "3";
    from.commit({insert(wide, first), insert(wide, null)});
    from.flush();
    ASSERT_TRUE(at.applied(from)) << at.cdc->log();
    from.commit({update(wide, updated)});
    values key(columns.size(), "~");
    key[0] = "1";
    from.commit({update(wide, key, single)});
    from.flush();
    ASSERT_TRUE(at.applied(from)) << at.cdc->log();
    EXPECT_EQ(at.all("SELECT table_name, sqlstate, reason FROM crossfade.dead_letters"), "") << at.cdc->log();
    for (const char* id : {"2", "3"}) {
        for (std::size_t i = 0; i < types.size(); ++i) {
            const auto column = "c" + std::to_string(i);
            const auto got = at.one("SET intervalstyle = postgres; SET timezone = 'UTC'; SELECT " + column +
                                    "::text FROM wide WHERE id = " + id);
            auto expected = types[i].value;
            // A cast to text cuts char(n)'s blanks and names booleans whole.
            if (types[i].type == "char(5)") expected.resize(expected.find(' '));
            if (types[i].type == "boolean") expected = "true";
            EXPECT_EQ(got, expected) << types[i].type;
        }
    }
}

// Many new rows take another way to the follower than few.
TEST(apply, f07_every_type_to_the_byte_where_rows_are_copied) {
    const auto& types = support::every_type();
    std::vector<std::string> columns{"id!"};
    for (std::size_t i = 0; i < types.size(); ++i) columns.push_back("c" + std::to_string(i));
    stream_fixture at{support::own_types + support::wide_table("public.wide", "int PRIMARY KEY")};
    const auto wide = table("wide", columns);
    at.cdc->start();
    auto from = at.publish_as(1);
    const auto write = [&](int first, int count) {
        std::vector<model::change_event> events;
        for (int id = first; id < first + count; ++id) {
            values row{std::to_string(id)};
            for (const auto& each : types) row.push_back(id % 7 == 0 ? "~" : each.value);
            events.push_back(insert(wide, row));
        }
        from.commit(events);
        from.flush();
        ASSERT_TRUE(at.applied(from)) << at.cdc->log();
    };
    write(1, 3);
    write(4, 200);
    EXPECT_EQ(at.all("SELECT reason FROM crossfade.dead_letters"), "");
    EXPECT_EQ(at.all(all_drift), "");
    // The first few came the other way.
    std::string same = "true";
    for (std::size_t i = 0; i < types.size(); ++i) {
        const auto column = "c" + std::to_string(i);
        same += " AND (w." + column + " IS NULL AND w.id % 7 = 0 OR w." + column + "::text = one." + column + "::text)";
    }
    EXPECT_EQ(at.one("SELECT count(*) FROM wide w, wide one WHERE one.id = 1 AND " + same), "203");
}

TEST(apply, a_row_in_the_way_of_many_new_ones_is_a_conflict_and_the_others_arrive) {
    stream_fixture at{accounts_ddl + ";" + journal_ddl +
                      "; ALTER TABLE accounts ADD CONSTRAINT few CHECK (note <> 'refused')"};
    at.exec("INSERT INTO accounts VALUES (77, 'mine', 'by hand')");
    at.cdc->start();
    auto from = at.publish_as(1);
    std::vector<model::change_event> events;
    for (int id = 1; id <= 300; ++id) {
        const auto text = std::to_string(id);
        events.push_back(insert(accounts, {text, "a" + text, id == 200 ? "refused" : "x"}));
        events.push_back(insert(journal, {text, "\\N\t\n"}));
    }
    from.commit(events);
    from.flush();
    ASSERT_TRUE(at.applied(from)) << at.cdc->log();
    EXPECT_EQ(at.one("SELECT count(*) || ' ' || max(email) FILTER (WHERE id = 77) FROM accounts"), "299 a77");
    EXPECT_EQ(at.one("SELECT count(*) || ' ' || count(*) FILTER (WHERE what = E'\\\\N\\t\\n') FROM journal"),
              "300 300");
    EXPECT_EQ(at.all("SELECT kind, state, key->>'id' FROM crossfade.drift ORDER BY id"),
              "insert_exists|repaired|77;rejected|confirmed|200");
}

// The order in which a column is added without a stop: the follower first.
TEST(apply, a_column_that_both_sides_were_given_is_found_at_once) {
    stream_fixture at{"CREATE TABLE public.growing (id int PRIMARY KEY)"};
    at.cdc->start();
    auto from = at.publish_as(1);
    from.commit({insert(table("growing", {"id!"}), {"1"})});
    from.flush();
    ASSERT_TRUE(at.applied(from)) << at.cdc->log();
    at.exec("ALTER TABLE growing ADD extra text");
    from.commit({insert(table("growing", {"id!", "extra"}), {"2", "x"})});
    from.flush();
    ASSERT_TRUE(at.applied(from)) << at.cdc->log();
    EXPECT_EQ(at.all("SELECT * FROM growing ORDER BY id"), "1|;2|x");
    EXPECT_EQ(at.all("SELECT reason FROM crossfade.dead_letters"), "");

    const auto wide = table("growing", {"id!", "extra", "more"});
    from.commit({insert(wide, {"3", "x", "y"})});
    from.flush();
    ASSERT_TRUE(at.applied(from)) << at.cdc->log();
    EXPECT_EQ(at.all("SELECT reason FROM crossfade.dead_letters"),
              "the follower's table public.growing has no column more");
    at.exec("ALTER TABLE growing ADD more text");
    from.commit({insert(wide, {"4", "x", "y"})});
    from.flush();
    ASSERT_TRUE(at.applied(from)) << at.cdc->log();
    EXPECT_EQ(at.all("SELECT * FROM growing ORDER BY id"), "1||;2|x|;4|x|y");
}

TEST(apply, conflicts_get_their_kind) {
    stream_fixture at{
        accounts_ddl +
        "; INSERT INTO accounts VALUES (1, 'mine', 'x'), (2, 'b', 'y'), (4, 'taken', 'y'), (5, 'e', 'e')"};
    at.cdc->start();
    auto from = at.publish_as(1);
    from.commit({insert(accounts, {"1", "a", "x"})});      // insert_exists, repaired
    from.commit({update(accounts, {"7", "g", "x"})});      // update_missing, repaired
    from.commit({update(accounts, {"8", "h", "?"})});      // update_missing, not to be repaired
    from.commit({remove(accounts, {"9", "~", "~"})});      // delete_missing
    from.commit({insert(accounts, {"3", "taken", "x"})});  // another row is in the way
    from.commit({insert(accounts, {"5", "taken", "x"})});  // and two of them
    from.commit({update(accounts, {"2", "b2", "y"})});     // fine
    from.flush();
    ASSERT_TRUE(at.applied(from)) << at.cdc->log();
    EXPECT_EQ(at.all("SELECT * FROM accounts ORDER BY id"), "1|a|x;2|b2|y;4|taken|y;5|e|e;7|g|x");
    EXPECT_EQ(
        at.all("SELECT kind, state, key->>'id' FROM crossfade.drift ORDER BY id"),
        "insert_exists|repaired|1;update_missing|repaired|7;update_missing|confirmed|8;delete_missing|repaired|9;"
        "insert_exists|confirmed|3;rejected|confirmed|3;multiple_unique_conflicts|confirmed|5;rejected|confirmed|5");
    EXPECT_EQ(at.one("SELECT columns::text FROM crossfade.drift WHERE kind = 'insert_exists' AND key->>'id' = '1'"),
              "{email}");
    EXPECT_EQ(
        at.one("SELECT count(*) FROM crossfade.drift WHERE authority_digest = (SELECT md5(ROW(id::text, email::text, "
               "note::text)::text) FROM accounts WHERE id = 1)"),
        "1");
    EXPECT_TRUE(support::eventually(std::chrono::seconds{10}, [&] {
        return at.metric(
                   "crossfade_drift_rows{kind=\"update_missing\",state=\"confirmed\",stream=\"app\",table=\"public."
                   "accounts\",tenant="
                   "\"\"}") == "1";
    })) << at.status();
    EXPECT_EQ(at.metric("crossfade_conflicts_total{kind=\"delete_missing\""), "1");
}

TEST(apply, rows_written_by_others_are_seen) {
    const auto whole = table("whole", {"id!", "a"}, replica_identity::full);
    stream_fixture at{accounts_ddl + "; CREATE TABLE public.whole (id int PRIMARY KEY, a text)"};
    at.cdc->start();
    auto from = at.publish_as(1);
    from.commit({insert(accounts, {"1", "a", "x"}), insert(accounts, {"2", "b", "x"}), insert(whole, {"1", "a"})});
    from.flush();
    ASSERT_TRUE(at.applied(from)) << at.cdc->log();
    at.exec("UPDATE accounts SET note = 'by hand'");
    at.exec("SET session_replication_role = replica; UPDATE whole SET a = 'by hand'");
    from.commit({update(accounts, {"1", "a", "y"})});
    from.commit({remove(accounts, {"2", "~", "~"})});
    from.commit({update(whole, {"1", "a"}, {"1", "b"})});
    from.flush();
    ASSERT_TRUE(at.applied(from)) << at.cdc->log();
    EXPECT_EQ(at.all("SELECT kind, state, table_name, columns::text FROM crossfade.drift ORDER BY id"),
              "update_origin_differs|repaired|public.accounts|;delete_origin_differs|repaired|public.accounts|;"
              "update_origin_differs|repaired|public.whole|{a}");
    EXPECT_EQ(at.all("SELECT * FROM accounts"), "1|a|y");
    EXPECT_EQ(at.all("SELECT * FROM whole"), "1|b");
}

TEST(apply, what_cannot_be_applied_is_a_dead_letter_and_the_rest_goes_on) {
    stream_fixture at{"CREATE TABLE public.accounts (id bigint PRIMARY KEY, email varchar(3), note text)"};
    at.cdc->start();
    auto from = at.publish_as(1);
    from.commit({insert(accounts, {"1", "ok", "x"}), insert(accounts, {"2", "secret", "x"}),
                 insert(accounts, {"nan", "c", "x"}), insert(accounts, {"3", "ok", "x"})});
    from.commit({insert(table("nowhere", {"id!"}), {"1"})});
    from.commit({insert(table("accounts", {"id!", "email", "note", "newer"}), {"4", "d", "x", "y"})});
    from.commit({insert(accounts, {"5", "ok", "x"})});
    from.flush();
    ASSERT_TRUE(at.applied(from)) << at.cdc->log();
    EXPECT_EQ(at.all("SELECT id FROM accounts ORDER BY id"), "1;3;5");
    EXPECT_EQ(at.all("SELECT table_name, operation, sqlstate, ordinal FROM crossfade.dead_letters ORDER BY id"),
              "public.accounts|insert|22001|2;public.accounts|insert|22P02|3;public.nowhere|insert|42P01|1;"
              "public.accounts|insert|42703|1");
    EXPECT_EQ(at.one("SELECT count(*) FROM crossfade.dead_letters WHERE reason LIKE '%nan%' OR reason LIKE '%secret%'"),
              "0");
    EXPECT_EQ(at.cdc->log().find("secret"), std::string::npos);
    EXPECT_TRUE(support::eventually(std::chrono::seconds{20}, [&] {
        return at.one("SELECT count(*) FROM crossfade.dead_letters WHERE published_at IS NULL") == "0";
    })) << at.cdc->log();
    EXPECT_EQ(at.metric("crossfade_dead_letters_total"), "4");
}

// Which may be another one of what is equal; numbers that end with zeros are.
TEST(apply, a_row_in_the_way_of_a_new_one_gets_its_key) {
    stream_fixture at{
        "CREATE TABLE public.counts (n numeric PRIMARY KEY, what text); INSERT INTO counts VALUES (1.0, 'modern')"};
    at.cdc->start();
    auto from = at.publish_as(1);
    from.commit({insert(table("counts", {"n!", "what"}), {"1.00", "legacy"})});
    from.flush();
    ASSERT_TRUE(at.applied(from)) << at.cdc->log();
    EXPECT_EQ(at.all("SELECT * FROM counts"), "1.00|legacy");
    EXPECT_EQ(at.all("SELECT kind, state FROM crossfade.drift"), "insert_exists|repaired");
}

TEST(apply, tables_without_a_key_count_each_row) {
    stream_fixture at{journal_ddl};
    at.cdc->start();
    auto from = at.publish_as(1);
    from.commit({insert(journal, {"1", "a"}), insert(journal, {"1", "a"}), insert(journal, {"1", "a"}),
                 insert(journal, {"2", "~"})});
    from.commit({remove(journal, {"1", "a"}), update(journal, {"1", "a"}, {"1", "b"}), remove(journal, {"2", "~"})});
    from.flush();
    ASSERT_TRUE(at.applied(from)) << at.cdc->log();
    EXPECT_EQ(at.all("SELECT who, what, count(*) FROM journal GROUP BY 1, 2 ORDER BY 1, 2"), "1|a|1;1|b|1");
    EXPECT_EQ(at.all(all_drift), "");
}

TEST(apply, f08_unique_values_may_swap_within_a_batch) {
    stream_fixture at{accounts_ddl + "; INSERT INTO accounts VALUES (1, 'a', ''), (2, 'b', '')"};
    auto from = at.publish_as(1);
    from.commit(
        {update(accounts, {"1", "tmp", "x"}), update(accounts, {"2", "a", "x"}), update(accounts, {"1", "b", "x"})});
    from.flush();
    at.cdc->start();
    ASSERT_TRUE(at.applied(from)) << at.cdc->log();
    EXPECT_EQ(at.all("SELECT id, email FROM accounts ORDER BY id"), "1|b;2|a");
    EXPECT_EQ(at.all(all_drift), "");
}

TEST(apply, truncate_is_a_barrier) {
    stream_fixture at{accounts_ddl};
    auto from = at.publish_as(1);
    from.commit({insert(accounts, {"1", "a", "x"})});
    from.commit({truncate({accounts}), insert(accounts, {"1", "b", "y"})});
    from.flush();
    at.cdc->start();
    ASSERT_TRUE(at.applied(from)) << at.cdc->log();
    EXPECT_EQ(at.all("SELECT * FROM accounts"), "1|b|y");
    EXPECT_EQ(at.all(all_drift), "");
}

TEST(apply, truncate_leaves_alone_what_refers_to_it_and_was_copied_since) {
    stream_fixture at{accounts_ddl +
                      "; CREATE TABLE public.notes (id int PRIMARY KEY, account bigint REFERENCES public.accounts);"
                      " INSERT INTO accounts VALUES (1, 'a', 'x'), (2, 'b', 'x'); INSERT INTO notes VALUES (1, 1)"};
    at.exec(
        "INSERT INTO crossfade.tables (stream, table_name, state, copied_lsn) VALUES ('app', 'public.notes', 'live',"
        " '0/9000000')");
    auto from = at.publish_as(1);
    from.commit({truncate({accounts, table("notes", {"id!", "account"})}), insert(accounts, {"1", "b", "y"})});
    from.flush();
    at.cdc->start();
    ASSERT_TRUE(at.applied(from)) << at.cdc->log();
    EXPECT_EQ(at.all("SELECT * FROM accounts"), "1|b|y");
    EXPECT_EQ(at.all("SELECT * FROM notes"), "1|1");
    EXPECT_EQ(at.all(all_drift), "");
}

TEST(apply, generated_and_identity_columns) {
    stream_fixture at{
        "CREATE TABLE public.items (id int GENERATED ALWAYS AS IDENTITY PRIMARY KEY, price numeric, doubled numeric"
        " GENERATED ALWAYS AS (price * 2) STORED)"};
    const auto items = table("items", {"id!", "price"});
    at.cdc->start();
    auto from = at.publish_as(1);
    from.commit({insert(items, {"41", "2"}), insert(items, {"42", "3"})});
    from.commit({update(items, {"41", "5"})});
    from.flush();
    ASSERT_TRUE(at.applied(from)) << at.cdc->log();
    EXPECT_EQ(at.all("SELECT * FROM items ORDER BY id"), "41|5|10;42|3|6");
    EXPECT_EQ(at.all(all_drift), "");
    // The authority has come to write the column itself.
    const auto written = table("items", {"id!", "price", "doubled"});
    from.commit({update(written, {"41", "5", "11"})});
    from.flush();
    ASSERT_TRUE(at.applied(from)) << at.cdc->log();
    EXPECT_EQ(at.all("SELECT operation, sqlstate, reason FROM crossfade.dead_letters"),
              "update|428C9|the follower's table public.items generates doubled, which the source has values of");
    at.exec("ALTER TABLE items ALTER doubled DROP EXPRESSION; UPDATE crossfade.dead_letters SET state = 'replay'");
    from.heartbeat();
    from.flush();
    ASSERT_TRUE(at.applied(from)) << at.cdc->log();
    EXPECT_EQ(at.all("SELECT * FROM items ORDER BY id"), "41|5|11;42|3|6");
}

TEST(apply, a_transaction_larger_than_a_batch_is_applied_in_parts) {
    stream_fixture at{journal_ddl, ", batch_bytes: 65536, batch_rows: 100"};
    at.cdc->start();
    auto from = at.publish_as(1);
    std::vector<model::change_event> events;
    for (int i = 0; i < 5000; ++i) events.push_back(insert(journal, {std::to_string(i), std::string(50, 'x')}));
    // The first publisher dies in the middle; the other begins anew.
    from.cut_off(events, 4000);
    from.flush();
    auto other = at.publish_as(2);
    other.commit(events);
    other.flush();
    ASSERT_TRUE(at.applied(other)) << at.cdc->log();
    EXPECT_EQ(at.one("SELECT count(*) || ' ' || count(DISTINCT who) FROM journal"), "5000 5000");
}

}  // namespace
}  // namespace crossfade::cdc
