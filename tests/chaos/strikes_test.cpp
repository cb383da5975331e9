// Killed at every step: a program dies at each place of lib/failpoint that its work passes, or stands still there while
// something else dies. CROSSFADE_CHAOS_STRIKES: so many at random; equality is checked after every 25.
// CROSSFADE_CHAOS_SEED repeats a run's choice.
#include <algorithm>
#include <csignal>
#include <iostream>
#include <optional>
#include <random>

#include "lib/failpoint/failpoint.hpp"
#include "tests/chaos/trial.hpp"
#include "tests/support/configured.hpp"
#include "tests/support/eventually.hpp"

namespace crossfade::chaos {
namespace {

using namespace std::chrono_literals;

struct strike {
    failpoint::place where;
    unsigned nth = 1;
    std::optional<victim> other;  // none: the program itself

    std::string text() const {
        return std::string{where.name} + ':' + std::to_string(nth) +
               (other ? ", " + std::string{to_string(*other)} + " killed" : std::string{});
    }
};

struct passed_place {
    std::string_view name;
    unsigned most;  // how often the load passes it within seconds of a start, at least
};
// All but those of `crossfade backfill`, and of what differs on the follower, which have their own tests.
constexpr std::array passed{
    passed_place{"capture.slot_taken", 1}, passed_place{"capture.put", 2000},
    passed_place{"capture.put_last", 300}, passed_place{"capture.acknowledged", 20},
    passed_place{"capture.confirmed", 20}, passed_place{"consume.read", 100},
    passed_place{"apply.begun", 50},       passed_place{"apply.part", 20},
    passed_place{"apply.written", 50},     passed_place{"apply.committed", 50},
    passed_place{"lanes.prepared", 3},     passed_place{"lanes.committed", 3},
};

failpoint::place named(std::string_view name) {
    return *std::ranges::find(failpoint::places, name, &failpoint::place::name);
}

bool is_program(victim which, const failpoint::place& of) {
    return to_string(which) == of.program.substr(of.program.find('-') + 1);
}

class strikes : public trial {
  protected:
    using trial::trial;

    void carry_out(const strike& one) {
        SCOPED_TRACE(one.text());
        std::cout << one.text() << '\n' << std::flush;
        ASSERT_TRUE(goes_on(20)) << "the load stands still before it; last error: " << last_error();
        auto& program = world().program(one.where.program);
        program.kill9();
        const auto armed = std::string{one.where.name} + ':' + std::to_string(one.nth) + (one.other ? ":stop" : "");
        program.start({{"CROSSFADE_FAILPOINT", armed}});
        ASSERT_TRUE(support::eventually(60s, [&] {
            return one.other ? program.stopped() || !program.running() : !program.running();
        })) << "the place was not passed";
        if (one.other) {
            ASSERT_TRUE(program.running()) << "it ended instead of standing still";
            world().kill(*one.other);
            program.signal(SIGCONT);
            world().revive(*one.other);
        } else {
            program.start();
        }
        ASSERT_TRUE(goes_on(20)) << "the load stands still after it; last error: " << last_error();
    }

    void carry_out_all(const std::vector<strike>& all) {
        constexpr std::size_t between_checks = 25;
        for (std::size_t from = 0; from < all.size(); from += between_checks) {
            start_load();
            for (std::size_t at = from; at < std::min(all.size(), from + between_checks); ++at) {
                carry_out(all[at]);
                if (HasFatalFailure()) return;
            }
            stop_load_and_check();
            if (HasFailure()) return;
        }
    }
};

TEST_F(strikes, at_every_step_lose_and_double_nothing) {
    std::vector<strike> all;
    for (const auto& each : passed) all.push_back({named(each.name), std::min(each.most, 3U), {}});
    for (const auto& [place, other] : {std::pair{"capture.put_last", victim::broker},
                                       {"capture.acknowledged", victim::legacy},
                                       {"apply.part", victim::broker},
                                       {"apply.written", victim::modern},
                                       {"apply.committed", victim::modern}})
        all.push_back({named(place), 2, other});
    carry_out_all(all);
}

// All tables anew while the application writes, and the copy dies on the way.
TEST_F(strikes, at_every_step_of_a_backfill_lose_and_double_nothing) {
    start_load();
    for (const char* armed : {"backfill.marked:1", "backfill.snapshot:1", "backfill.copied:1", "backfill.copied:5",
                              "backfill.committed:2"}) {
        SCOPED_TRACE(armed);
        ASSERT_TRUE(goes_on(20)) << last_error();
        EXPECT_EQ(world().crossfade({"backfill"}, {{"CROSSFADE_FAILPOINT", armed}}).exit_code, 128 + SIGKILL)
            << "the place was not passed";
        ASSERT_TRUE(goes_on(20)) << last_error();
        const auto again = world().crossfade({"backfill"});
        EXPECT_EQ(again.exit_code, 0) << again.output << again.errors;
    }
    EXPECT_EQ(errors(), 0U) << "the application felt it: " << last_error();
    stop_load_and_check();
}

// Of a stream that is ordered by key, whose partitions meet again and again: rows go from one to another, tables are
// truncated.
class strikes_by_key : public strikes {
  protected:
    // One client: each of its transactions has a row change its key, for which two partitions wait for each other.
    strikes_by_key() : strikes(false, 1, 5) {}
};

TEST_F(strikes_by_key, at_every_step_lose_and_double_nothing) {
    start_load();
    carry_out({named("partitions.waiting"), 3, {}});
    if (HasFatalFailure()) return;
    // So that all partitions are this one's, the first with them.
    world().kill(victim::second_cdc);
    for (const auto& one :
         {strike{named("partitions.waiting"), 4, victim::modern}, strike{named("partitions.passed"), 2, {}}}) {
        carry_out(one);
        if (HasFatalFailure()) return;
    }
    world().revive(victim::second_cdc);
    stop_load_and_check();
}

// Of a transaction that the proxy has on both sides: at each step of its commit the proxy dies, or either side does.
class strikes_mirrored : public strikes {
  protected:
    // Long enough for a publisher that is new: clients that nobody holds outrun the stream, and nothing of theirs can
    // be mirrored before it has caught up.
    strikes_mirrored() : strikes(false, 4, 0, "mirror", ", mirror_timeout: 5s") {}
};

TEST_F(strikes_mirrored, at_every_step_of_a_commit_lose_and_double_nothing) {
    std::vector<strike> all;
    for (const auto* place : {"mirror.written", "mirror.answered", "mirror.committed"}) {
        all.push_back({named(place), 5, {}});
    }
    for (const auto& [place, other] : {std::pair{"mirror.written", victim::legacy},
                                       {"mirror.written", victim::modern},
                                       {"mirror.answered", victim::modern},
                                       {"mirror.committed", victim::cdc}})
        all.push_back({named(place), 3, other});
    carry_out_all(all);
}

TEST_F(strikes, at_random_lose_and_double_nothing) {
    const auto wanted = support::configured("CROSSFADE_CHAOS_STRIKES", 4);
    const auto seed = support::configured("CROSSFADE_CHAOS_SEED", std::random_device{}());
    std::cout << "CROSSFADE_CHAOS_SEED=" << seed << '\n';
    std::mt19937 random{static_cast<std::mt19937::result_type>(seed)};
    std::vector<strike> all;
    for (long i = 0; i < wanted; ++i) {
        const auto& [name, most] = passed[random() % passed.size()];
        strike next{named(name), 1 + static_cast<unsigned>(random() % most), {}};
        // Half of them kill the program itself.
        const auto other = all_victims[random() % all_victims.size()];
        if (random() % 2 == 0 && !is_program(other, next.where)) next.other = other;
        all.push_back(next);
    }
    carry_out_all(all);
}

}  // namespace
}  // namespace crossfade::chaos
