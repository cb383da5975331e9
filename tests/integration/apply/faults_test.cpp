// Faults that broke other streams, at the follower: by the numbers of the list. Those of types and of unique values are
// in apply_test.cpp, those of the source in tests/integration/capture.
#include <gtest/gtest.h>
#include <libpq-fe.h>

#include <memory>

#include "tests/integration/apply/stream_script.hpp"
#include "tests/support/eventually.hpp"

namespace crossfade::cdc {
namespace {

using namespace std::chrono_literals;

const auto accounts = table("accounts", {"id!", "email", "note"});
const std::string accounts_ddl = "CREATE TABLE public.accounts (id bigint PRIMARY KEY, email text UNIQUE, note text)";
const std::string found =
    "SELECT kind, key::text FROM crossfade.drift UNION ALL SELECT reason, '' FROM crossfade.dead_letters";

TEST(faults, f05_a_row_inserted_and_changed_in_part_within_a_batch_keeps_the_rest) {
    const std::string large(5000, 'x');
    stream_fixture at{accounts_ddl + "; INSERT INTO accounts VALUES (3, 'old', '" + large + "')"};
    auto from = at.publish_as(1);
    from.commit({insert(accounts, {"1", "a", large}), update(accounts, {"1", "b", "?"})});
    from.commit({insert(accounts, {"2", "c", large})});
    from.commit({update(accounts, {"2", "d", "?"})});
    from.commit({update(accounts, {"2", "~", "~"}, {"20", "e", "?"})});
    from.commit({update(accounts, {"3", "f", "?"})});
    from.commit({update(accounts, {"3", "g", "?"})});
    from.flush();
    at.cdc->start();
    ASSERT_TRUE(at.applied(from)) << at.cdc->log();
    EXPECT_EQ(at.all("SELECT id, email, length(note) FROM accounts ORDER BY id"), "1|b|5000;3|g|5000;20|e|5000");
    EXPECT_EQ(at.all(found), "");
}

TEST(faults, f06_progress_stays_where_it_is_while_nothing_can_be_written) {
    stream_fixture at{
        accounts_ddl +
        "; CREATE FUNCTION full_disk() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE 'no room' USING "
        "ERRCODE = 'disk_full'; END $$; CREATE TRIGGER full_disk BEFORE INSERT ON accounts FOR EACH ROW "
        "WHEN (new.id > 20) EXECUTE FUNCTION full_disk()"};
    at.cdc->start();
    auto from = at.publish_as(1);
    from.commit({insert(accounts, {"1", "a", "x"})});
    from.flush();
    ASSERT_TRUE(at.applied(from)) << at.cdc->log();
    const std::string progress = "SELECT commit_lsn, end_lsn, next_offset FROM crossfade.progress";
    const auto before = at.all(progress);
    at.exec("ALTER TABLE accounts ENABLE ALWAYS TRIGGER full_disk");
    std::vector<model::change_event> all;
    for (int id = 2; id <= 30; ++id) all.push_back(insert(accounts, {std::to_string(id), "~", "x"}));
    from.commit(all);
    from.flush();
    ASSERT_TRUE(support::eventually(20s, [&] { return at.cdc->log().find("53100") != std::string::npos; }))
        << at.cdc->log();
    EXPECT_EQ(at.all(progress), before);
    EXPECT_EQ(at.one("SELECT count(*) FROM accounts"), "1");
    at.exec("DROP TRIGGER full_disk ON accounts");
    ASSERT_TRUE(at.applied(from)) << at.cdc->log();
    EXPECT_EQ(at.one("SELECT count(*) FROM accounts"), "30");
    EXPECT_EQ(at.all(found), "");
}

TEST(faults, f08_a_key_comes_many_times_in_a_batch) {
    stream_fixture at{accounts_ddl + "; INSERT INTO accounts VALUES (3, 'c', 'x')"};
    auto from = at.publish_as(1);
    from.commit({insert(accounts, {"1", "a", "1"})});
    from.commit({update(accounts, {"1", "a", "2"})});
    from.commit({update(accounts, {"1", "b", "3"}), update(accounts, {"1", "b", "4"})});
    from.commit({remove(accounts, {"1", "~", "~"})});
    from.commit({insert(accounts, {"1", "d", "5"})});
    from.commit({insert(accounts, {"2", "e", "1"}), remove(accounts, {"2", "~", "~"})});
    from.commit({remove(accounts, {"3", "~", "~"}), insert(accounts, {"3", "f", "y"})});
    from.flush();
    at.cdc->start();
    ASSERT_TRUE(at.applied(from)) << at.cdc->log();
    EXPECT_EQ(at.all("SELECT * FROM accounts ORDER BY id"), "1|d|5;3|f|y");
    EXPECT_EQ(at.all(found), "");
}

TEST(faults, f08_a_unique_value_is_free_only_behind_the_delete_of_its_row) {
    stream_fixture at{accounts_ddl + "; INSERT INTO accounts VALUES (1, 'a', 'x'), (2, 'b', 'x')"};
    auto from = at.publish_as(1);
    from.commit({remove(accounts, {"1", "~", "~"})});
    from.commit({insert(accounts, {"10", "a", "y"})});
    from.commit({update(accounts, {"2", "c", "x"}), insert(accounts, {"20", "b", "y"})});
    from.flush();
    at.cdc->start();
    ASSERT_TRUE(at.applied(from)) << at.cdc->log();
    EXPECT_EQ(at.all("SELECT id, email FROM accounts ORDER BY id"), "2|c;10|a;20|b");
    EXPECT_EQ(at.all(found), "");
}

// Foreign keys that are enforced for replicated rows too: what the batch nets by table has to come in commit order.
TEST(faults, f08_parents_come_before_children) {
    const auto parents = table("parents", {"id!"});
    const auto children = table("a_children", {"id!", "parent"});
    stream_fixture at{
        "CREATE TABLE public.parents (id int PRIMARY KEY); CREATE TABLE public.a_children (id int PRIMARY KEY, parent "
        "int "
        "REFERENCES parents); DO $$ DECLARE one record; BEGIN FOR one IN SELECT tgrelid::regclass AS it, tgname FROM "
        "pg_trigger WHERE tgrelid IN ('parents'::regclass, 'a_children'::regclass) LOOP EXECUTE format('ALTER TABLE %s "
        "ENABLE ALWAYS TRIGGER %I', one.it, one.tgname); END LOOP; END $$"};
    auto from = at.publish_as(1);
    from.commit({insert(parents, {"1"}), insert(children, {"1", "1"})});
    from.commit({insert(children, {"2", "1"})});
    from.commit({insert(parents, {"2"})});
    from.commit({update(children, {"2", "2"})});
    from.commit({remove(children, {"1", "~"}), remove(parents, {"1"})});
    from.flush();
    at.cdc->start();
    ASSERT_TRUE(at.applied(from)) << at.cdc->log();
    EXPECT_EQ(at.all("SELECT * FROM a_children"), "2|2");
    EXPECT_EQ(at.all("SELECT * FROM parents"), "2");
    EXPECT_EQ(at.all(found), "");
}

// Who waits second finds the deadlock and is the one to fail: that must not be the application.
TEST(faults, f08_of_a_deadlock_with_a_client_the_stream_is_the_one_to_yield) {
    stream_fixture at{accounts_ddl + "; INSERT INTO accounts VALUES (1, 'a', 'x'), (2, 'b', 'x')"};
    at.exec(
        "DO $$ BEGIN EXECUTE format('ALTER DATABASE %I SET deadlock_timeout = %L', current_database(), '100ms'); END "
        "$$");
    at.cdc->start();
    ASSERT_TRUE(at.in_state("applying")) << at.cdc->log();
    const auto name = at.one("SELECT current_database()");
    const std::unique_ptr<PGconn, decltype(&PQfinish)> client{PQconnectdb(at.modern().dsn(name).c_str()), &PQfinish};
    const auto does = [&](const char* sql) {
        const std::unique_ptr<PGresult, decltype(&PQclear)> done{PQexec(client.get(), sql), &PQclear};
        EXPECT_EQ(PQresultStatus(done.get()), PGRES_COMMAND_OK) << PQerrorMessage(client.get());
    };
    does("BEGIN");
    does("UPDATE accounts SET note = 'client' WHERE id = 2");
    auto from = at.publish_as(1);
    from.commit({update(accounts, {"1", "a", "stream"})});
    from.commit({update(accounts, {"2", "b", "stream"})});
    from.flush();
    ASSERT_TRUE(support::eventually(10s, [&] {
        return at.one(
                   "SELECT count(*) FROM pg_stat_activity WHERE application_name LIKE 'crossfade-cdc%' AND "
                   "wait_event_type = 'Lock' AND datname = current_database()") == "1";
    }));
    // It has waited longer than deadlock_timeout, and looks no more.
    does("DO 'BEGIN PERFORM pg_sleep(0.5); END'");
    does("UPDATE accounts SET note = 'client' WHERE id = 1");
    does("COMMIT");
    ASSERT_TRUE(at.applied(from)) << at.cdc->log();
    EXPECT_EQ(at.all("SELECT id, note FROM accounts ORDER BY id"), "1|stream;2|stream");
}

}  // namespace
}  // namespace crossfade::cdc
