#include <gtest/gtest.h>

#include <cstdlib>
#include <iostream>

#include "tests/integration/apply/stream_script.hpp"
#include "tests/support/eventually.hpp"

namespace crossfade::cdc {
namespace {

// A backlog of single-row transactions, as pgbench leaves, through a real broker: all there at the end, and at what
// rate it went. The rate is printed, not judged: a busy machine is no fault of the code. CROSSFADE_BACKLOG sets the
// size.
TEST(backlog, of_single_row_updates_is_drained) {
    if (!support::kafka_broker::available()) GTEST_SKIP() << "no Kafka here";
    const char* wanted = std::getenv("CROSSFADE_BACKLOG");
    const long size = wanted == nullptr ? 20000 : std::strtol(wanted, nullptr, 10);
    const long rows = 100000;
    support::kafka_broker broker;
    broker.start();
    broker.create_topic("crossfade.app.changes", 1);
    broker.create_topic("crossfade.app.deadletters", 1);
    stream_fixture at{
        "CREATE TABLE public.pgbench_accounts (aid int PRIMARY KEY, bid int, abalance int, filler char(84));"
        "INSERT INTO pgbench_accounts SELECT i, 1, 0, '' FROM generate_series(1, " +
            std::to_string(rows) + ") AS i",
        {},
        {},
        broker.brokers()};
    const auto accounts = table("pgbench_accounts", {"aid!", "bid", "abalance", "filler"});
    auto from = at.publish_as(1);
    const std::string filler(84, ' ');
    unsigned long random = 1;
    for (long i = 1; i <= size; ++i) {
        random = random * 6364136223846793005UL + 1442695040888963407UL;
        const auto aid = std::to_string((random >> 33) % static_cast<unsigned long>(rows) + 1);
        from.commit({update(accounts, {aid, "1", std::to_string(i), filler})});
    }
    from.flush();
    const auto began = std::chrono::steady_clock::now();
    at.cdc->start();
    const auto end = "SELECT end_lsn FROM crossfade.progress";
    const auto done = model::to_string(model::lsn{from.end()});
    ASSERT_TRUE(support::eventually(std::chrono::seconds{100}, [&] { return at.one(end) == done; })) << at.cdc->log();
    const std::chrono::duration<double> took = std::chrono::steady_clock::now() - began;
    std::cout << size << " transactions in " << took.count() << " s: " << static_cast<double>(size) / took.count()
              << " a second, with the start of the program\n";
    EXPECT_EQ(at.one("SELECT max(abalance) FROM pgbench_accounts"), std::to_string(size));
    EXPECT_EQ(at.one("SELECT count(*) FROM crossfade.drift"), "0");
    EXPECT_EQ(at.metric("crossfade_apply_careful_batches_total"), "0");
}

}  // namespace
}  // namespace crossfade::cdc
