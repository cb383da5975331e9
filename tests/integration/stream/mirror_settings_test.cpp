// Rows that the proxy writes to modern itself, of sessions with settings of their own.
#include <gtest/gtest.h>

#include <string>
#include <utility>
#include <vector>

#include "tests/integration/stream/mirror_rows.hpp"

namespace crossfade {
namespace {

using namespace std::chrono_literals;

class mirror_settings : public mirror_rows {
  protected:
    mirror_settings() {
        schema_ +=
            "CREATE TABLE visits (at timestamptz PRIMARY KEY, n int);"
            "CREATE TABLE shifts (during tstzrange PRIMARY KEY, n int);"
            "CREATE TABLE hashes (hash bytea PRIMARY KEY, n int);"
            "CREATE TABLE days (day date PRIMARY KEY, n int, at timestamptz, hash bytea);";
    }

    double left() { return metric("crossfade_mirror_streamed_total{reason=\"settings\"}"); }
    // Of the same row.
    void write(const std::string& table, const std::string& key, const std::string& value) {
        run("INSERT INTO " + table + " (" + key + ", n) VALUES (" + value + ", 1)");
        run("UPDATE " + table + " SET n = 2 WHERE " + key + " = " + value);
        run("DELETE FROM " + table + " WHERE " + key + " = " + value);
        run("INSERT INTO " + table + " (" + key + ", n) VALUES (" + value + ", 3)");
    }
};

// A row is known by its key's text, and the stream has these in its own way.
TEST_F(mirror_settings, that_keys_are_shown_by_are_those_of_the_stream) {
    begin("10s");
    struct way {
        const char* set;
        const char* table;
        const char* key;
        const char* value;
        bool is_mirrored;
    };
    const way all[] = {
        {"timezone = 'UTC'", "visits", "at", "timestamptz '2024-01-01 00:00+00'", true},
        {"timezone = 'Asia/Tokyo'", "visits", "at", "timestamptz '2024-01-02 00:00+00'", false},
        {"timezone = 'Asia/Tokyo'", "shifts", "during", "tstzrange('2024-01-02', 'infinity')", false},
        {"timezone = 'Asia/Tokyo'", "days", "day", "date '2024-01-02'", true},
        {"bytea_output = 'hex'", "hashes", "hash", "'\\x0102ff'::bytea", true},  // whatever the time zone is
        {"bytea_output = 'escape'", "hashes", "hash", "'\\x0304ff'::bytea", false},
        {"bytea_output = 'escape'", "days", "day", "date '2024-01-03'", true},
    };
    for (const auto& each : all) {
        SCOPED_TRACE(std::string{each.set} + ", " + each.table);
        run(std::string{"SET "} + each.set);
        const auto were = std::pair{mirrored(), left()};
        write(each.table, each.key, each.value);
        EXPECT_EQ(mirrored() - were.first, each.is_mirrored ? 4 : 0);
        EXPECT_EQ(left() - were.second, each.is_mirrored ? 0 : 4);
        EXPECT_EQ(world_->settle(30s), "");
    }
    run("UPDATE days SET at = '2024-01-02 00:00', hash = '\\x0304ff' WHERE day = day");
    EXPECT_EQ(world_->difference(), "") << "values are read alike, whatever they look like";
    expect_nothing_left();
}

// Legacy may lose what it has said is committed, and give the transaction's id to another one.
TEST_F(mirror_settings, by_which_legacy_does_not_flush_leave_no_row_on_modern_alone) {
    begin("2s");
    world_->legacy.exec("ALTER SYSTEM SET wal_writer_delay = '10s'");
    world_->legacy.exec("SELECT pg_reload_conf()");
    run("SET synchronous_commit = off");
    run("INSERT INTO keys VALUES (1)");
    world_->kill(chaos::victim::legacy);
    world_->revive(chaos::victim::legacy);
    auto another = pgclient::connection::open(world_->legacy.dsn(), {}).value();
    another.exec("INSERT INTO public.keys VALUES (2)").value();
    another.exec("INSERT INTO public.keys VALUES (3)").value();
    EXPECT_EQ(world_->settle(60s), "") << world_->logs();
    EXPECT_TRUE(support::eventually(10s, [&] { return receipts() == "0"; })) << receipts();
}

TEST_F(mirror_settings, by_which_legacy_does_not_flush_count_when_it_commits) {
    begin("10s");
    const std::vector<std::string> ways{"SET LOCAL synchronous_commit = off",
                                        "SELECT set_config('synchronous_commit', 'off', true)",
                                        "SET synchronous_commit = off", "RESET synchronous_commit"};
    int id = 0;
    for (const auto& way : ways) {
        run("SET synchronous_commit = on");
        const auto were = std::pair{mirrored(), left()};
        run("BEGIN");
        run("INSERT INTO keys VALUES (" + std::to_string(++id) + ")");
        run(way);
        run("COMMIT");
        EXPECT_EQ(mirrored() - were.first, 0) << way;
        EXPECT_EQ(left() - were.second, 1) << way;
    }
    const auto were = std::pair{mirrored(), left()};
    run("SET synchronous_commit = local");
    run("INSERT INTO keys VALUES (101)");
    run("BEGIN");
    run("SELECT set_config('application_name', 'x', true)");
    run("SET LOCAL synchronous_commit = on");
    run("INSERT INTO keys VALUES (102)");
    run("SELECT set_config('application_name', 'y', true)");
    run("COMMIT");
    EXPECT_EQ(mirrored() - were.first, 2);
    EXPECT_EQ(left() - were.second, 0);
    expect_nothing_left();
}

// Whose rights aren't those of the name that it logs in by.
TEST_F(mirror_rows, of_who_is_another_role_from_the_start) {
    begin("10s");
    world_->legacy.exec(
        "CREATE ROLE clerk LOGIN; CREATE ROLE writer; GRANT writer TO clerk; GRANT SELECT, INSERT ON accounts TO clerk;"
        "GRANT INSERT ON accounts TO writer");
    auto dsn = world_->client_dsn();
    dsn.replace(dsn.find("crossfade@"), 9, "clerk");
    int id = 0;
    const auto inserted = [&](const std::string& as) {
        auto own = pgclient::connection::open(as, {});
        const auto done = own ? own->exec("INSERT INTO public.accounts VALUES (" + std::to_string(++id) + ")")
                              : pgclient::result<pgclient::rows>{own.error()};
        return done ? "" : done.error().sqlstate;
    };
    ASSERT_TRUE(support::eventually(20s, [&] {
        const auto before = mirrored();
        EXPECT_EQ(inserted(dsn), "");
        return mirrored() > before;
    })) << world_->logs();
    EXPECT_EQ(inserted(dsn + "?options=-c%20role%3Dwriter"), "");
    world_->legacy.exec("ALTER ROLE clerk SET role = 'writer'");
    // Once the proxy has looked at the catalogs again.
    ASSERT_TRUE(support::eventually(20s, [&] { return inserted(dsn).empty(); })) << world_->logs();
    EXPECT_EQ(inserted(dsn), "");
    expect_nothing_left();
}

// Of which the proxy has only heard: nothing of it was mirrored then.
TEST_F(mirror_rows, of_who_was_another_role_before_the_flags_said_so) {
    begin("10s");
    world_->legacy.exec("CREATE ROLE writer; GRANT INSERT ON accounts TO writer");
    const auto now = world_->configuration();
    const std::string strategy = "dual_write_strategy: mirror";
    double reloads = 0;
    const auto reload = [&](const std::string& text) {
        world_->proxy.configure(text);
        ASSERT_TRUE(support::eventually(
            30s, [&] { return metric("crossfade_config_reloads_total{result=\"applied\"}") == reloads + 1; }));
        ++reloads;
    };
    auto before = now;
    ASSERT_NO_FATAL_FAILURE(
        reload(before.replace(before.find(strategy), strategy.size(), "dual_write_strategy: legacy-primary")));
    auto own = pgclient::connection::open(world_->client_dsn(), {}).value();
    ASSERT_TRUE(own.exec("SET ROLE writer"));
    ASSERT_NO_FATAL_FAILURE(reload(now));
    int id = 0;
    ASSERT_TRUE(support::eventually(20s, [&] {
        const auto last = mirrored();
        run("INSERT INTO accounts VALUES (" + std::to_string(++id) + ")");
        return mirrored() > last;
    })) << world_->logs();
    const auto done = own.exec("INSERT INTO public.accounts VALUES (" + std::to_string(++id) + ")");
    EXPECT_TRUE(done) << pgclient::to_string(done.error());
    expect_nothing_left();
}

}  // namespace
}  // namespace crossfade
