// What keeps rows of several partitions in order where something is in the way: dead letters, a resync, another file.
#include <fstream>
#include <functional>

#include "lib/pgclient/connection.hpp"
#include "tests/integration/stream/by_key.hpp"
#include "tests/integration/stream/status_of.hpp"

namespace crossfade {
namespace {

using namespace std::chrono_literals;

class order_by_key : public by_key {
  protected:
    void refuse(const std::string& table, const std::string& column) {
        world_->modern.exec("ALTER TABLE " + table + " ADD CONSTRAINT few CHECK (" + column +
                            " <> 'refused') NOT VALID");
    }
    std::string letters(const std::string& which = "true") {
        return world_->modern.value("SELECT count(*) FROM crossfade.dead_letters WHERE " + which);
    }
    bool become(const std::function<bool()>& so) { return support::eventually(60s, so); }
    // The file's number of partitions, of both programs.
    void restart_with(const std::string& from, const std::string& to) {
        for (auto* each : {&world_->cdc, &world_->second()}) {
            each->stop();
            std::ifstream file{each->config_path()};
            std::string text{std::istreambuf_iterator<char>{file}, {}};
            const auto at = text.find("partitions: " + from);
            ASSERT_NE(at, std::string::npos) << text;
            each->configure(text.replace(at, 12 + from.size(), "partitions: " + to));
            each->start();
        }
    }
    void replay_all() {
        const auto done = world_->crossfade({"deadletters", "replay", "--all"});
        EXPECT_EQ(done.exit_code, 0) << done.output << done.errors;
        EXPECT_TRUE(become([&] { return letters() == "0"; })) << world_->logs();
    }
};

TEST_F(order_by_key, a_row_stays_behind_its_letter_when_its_table_is_divided_in_another_way) {
    const auto whole = kafka::partition_of("public.stock", partitions);
    const auto row = keys_in((whole + 1) % static_cast<int>(partitions), 1).front();
    // A message about DDL would have all look at the letters; not everybody may have it sent.
    legacy("DELETE FROM crossfade.ddl_streams");
    insert(1, 100);
    expect_equal();
    refuse("stock", "note");
    legacy("UPDATE stock SET note = 'refused' WHERE id = " + row);
    ASSERT_TRUE(become([&] { return letters() == "1"; })) << world_->logs();
    legacy("ALTER TABLE stock REPLICA IDENTITY FULL; UPDATE stock SET note = 'newer' WHERE id = " + row);
    EXPECT_TRUE(become([&] { return letters() == "2"; })) << world_->logs();
    world_->modern.exec("ALTER TABLE stock DROP CONSTRAINT few");
    replay_all();
    EXPECT_EQ(world_->settle(60s), "") << world_->logs();
    EXPECT_EQ(world_->modern.value("SELECT note FROM stock WHERE id = " + row), "newer");
}

// Their ids are taken before they are committed, and each partition commits for itself.
TEST_F(order_by_key, letters_with_smaller_ids_that_come_later_are_seen) {
    insert(1, 100);
    legacy("INSERT INTO keyless VALUES (1)");
    expect_equal();
    refuse("stock", "note");
    refuse("email", "address");
    const std::string next_id = "ALTER TABLE crossfade.dead_letters ALTER COLUMN id RESTART WITH ";
    world_->modern.exec(next_id + "1000000");
    legacy("INSERT INTO email VALUES (1, 'refused')");
    ASSERT_TRUE(become([&] { return letters() == "1"; })) << world_->logs();
    world_->modern.exec(next_id + "1000");
    // At a TRUNCATE all partitions look at the letters.
    legacy("TRUNCATE keyless");
    ASSERT_TRUE(become([&] { return world_->modern.value("SELECT count(*) FROM keyless") == "0"; }));
    // 0 leads it, and has this row in no other way.
    legacy("UPDATE stock SET note = 'refused' WHERE id = " + keys_in(1, 1).front());
    ASSERT_TRUE(become([&] { return letters() == "2"; })) << world_->logs();
    legacy("TRUNCATE stock");
    EXPECT_TRUE(become([&] { return world_->modern.value("SELECT count(*) FROM stock") == "0"; })) << world_->logs();
    EXPECT_EQ(letters("table_name = 'public.stock'"), "0");
    world_->modern.exec("ALTER TABLE stock DROP CONSTRAINT few; ALTER TABLE email DROP CONSTRAINT few");
    replay_all();
    EXPECT_EQ(world_->settle(60s), "") << world_->logs();
}

TEST_F(order_by_key, who_waits_for_others_notices_that_the_progress_was_set_anew) {
    insert(1, 100);
    expect_equal();
    const auto locked = keys_in(0, 2);
    const auto to = keys_in(1, 1).front();
    auto busy = pgclient::connection::open(world_->modern.dsn(), {}).value();
    busy.exec("BEGIN").value();
    busy.exec("SELECT FROM public.stock WHERE id = " + locked[0] + " FOR UPDATE").value();
    legacy("DELETE FROM stock WHERE id = " + to);
    legacy("UPDATE stock SET note = 'x' WHERE id = " + locked[0]);
    legacy("UPDATE stock SET id = " + to + " WHERE id = " + locked[1]);
    const std::string waiting = "SELECT waiting_lsn IS NOT NULL FROM crossfade.progress WHERE partition = 1";
    ASSERT_TRUE(become([&] { return world_->modern.value(waiting) == "t"; })) << world_->logs();
    // What `backfill --resync` does to it where it has applied all of its topic, but for the copying.
    world_->modern.exec(
        "UPDATE crossfade.progress SET commit_lsn = commit_lsn + 1, end_lsn = end_lsn + 1, ordinal = 0,"
        " waiting_lsn = NULL, waiting_ordinal = NULL, waiting_offset = NULL WHERE partition = 1");
    EXPECT_TRUE(become([&] { return world_->modern.value(waiting) == "t"; })) << world_->logs();
    busy.exec("ROLLBACK").value();
    expect_equal();
}

TEST_F(order_by_key, a_file_of_other_partitions_has_nothing_applied) {
    insert(1, 400);
    expect_equal();
    ASSERT_NO_FATAL_FAILURE(restart_with("4", "2"));
    insert(401, 800);
    legacy("TRUNCATE stock; INSERT INTO stock VALUES (1, 'after')");
    for (auto* each : {&world_->cdc, &world_->second()}) {
        EXPECT_TRUE(become([&] {
            return status_of(*each, "reason").find("has progress of 4 partitions") != std::string::npos;
        })) << world_->logs();
    }
    EXPECT_EQ(world_->modern.value("SELECT count(*) FROM stock"), "400");
    ASSERT_NO_FATAL_FAILURE(restart_with("2", "4"));
    expect_equal();
}

}  // namespace
}  // namespace crossfade
