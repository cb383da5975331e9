// Reads that go to modern by strategy (docs/adr/0029), with everything for real.
#include <gtest/gtest.h>

#include <csignal>
#include <string>

#include "tests/integration/stream/mirror_rows.hpp"

namespace crossfade {
namespace {

using namespace std::chrono_literals;

class reads_by_strategy : public mirror_rows {
  protected:
    void SetUp() override {
        mirror_rows::SetUp();
        if (IsSkipped()) return;
        world_ = std::make_unique<chaos::landscape>(
            chaos::landscape_options{.schema = schema,
                                     .proxy_settings = ", max_read_lag: 500ms",
                                     .strategy = "legacy-primary\n  hybrid_read_strategy: prefer-modern"});
        auto opened = pgclient::connection::open(world_->client_dsn(), {});
        ASSERT_TRUE(opened) << world_->logs();
        client_.emplace(std::move(*opened));
        run("SET search_path = public");
        run("INSERT INTO accounts VALUES (1, 0)");
        ASSERT_EQ(world_->settle(30s), "");
        ASSERT_TRUE(goes_to("modern")) << world_->logs();
    }
    std::string value(const std::string& sql) {
        const auto got = client_->exec(sql);
        return got && got->size() == 1 ? std::string{got->text(0, 0)} : "nothing";
    }
    double read_at(const std::string& side) { return metric("crossfade_reads_total{side=\"" + side + "\"}"); }
    double fallbacks(const std::string& reason) {
        return metric("crossfade_read_fallbacks_total{reason=\"" + reason + "\"}");
    }
    // Until the next read is answered there.
    bool goes_to(const std::string& side) {
        return support::eventually(20s, [&] {
            const auto before = read_at(side);
            EXPECT_NE(value("SELECT balance FROM accounts WHERE id = 1"), "nothing");
            return read_at(side) > before;
        });
    }
};

TEST_F(reads_by_strategy, are_as_new_as_what_the_session_has_written) {
    for (int round = 1; round <= 50; ++round) {
        run("UPDATE accounts SET balance = " + std::to_string(round) + " WHERE id = 1");
        EXPECT_EQ(value("SELECT balance FROM accounts WHERE id = 1"), std::to_string(round));
    }
    EXPECT_GT(fallbacks("own_writes"), 0);
    EXPECT_TRUE(goes_to("modern"));
    EXPECT_EQ(value("SELECT balance FROM accounts WHERE id = 1"), "50");
    EXPECT_GE(metric("crossfade_read_lag_seconds"), 0);
    EXPECT_LT(metric("crossfade_read_lag_seconds"), 0.5);
}

TEST_F(reads_by_strategy, come_home_when_modern_is_late_or_away) {
    world_->cdc.signal(SIGSTOP);
    EXPECT_TRUE(goes_to("legacy"));
    EXPECT_GT(fallbacks("lag"), 0);
    world_->cdc.signal(SIGCONT);
    EXPECT_TRUE(goes_to("modern"));
    world_->modern.kill9();
    EXPECT_TRUE(goes_to("legacy")) << "and no read has failed meanwhile";
    world_->modern.restart();
    EXPECT_TRUE(goes_to("modern"));
}

TEST_F(reads_by_strategy, of_a_read_only_transaction_go_where_all_tables_are) {
    EXPECT_TRUE(support::eventually(20s, [&] {
        const auto before = read_at("modern");
        run("BEGIN READ ONLY");
        EXPECT_EQ(value("SELECT balance FROM accounts WHERE id = 1"), "0");
        run("COMMIT");
        return read_at("modern") > before;
    })) << world_->logs();
}

TEST_F(reads_by_strategy, are_of_the_table_that_search_path_means) {
    world_->legacy.exec("CREATE SCHEMA other; CREATE TABLE other.accounts AS SELECT 1 AS id, 4711 AS balance");
    EXPECT_TRUE(goes_to("legacy"));
    EXPECT_GT(fallbacks("not_ready"), 0);
    run("SET search_path = other, public");
    EXPECT_EQ(value("SELECT balance FROM accounts WHERE id = 1"), "4711");
    EXPECT_TRUE(support::eventually(20s, [&] {
        const auto before = read_at("modern");
        EXPECT_EQ(value("SELECT balance FROM public.accounts WHERE id = 1"), "0");
        return read_at("modern") > before;
    })) << "whose schema is told";
    // It may read the one that modern lacks.
    const auto at_legacy = fallbacks("not_ready");
    run("BEGIN READ ONLY");
    EXPECT_EQ(value("SELECT balance FROM accounts WHERE id = 1"), "4711");
    run("COMMIT");
    EXPECT_GT(fallbacks("not_ready"), at_legacy);
}

TEST_F(reads_by_strategy, come_home_from_a_table_that_differs) {
    const std::string drift =
        "crossfade.drift (stream, table_name, key, kind, state) VALUES ('app', 'public.accounts', '{\"id\": \"1\"}', "
        "'different', 'confirmed')";
    const auto stream = world_->modern.value("SELECT stream FROM crossfade.tables LIMIT 1");
    world_->modern.exec("INSERT INTO " + std::string{drift}.replace(drift.find("'app'"), 5, '\'' + stream + '\''));
    EXPECT_TRUE(goes_to("legacy"));
    EXPECT_GT(fallbacks("drift"), 0);
    world_->modern.exec("UPDATE crossfade.drift SET state = 'dismissed'");
    EXPECT_TRUE(goes_to("modern"));
    world_->modern.exec("UPDATE crossfade.tables SET state = 'stale' WHERE table_name = 'public.accounts'");
    EXPECT_TRUE(goes_to("legacy"));
    EXPECT_GT(fallbacks("not_ready"), 0);
}

}  // namespace
}  // namespace crossfade
