// Databases of legacy's server beside the one that moves: what clients do there is nobody else's.
#include "tests/integration/stream/mirror_rows.hpp"

namespace crossfade {
namespace {

using namespace std::chrono_literals;

class other_databases : public mirror_rows {};

// A copy has the tables' names, columns and OIDs, all by which the proxy knows them.
TEST_F(other_databases, made_by_copying_take_no_rows_from_modern) {
    begin("10s");
    if (HasFatalFailure()) return;
    run("INSERT INTO accounts (id, balance) VALUES (1, 10), (2, 20)");
    client_.reset();
    for (auto* each : {&world_->proxy, &world_->cdc}) each->stop();
    // Of what is copied nobody may make use.
    ASSERT_TRUE(support::eventually(30s, [&] {
        try {
            world_->legacy.exec("CREATE DATABASE app_test TEMPLATE app", "postgres");
            return true;
        } catch (const std::exception&) {
            return false;
        }
    }));
    for (auto* each : {&world_->proxy, &world_->cdc}) each->start();
    for (auto* each : {&world_->proxy, &world_->cdc}) ASSERT_TRUE(each->wait_ready(60s)) << world_->logs();
    client_.emplace(pgclient::connection::open(world_->client_dsn(), {}).value());
    run("SET search_path = public");
    expect_tried_again(60s);

    const auto rows = world_->modern.value("SELECT count(*) FROM accounts");
    const auto mirrored_before = mirrored();
    auto copy = pgclient::connection::open(world_->client_dsn() + "_test", {}).value();
    for (const auto* sql : {"SET search_path = public", "DELETE FROM accounts WHERE id = 1", "BEGIN",
                            "DELETE FROM accounts", "INSERT INTO accounts (id) VALUES (4711)", "COMMIT"})
        ASSERT_TRUE(copy.exec(sql)) << sql;
    EXPECT_EQ(world_->legacy.value("SELECT string_agg(id::text, ' ') FROM accounts", "app_test"), "4711");
    EXPECT_EQ(world_->modern.value("SELECT count(*) FROM accounts"), rows);
    EXPECT_EQ(mirrored(), mirrored_before);
    expect_nothing_left();
}

}  // namespace
}  // namespace crossfade
