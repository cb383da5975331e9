// Rows that the proxy writes to modern itself, and a TRUNCATE that came before them on legacy and comes behind them on
// modern, by the stream.
#include <gtest/gtest.h>

#include <map>
#include <string>

#include "tests/integration/stream/mirror_rows.hpp"

namespace crossfade {
namespace {

using namespace std::chrono_literals;

class mirror_truncate : public mirror_rows, public testing::WithParamInterface<const char*> {
  protected:
    mirror_truncate() {
        cdc_settings_ = GetParam();
        schema_ +=
            "CREATE TABLE parted (id int, part int, balance int, note text, PRIMARY KEY (id, part)) PARTITION BY LIST "
            "(part);"
            "CREATE TABLE parted_1 PARTITION OF parted FOR VALUES IN (1);";
    }

    // `values`: what comes behind the key.
    void expect_kept(const std::string& emptied, const std::string& table, const std::string& values) {
        run("INSERT INTO " + table + " VALUES (1, " + values + ", 'gone')");
        ASSERT_EQ(world_->settle(30s), "");
        world_->kill(chaos::victim::cdc);
        world_->legacy.exec("TRUNCATE public." + emptied);
        const auto before = mirrored();
        // Beyond what fits into a row, so that a later change of it doesn't say it again in the stream.
        run("INSERT INTO " + table + " SELECT 2, " + values +
            ", string_agg(md5(n::text), '') FROM generate_series(1, 300) n");
        run("INSERT INTO " + table + " VALUES (3, " + values + ", 'short')");
        run("UPDATE " + table + " SET balance = balance + 1 WHERE id = id");
        run("UPDATE " + table + " SET balance = balance + 1 WHERE id = 2");
        EXPECT_EQ(mirrored(), before + 4);
        // So that all of it is there at once.
        const auto end = world_->legacy.value("SELECT pg_current_wal_flush_lsn()");
        EXPECT_TRUE(support::eventually(30s, [&] {
            return world_->legacy.value("SELECT bool_or(confirmed_flush_lsn >= '" + end +
                                        "') FROM pg_replication_slots") == "t";
        })) << world_->logs();
        world_->revive(chaos::victim::cdc);
        EXPECT_EQ(world_->settle(30s), "") << world_->complaints() << world_->logs();
        expect_nothing_left();
    }
};

TEST_P(mirror_truncate, of_a_table_leaves_what_was_written_after_it) {
    begin("10s");
    expect_kept("accounts", "accounts", "10");
}

TEST_P(mirror_truncate, of_a_partition_leaves_what_was_written_after_it) {
    begin("10s");
    expect_kept("parted_1", "parted", "1, 10");
}

const std::map<std::string, const char*> ways{{"", "one_batch"},
                                              {", batch_rows: 1", "batches_of_their_own"},
                                              {", verify_mirrored_percent: 0", "one_batch_that_is_believed"}};
INSTANTIATE_TEST_SUITE_P(in, mirror_truncate, testing::Values("", ", batch_rows: 1", ", verify_mirrored_percent: 0"),
                         [](const auto& settings) { return std::string{ways.at(settings.param)}; });

}  // namespace
}  // namespace crossfade
