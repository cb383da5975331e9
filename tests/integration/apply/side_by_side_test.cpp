// A backlog of whole batches, written on several connections at once.
#include <gtest/gtest.h>

#include <algorithm>
#include <csignal>
#include <map>
#include <random>

#include "tests/integration/apply/stream_script.hpp"
#include "tests/support/eventually.hpp"

namespace crossfade::cdc {
namespace {

const auto accounts = table("accounts", {"id!", "email", "note"});
const std::string accounts_ddl = "CREATE TABLE public.accounts (id bigint PRIMARY KEY, email text UNIQUE, note text)";
const auto steps = table("steps", {"id!"});
const std::string steps_ddl = "CREATE TABLE public.steps (id bigint PRIMARY KEY)";
const std::string small_batches = ", batch_rows: 10, apply_connections: 4";
const std::string all_drift = "SELECT kind, state, key::text FROM crossfade.drift ORDER BY id";

double number(const stream_fixture& of, const std::string& metric) {
    return std::stod(of.metric(metric));
}

TEST(side_by_side, readers_see_what_one_connection_would_have_left) {
    stream_fixture at{steps_ddl, small_batches};
    auto from = at.publish_as(1);
    constexpr int last = 6000;
    for (int i = 1; i <= last; ++i) from.commit({insert(steps, {std::to_string(i)})});
    from.flush();
    at.cdc->start();
    int looks = 0;
    ASSERT_TRUE(support::eventually(std::chrono::seconds{60}, [&] {
        const auto seen =
            at.all("SELECT count(*), coalesce(max(id), 0), (SELECT next_offset FROM crossfade.progress) FROM steps");
        const auto count = seen.substr(0, seen.find('|'));
        EXPECT_EQ(seen, count + '|' + count + '|' + count);
        ++looks;
        return count == std::to_string(last);
    })) << at.cdc->log();
    EXPECT_GT(looks, 1);
    ASSERT_TRUE(at.applied(from)) << at.cdc->log();
    EXPECT_GT(number(at, "crossfade_apply_side_by_side_total"), 100) << at.cdc->log();
    EXPECT_EQ(number(at, "crossfade_apply_side_by_side_refused_total"), 0);
}

// Few rows and few e-mail addresses, so that batches depend on one another in every way.
TEST(side_by_side, what_depends_on_another_comes_behind_it) {
    stream_fixture at{accounts_ddl, small_batches};
    auto from = at.publish_as(1);
    std::minstd_rand random{20};
    const auto any = [&](std::size_t below) { return random() % below; };
    std::map<std::string, values> rows;  // by id
    const auto free_email = [&] {
        for (;;) {
            const auto email = "e" + std::to_string(any(200));
            if (std::ranges::none_of(rows, [&](const auto& each) { return each.second[1] == email; })) return email;
        }
    };
    for (int i = 0; i < 2500; ++i) {
        std::vector<model::change_event> changes;
        for (auto left = 1 + any(4); left > 0; --left) {
            const auto id = std::to_string(any(100));
            const auto known = rows.find(id);
            const auto note = "n" + std::to_string(i);
            if (known == rows.end()) {
                rows[id] = {id, free_email(), note};
                changes.push_back(insert(accounts, rows[id]));
            } else if (any(4) == 0) {
                changes.push_back(remove(accounts, {id, "~", "~"}));
                rows.erase(known);
            } else if (const auto other = std::to_string(any(100)); any(5) == 0 && !rows.contains(other)) {
                rows[other] = {other, known->second[1], note};
                changes.push_back(update(accounts, {id, "~", "~"}, rows[other]));
                rows.erase(known);
            } else {
                known->second = {id, any(2) == 0 ? free_email() : known->second[1], note};
                changes.push_back(update(accounts, known->second));
            }
        }
        from.commit(std::move(changes));
    }
    from.flush();
    at.cdc->start();
    ASSERT_TRUE(at.applied(from)) << at.cdc->log();
    std::string expected;
    for (const auto& [id, row] : rows) {
        expected += (expected.empty() ? "" : ";") + row[0] + '|' + row[1] + '|' + row[2];
    }
    EXPECT_EQ(at.all("SELECT * FROM accounts ORDER BY id::text COLLATE \"C\""), expected);
    EXPECT_EQ(at.all(all_drift), "");
    EXPECT_GT(number(at, "crossfade_apply_side_by_side_total"), 0) << at.cdc->log();
}

TEST(side_by_side, rows_that_are_not_as_expected_are_met_alone) {
    stream_fixture at{accounts_ddl, small_batches};
    at.exec("INSERT INTO accounts VALUES (777, 'there', 'x')");
    auto from = at.publish_as(1);
    for (int i = 1; i <= 2000; ++i) {
        from.commit({insert(accounts, {std::to_string(i), "e" + std::to_string(i), "x"})});
        if (i == 1500) from.commit({update(accounts, {"9999", "nobody", "x"})});
    }
    from.flush();
    at.cdc->start();
    ASSERT_TRUE(at.applied(from)) << at.cdc->log();
    EXPECT_EQ(at.one("SELECT count(*) FROM accounts WHERE email = 'e' || id"), "2000");
    EXPECT_EQ(at.all("SELECT kind, key::text FROM crossfade.drift ORDER BY id"),
              "insert_exists|{\"id\": \"777\"};update_missing|{\"id\": \"9999\"}");
    EXPECT_GE(number(at, "crossfade_apply_side_by_side_refused_total"), 1);
    EXPECT_GT(number(at, "crossfade_apply_side_by_side_total"), 0);
}

// The lanes have to know of a letter that the connection which applies alone has made.
TEST(side_by_side, a_row_behind_a_dead_letter_waits) {
    stream_fixture at{accounts_ddl + "; ALTER TABLE public.accounts ADD CHECK (note <> 'bad')", small_batches};
    auto from = at.publish_as(1);
    const auto backlog = [&](int first, int last) {
        for (int i = first; i <= last; ++i) {
            from.commit({insert(accounts, {std::to_string(i), "e" + std::to_string(i), "x"})});
        }
    };
    backlog(1, 1000);
    from.flush();
    at.cdc->start();
    ASSERT_TRUE(at.applied(from)) << at.cdc->log();
    ASSERT_GT(number(at, "crossfade_apply_side_by_side_total"), 0);

    from.commit({update(accounts, {"1", "e1", "bad"})});
    from.flush();
    ASSERT_TRUE(at.applied(from)) << at.cdc->log();
    at.cdc->signal(SIGSTOP);
    backlog(1001, 1500);
    from.commit({update(accounts, {"1", "e1", "late"})});
    backlog(1501, 2000);
    from.flush();
    at.cdc->signal(SIGCONT);
    ASSERT_TRUE(at.applied(from)) << at.cdc->log();
    EXPECT_EQ(at.one("SELECT note FROM accounts WHERE id = 1"), "x");
    EXPECT_EQ(at.one("SELECT count(*) FROM accounts"), "2000");
    EXPECT_EQ(at.one("SELECT count(*) FROM crossfade.dead_letters"), "2");
}

// Whose snapshot is to have the transactions that were left out for it: the connection that copies has to know them
// all.
TEST(side_by_side, nothing_is_while_a_table_is_being_copied) {
    stream_fixture at{"CREATE TABLE public.journal (who int)", small_batches};
    at.exec(
        "INSERT INTO crossfade.tables (stream, table_name, state) VALUES ('app', 'public.journal', 'backfilling');"
        "INSERT INTO crossfade.backfills (stream, table_name, state, key_columns, reason)"
        " VALUES ('app', 'public.journal', 'copying', '', 'held by the test')");
    const auto journal = table("journal", {"who"}, model::replica_identity::full);
    auto from = at.publish_as(1);
    for (int i = 1; i <= 500; ++i) from.commit({insert(journal, {std::to_string(i)})});
    from.flush();
    at.cdc->start();
    ASSERT_TRUE(at.applied(from)) << at.cdc->log();
    EXPECT_EQ(number(at, "crossfade_apply_side_by_side_total"), 0);
}

TEST(side_by_side, goes_on_exactly_where_it_was_killed) {
    stream_fixture at{steps_ddl, small_batches};
    auto from = at.publish_as(1);
    for (int i = 1; i <= 3000; ++i) from.commit({insert(steps, {std::to_string(i)})});
    from.flush();
    for (const char* armed : {"lanes.prepared:1", "lanes.prepared:7", "lanes.committed:1", "lanes.committed:20"}) {
        at.cdc->start({{"CROSSFADE_FAILPOINT", armed}});
        ASSERT_TRUE(support::eventually(std::chrono::seconds{30}, [&] { return !at.cdc->running(); })) << armed;
    }
    at.cdc->start();
    ASSERT_TRUE(at.applied(from)) << at.cdc->log();
    EXPECT_EQ(at.one("SELECT count(*) || ' ' || max(id) FROM steps"), "3000 3000");
    EXPECT_EQ(at.all(all_drift), "");
}

TEST(side_by_side, a_connection_that_is_lost_costs_nothing_but_time) {
    stream_fixture at{steps_ddl, small_batches};
    auto from = at.publish_as(1);
    for (int i = 1; i <= 20000; ++i) from.commit({insert(steps, {std::to_string(i)})});
    from.flush();
    at.cdc->start();
    ASSERT_TRUE(support::eventually(std::chrono::seconds{30},
                                    [&] { return at.one("SELECT count(*) > 500 FROM steps") == "t"; }));
    at.exec(
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name LIKE 'crossfade-cdc%'"
        " ORDER BY backend_start DESC LIMIT 1");
    ASSERT_TRUE(at.applied(from)) << at.cdc->log();
    EXPECT_EQ(at.one("SELECT count(*) || ' ' || max(id) FROM steps"), "20000 20000");
    EXPECT_EQ(at.all(all_drift), "");
}

}  // namespace
}  // namespace crossfade::cdc
