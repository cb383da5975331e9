// Each part killed with SIGKILL in turn, under load, and started again.
#include "lib/pgclient/connection.hpp"
#include "tests/chaos/trial.hpp"
#include "tests/support/configured.hpp"
#include "tests/support/eventually.hpp"
#include "tests/support/http.hpp"

namespace crossfade::chaos {
namespace {

using namespace std::chrono_literals;

unsigned rounds() {
    return static_cast<unsigned>(support::configured("CROSSFADE_CHAOS_ROUNDS", 1));
}

class kill_9 : public trial {
  protected:
    using trial::trial;

    void strike(victim which) {
        SCOPED_TRACE(to_string(which));
        ASSERT_TRUE(goes_on(100)) << "the load stands still before the kill; last error: " << last_error();
        const auto before = errors();
        world().kill(which);
        if (!serves_clients(which)) {
            ASSERT_TRUE(goes_on(300)) << "the application stands still while the part is away";
            EXPECT_EQ(errors(), before) << "the application felt it: " << last_error();
        }
        world().revive(which);
        ASSERT_TRUE(goes_on(100)) << "the load stands still after the restart; last error: " << last_error();
    }
};

TEST_F(kill_9, of_each_part_in_turn_loses_and_doubles_nothing) {
    start_load();
    for (unsigned round = 1; round <= rounds(); ++round)
        for (const auto which : all_victims) {
            SCOPED_TRACE("round " + std::to_string(round));
            strike(which);
            if (HasFatalFailure()) return;
        }
    stop_load_and_check();
}

// Of a stream that is ordered by key, with two crossfade-cdc that share its partitions.
class kill_9_by_key : public kill_9 {
  protected:
    // Few clients: each of their transactions has a row change its key, for which two partitions wait for each other.
    kill_9_by_key() : kill_9(false, 2, 5) {}
};

TEST_F(kill_9_by_key, of_each_part_in_turn_loses_and_doubles_nothing) {
    start_load();
    for (unsigned round = 1; round <= rounds(); ++round)
        for (const auto which : {victim::second_cdc, victim::cdc, victim::proxy, victim::broker, victim::legacy,
                                 victim::modern, victim::second_cdc}) {
            SCOPED_TRACE("round " + std::to_string(round));
            strike(which);
            if (HasFatalFailure()) return;
        }
    stop_load_and_check();
}

// Answers wait for the follower: whoever dies on the way of the news, they wait for a second at most, and come back to
// waiting.
class kill_9_mirrored : public kill_9 {
  protected:
    kill_9_mirrored() : kill_9(false, 4, 0, "mirror") {}

    double metric(const std::string& name) {
        return support::sample_value(support::http_get(world().proxy.admin_port(), "/metrics").body, name);
    }
};

TEST_F(kill_9_mirrored, of_who_brings_the_news_loses_and_doubles_nothing) {
    start_load();
    for (unsigned round = 1; round <= rounds(); ++round)
        for (const auto which : {victim::cdc, victim::modern, victim::proxy}) {
            SCOPED_TRACE("round " + std::to_string(round));
            strike(which);
            if (HasFatalFailure()) return;
        }
    // The load is more than a stream keeps up with within the timeout everywhere; without it, it must.
    stop_load_and_check();
    EXPECT_TRUE(support::eventually(60s, [&] { return metric("crossfade_mirror_degraded") == 0; }));
    auto client = pgclient::connection::open(world().client_dsn(), {});
    ASSERT_TRUE(client);
    const auto waits = [&] {
        return metric("crossfade_mirror_waits_total{result=\"applied\"}") + metric("crossfade_mirror_mirrored_total");
    };
    const auto before = waits();
    ASSERT_TRUE(client->exec("UPDATE public.pgbench_tellers SET tbalance = tbalance + 1 WHERE tid = 1"));
    EXPECT_EQ(world().difference(), "");
    EXPECT_EQ(waits(), before + 1);
    EXPECT_GT(metric("crossfade_mirror_mirrored_total"), 0) << "nothing stands in its way any more";
}

}  // namespace
}  // namespace crossfade::chaos
