// `crossfade backfill --live`: every table is copied once more while the application writes to it, and while who copies
// is killed at each step.
#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <cstdlib>
#include <random>

#include "lib/failpoint/failpoint.hpp"
#include "tests/chaos/trial.hpp"
#include "tests/support/eventually.hpp"

namespace crossfade::chaos {
namespace {

using namespace std::chrono_literals;

struct passed_place {
    const char* name;
    unsigned most;  // how often it is passed, at least, until all tables are copied
};
// In the order in which they can come while the first tables are copied.
constexpr std::array passed{
    passed_place{"backfill.begun", 2},           passed_place{"backfill.chunk", 2},
    passed_place{"backfill.refetched", 1},       passed_place{"backfill.finishing", 3},
    passed_place{"backfill.chunk_committed", 9},
};

class live_backfill : public trial {
  protected:
    // As many as leave the machine time for copying.
    static constexpr unsigned few = 2;

    static support::finished ask(const landscape& of, std::vector<std::string> more = {}) {
        more.insert(more.begin(), {"backfill", "--live", "--max-lag", "600"});
        return of.crossfade(std::move(more));
    }
    bool done() const {
        return world().modern.value("SELECT count(*) FROM crossfade.backfills WHERE state <> 'done'") == "0";
    }
};

TEST_F(live_backfill, copies_every_table_under_load) {
    start_load(few);
    ASSERT_TRUE(goes_on(200));
    const auto copied = ask(world(), {"--again"});
    EXPECT_EQ(copied.exit_code, 0) << copied.output << copied.errors << world().logs();
    stop_load_and_check();
}

TEST_F(live_backfill, goes_on_where_it_was_killed) {
    const char* const seed_given = std::getenv("CROSSFADE_CHAOS_SEED");  // NOLINT(concurrency-mt-unsafe)
    const auto seed = seed_given != nullptr ? std::stoul(seed_given) : std::random_device{}();
    std::cout << "CROSSFADE_CHAOS_SEED=" << seed << '\n';
    std::mt19937 random{static_cast<std::uint32_t>(seed)};
    start_load(few);
    ASSERT_TRUE(goes_on(200));
    ASSERT_EQ(ask(world(), {"--again", "--detach"}).exit_code, 0);
    for (const auto& place : passed) {
        const auto armed = std::string{place.name} + ':' + std::to_string(1 + random() % place.most);
        SCOPED_TRACE(armed);
        auto& cdc = world().cdc;
        cdc.kill9();
        cdc.start({{"CROSSFADE_FAILPOINT", armed}});
        // The last ones may not come any more.
        ASSERT_TRUE(support::eventually(240s, [&] { return !cdc.running() || done(); })) << world().logs();
        std::cout << armed << (cdc.running() ? ": not passed\n" : ": killed\n");
        cdc.kill9();
        cdc.start();
        ASSERT_TRUE(support::eventually(60s, [&] { return cdc.wait_ready(); }));
        if (done()) {
            ASSERT_EQ(ask(world(), {"--again", "--detach"}).exit_code, 0);
        }
    }
    const auto copied = ask(world());
    EXPECT_EQ(copied.exit_code, 0) << copied.output << copied.errors << world().logs();
    stop_load_and_check();
}

}  // namespace
}  // namespace crossfade::chaos
