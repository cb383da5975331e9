// Much at once: a transaction larger than memory should be, and a backlog of small ones that has built up while the
// follower was away. CROSSFADE_BULK_MB: megabytes of rows in each.
#include <gtest/gtest.h>

#include <iostream>

#include "tests/chaos/client.hpp"
#include "tests/chaos/landscape.hpp"
#include "tests/scripted/proxy/memory.hpp"
#include "tests/support/configured.hpp"

namespace crossfade::chaos {
namespace {

using namespace std::chrono_literals;

constexpr std::size_t most_memory = std::size_t{256} << 20;
constexpr unsigned row_bytes = 1000;

unsigned long rows() {
    return static_cast<unsigned long>(support::configured("CROSSFADE_BULK_MB", 150)) * 1'000'000 / row_bytes;
}

// Bounds the waits alone: what hangs shows sooner by what doesn't move.
std::chrono::seconds patience() {
    return 120s + std::chrono::seconds{rows() / 5000};
}

class bulk : public testing::Test {
  protected:
    void SetUp() override {
        if (!support::kafka_broker::available()) GTEST_SKIP() << "no Kafka: script/bootstrap --kafka";
        world_ = std::make_unique<landscape>(
            landscape_options{.schema = "CREATE TABLE bulk (id bigint PRIMARY KEY, what text NOT NULL);"});
    }

    std::string insert(unsigned long from, unsigned long to) const {
        return "INSERT INTO bulk SELECT i, repeat(md5(i::text), " + std::to_string(row_bytes / 32) +
               ") FROM generate_series(" + std::to_string(from) + ", " + std::to_string(to) + ") i";
    }

    void check() {
        EXPECT_EQ(world_->settle(patience()), "");
        EXPECT_EQ(world_->complaints(), "");
        EXPECT_EQ(world_->modern.value("SELECT count(*) FROM bulk"), std::to_string(rows()));
        for (const auto* program : {&world_->proxy, &world_->cdc}) {
            const auto most = proxy::test::memory("VmHWM", std::to_string(program->pid()));
            EXPECT_LT(most, most_memory);
            std::cout << (program == &world_->proxy ? "proxy " : "cdc ") << (most >> 20) << " MiB at most\n";
        }
        if (HasFailure()) std::cerr << world_->logs();
    }

    std::unique_ptr<landscape> world_;
};

TEST_F(bulk, of_one_transaction_takes_bounded_memory) {
    const auto to = connect(world_->client_dsn());
    ASSERT_TRUE(to);
    // By parts, as a statement is answered within half a minute or counts as stuck.
    constexpr unsigned long part = 100'000;
    ASSERT_EQ(execute(to.get(), "BEGIN"), answer::done);
    for (unsigned long from = 1; from <= rows(); from += part)
        ASSERT_EQ(execute(to.get(), insert(from, std::min(rows(), from + part - 1))), answer::done);
    ASSERT_EQ(execute(to.get(), "COMMIT"), answer::done);
    check();
}

TEST_F(bulk, of_a_backlog_takes_bounded_memory) {
    const auto to = connect(world_->client_dsn());
    ASSERT_TRUE(to);
    world_->kill(victim::modern);
    constexpr unsigned long part = 1000;
    for (unsigned long from = 1; from <= rows(); from += part)
        ASSERT_EQ(execute(to.get(), insert(from, std::min(rows(), from + part - 1))), answer::done);
    world_->revive(victim::modern);
    check();
}

}  // namespace
}  // namespace crossfade::chaos
