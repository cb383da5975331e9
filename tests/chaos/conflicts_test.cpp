// Conflicts under mirror: a few rows that everybody wants, while both sides and both programs are killed, paused and
// cut off. CROSSFADE_CHAOS_CONFLICT_SECONDS: for so long; equality is checked about once a minute. CROSSFADE_CHAOS_SEED
// repeats a run's choice.
#include <gtest/gtest.h>

#include <csignal>
#include <iostream>
#include <memory>
#include <random>

#include "tests/chaos/landscape.hpp"
#include "tests/chaos/rivals.hpp"
#include "tests/support/configured.hpp"
#include "tests/support/eventually.hpp"
#include "tests/support/http.hpp"

namespace crossfade::chaos {
namespace {

using namespace std::chrono_literals;

constexpr std::array places{
    "mirror.written", "mirror.answered", "mirror.committed", "capture.put_last", "capture.acknowledged",
    "consume.read",   "apply.begun",     "apply.written",    "apply.committed",
};

class conflicts : public testing::Test {
  protected:
    void SetUp() override {
        if (!support::kafka_broker::available()) GTEST_SKIP() << "no Kafka: set CROSSFADE_KAFKA_LIBS";
        if (!support::toxiproxy::available()) GTEST_SKIP() << "no toxiproxy: script/bootstrap --toxiproxy --no-build";
        // What a broken link leaves behind, too, ends soon: the slot's reader.
        world_ = std::make_unique<landscape>(landscape_options{.schema = rivals::schema(),
                                                               .rows = rivals::rows(),
                                                               .proxy_settings = proxy_settings_,
                                                               .strategy = strategy_,
                                                               .legacy = {.extra_settings = {"wal_sender_timeout=4s"}},
                                                               .over_links = true});
        random_.seed(static_cast<std::mt19937::result_type>(seed_));
        std::cout << "CROSSFADE_CHAOS_SEED=" << seed_ << '\n';
    }
    void TearDown() override {
        load_.reset();
        if (HasFailure() && world_) std::cerr << world_->logs();
    }

    void start_load(rivals::game what = rivals::game::all) {
        load_ = std::make_unique<rivals>(world_->client_dsn(), clients_, 'c' + std::to_string(loads_++) + '-', what);
        load_->start();
    }
    [[nodiscard]] bool goes_on() const {
        const auto target = load_->acknowledged() + 20;
        return support::eventually(60s, [&] { return load_->acknowledged() >= target; });
    }

    // One thing, at random.
    void strike() {
        const auto which = all_victims[random_() % all_victims.size()];
        switch (random_() % 4) {
            case 0:
                std::cout << to_string(which) << " killed\n" << std::flush;
                world_->kill(which);
                return world_->revive(which);
            case 1:
                return pause(which == victim::broker ? victim::modern : which);
            case 2:
                return cut_off(all_links[random_() % all_links.size()]);
            default:
                return kill_at(places[random_() % places.size()]);
        }
    }
    void pause(victim which) {
        const auto time = some_time();
        std::cout << to_string(which) << " paused for " << time.count() << " ms\n" << std::flush;
        world_->signal(which, SIGSTOP);
        let_pass(time);
        world_->signal(which, SIGCONT);
    }
    void cut_off(link where) {
        const auto time = some_time();
        const auto& how = all_network_faults()[random_() % all_network_faults().size()];
        std::cout << to_string(where) << ": " << how.name << " for " << time.count() << " ms\n" << std::flush;
        world_->links().strike(where, how);
        let_pass(time);
        world_->links().heal();
    }
    std::chrono::milliseconds some_time() { return std::chrono::milliseconds{200 + random_() % 2500}; }
    // As long as the others have something to do.
    void let_pass(std::chrono::milliseconds time) const {
        const auto enough = load_->acknowledged() + 500;
        support::eventually(time, [&] { return load_->acknowledged() >= enough; });
    }
    void kill_at(const char* place) {
        std::cout << place << '\n' << std::flush;
        const std::string name{place};
        auto& program = name.starts_with("mirror")    ? world_->proxy
                        : name.starts_with("capture") ? world_->publisher()
                                                      : world_->cdc;
        program.kill9();
        program.start({{"CROSSFADE_FAILPOINT", name + ':' + std::to_string(1 + random_() % 5)}});
        ASSERT_TRUE(support::eventually(60s, [&] { return !program.running(); })) << "the place was not passed";
        program.start();
    }

    void stop_load_and_check() {
        load_->stop();
        EXPECT_EQ(load_->hung(), 0U) << load_->last_error();
        EXPECT_EQ(world_->settle(120s), "");
        EXPECT_EQ(world_->complaints(), "");
        EXPECT_TRUE(support::eventually(30s, [&] {
            return world_->modern.value("SELECT count(*) FROM crossfade.receipts") == "0";
        })) << "phantoms, or receipts that nobody takes away";
        raised_ += load_->raised();
        perhaps_raised_ += load_->perhaps_raised();
        for (const auto* side : {&world_->legacy, &world_->modern}) {
            SCOPED_TRACE(side == &world_->legacy ? "legacy" : "modern");
            EXPECT_EQ(side->value(rivals::invariant()), "t");
            const auto raised = std::stoull(side->value("SELECT sum(n) FROM counter"));
            EXPECT_GE(raised, raised_) << "acknowledged and missing";
            EXPECT_LE(raised, perhaps_raised_) << "twice";
            expect_kept(load_->ledger(), *side, rivals::tags);
        }
        const auto metrics = support::http_get(world_->proxy.admin_port(), "/metrics").body;
        const auto mirrored = support::sample_value(metrics, "crossfade_mirror_mirrored_total");
        mirrored_ += mirrored;
        std::cout << load_->acknowledged() << " transactions acknowledged, " << load_->errors() << " client errors, "
                  << mirrored << " mirrored since the proxy began, left to the stream";
        for (const std::string why : {"ties", "refused", "no_follower"})
            std::cout << ", " << why << ": "
                      << support::sample_value(metrics, "crossfade_mirror_streamed_total{reason=\"" + why + '"');
        std::cout << '\n';
    }

    void go_on_under_strikes() {
        using clock = std::chrono::steady_clock;
        const auto end =
            clock::now() + std::chrono::seconds{support::configured("CROSSFADE_CHAOS_CONFLICT_SECONDS", 20)};
        while (clock::now() < end) {
            start_load();
            const auto check_at = std::min(end, clock::now() + 60s);
            while (clock::now() < check_at) {
                ASSERT_TRUE(goes_on()) << "the load stands still";
                strike();
                if (HasFatalFailure()) return;
            }
            ASSERT_TRUE(goes_on()) << "the load stands still";
            stop_load_and_check();
            if (HasFailure()) return;
        }
        EXPECT_GT(mirrored_, 0) << "all was left to the stream";
    }

    const long seed_ = support::configured("CROSSFADE_CHAOS_SEED", std::random_device{}());
    std::mt19937 random_;
    std::unique_ptr<landscape> world_;
    std::unique_ptr<rivals> load_;
    std::string proxy_settings_;
    std::string strategy_ = "mirror";
    unsigned clients_ = 6;
    unsigned loads_ = 0;
    std::uint64_t raised_ = 0;
    std::uint64_t perhaps_raised_ = 0;
    double mirrored_ = 0;  // row by row, by the proxies that were there at a check
};

TEST_F(conflicts, lose_and_double_nothing_under_mirror) {
    go_on_under_strikes();
}

// What is refused is on neither side, what is not on both.
class strict_conflicts : public conflicts {
  protected:
    strict_conflicts() {
        strategy_ = "mirror\n  on_mirror_failure: fail";
        proxy_settings_ = ", mirror_timeout: 5s, mirror_connections: 4";
    }
};

TEST_F(strict_conflicts, are_mirrored_or_refused) {
    go_on_under_strikes();
}

// Who is left to the stream waits for it, and what goes ahead meets what is under way.
class patient_conflicts : public conflicts {
  protected:
    patient_conflicts() {
        proxy_settings_ = ", mirror_timeout: 20s";
        clients_ = 12;
    }
};

// Rows go ahead while others are yet to be where they were (docs/adr/0033).
TEST_F(patient_conflicts, are_in_nobody_s_way_under_mirror) {
    using clock = std::chrono::steady_clock;
    const auto end = clock::now() + std::chrono::seconds{support::configured("CROSSFADE_CHAOS_CONFLICT_SECONDS", 20)};
    while (clock::now() < end) {
        start_load(rivals::game::seats);
        const auto check_at = std::min(end, clock::now() + 10s);
        while (clock::now() < check_at) {
            ASSERT_TRUE(goes_on()) << "the load stands still";
            if (random_() % 4 != 0) {
                world_->signal(victim::cdc, SIGSTOP);
                let_pass(std::chrono::milliseconds{100 + random_() % 300});
                world_->signal(victim::cdc, SIGCONT);
            } else {
                kill_at(random_() % 2 == 0 ? "apply.written" : "apply.committed");
            }
            if (HasFatalFailure()) return;
        }
        stop_load_and_check();
        if (HasFailure()) return;
    }
    EXPECT_GT(mirrored_, 0) << "all was left to the stream";
}

}  // namespace
}  // namespace crossfade::chaos
