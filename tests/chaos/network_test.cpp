// The network's faults, by toxiproxy: every way that a program has to a server, made slow, narrow, cut or half-open for
// a while, under load. CROSSFADE_CHAOS_NETWORK_FAULTS: so many at random, on two links at once; equality is checked
// after every 10. CROSSFADE_CHAOS_SEED repeats a run's choice.
#include <iostream>
#include <random>

#include "tests/chaos/trial.hpp"
#include "tests/support/configured.hpp"
#include "tests/support/eventually.hpp"

namespace crossfade::chaos {
namespace {

using namespace std::chrono_literals;

struct ill_link {
    link where;
    const network_fault& with;

    std::string text() const { return std::string{to_string(where)} + ": " + std::string{with.name}; }
};

class network_faults : public trial {
  protected:
    network_faults() : trial(true, 3) {}

    void undergo(const std::vector<ill_link>& ill) {
        std::string text;
        bool felt = false;
        for (const auto& each : ill) {
            text += (text.empty() ? "" : ", ") + each.text();
            felt = felt || each.where == link::clients;
        }
        SCOPED_TRACE(text);
        std::cout << text << '\n' << std::flush;
        ASSERT_TRUE(goes_on(20)) << "the load stands still before it; last error: " << last_error();
        for (const auto& each : ill) {
            ASSERT_TRUE(support::eventually(60s, [&] { return !world().noticed(each.where); }))
                << each.text() << ": is not well yet";
        }
        const auto before = errors();
        for (const auto& each : ill) world().links().strike(each.where, each.with);
        for (const auto& each : ill) last(each);
        if (!felt) {
            EXPECT_TRUE(goes_on(300)) << "the application stands still meanwhile";
            EXPECT_EQ(errors(), before) << "the application felt it: " << last_error();
        }
        world().links().heal();
        ASSERT_TRUE(goes_on(50)) << "the load stands still after it; last error: " << last_error();
    }

    // Waits until the fault has done what it can.
    void last(const ill_link& one) {
        if (one.where != link::clients) {
            if (one.with.lets_nothing_through) {
                EXPECT_TRUE(support::eventually(30s, [&] { return world().noticed(one.where); }))
                    << one.text() << " has not been noticed";
            }
        } else if (!one.with.ends_connections && !one.with.lets_nothing_through) {
            EXPECT_TRUE(goes_on(50)) << one.text() << ": the application stands still";
        } else {
            // Each client that hangs counts once.
            const auto seen = errors();
            EXPECT_TRUE(support::eventually(60s, [&] { return errors() >= seen + clients(); }))
                << one.text() << ": sessions neither go on nor end";
        }
    }

    void all_on(std::initializer_list<link> links) {
        start_load();
        for (const auto& with : all_network_faults()) {
            std::vector<ill_link> ill;
            for (const auto where : links) ill.push_back({where, with});
            undergo(ill);
            if (HasFailure()) return;
        }
        stop_load_and_check();
    }
};

TEST_F(network_faults, of_sessions_lose_and_double_nothing) {
    all_on({link::clients});
}

// Two at a time, to save time: those whose illness shows though the other is ill.
TEST_F(network_faults, on_the_ways_to_databases_lose_and_double_nothing) {
    all_on({link::replication, link::apply});
}

TEST_F(network_faults, on_the_ways_to_kafka_lose_and_double_nothing) {
    all_on({link::publish, link::consume});
}

TEST_F(network_faults, at_random_lose_and_double_nothing) {
    const auto wanted = support::configured("CROSSFADE_CHAOS_NETWORK_FAULTS", 3);
    const auto seed = support::configured("CROSSFADE_CHAOS_SEED", std::random_device{}());
    std::cout << "CROSSFADE_CHAOS_SEED=" << seed << '\n';
    std::mt19937 random{static_cast<std::mt19937::result_type>(seed)};
    const auto& faults = all_network_faults();
    constexpr std::array links{link::clients, link::replication, link::publish, link::consume, link::apply};
    for (long done = 0; done < wanted;) {
        start_load();
        for (long of_these = 0; of_these < 10 && done < wanted; ++of_these, ++done) {
            const auto first = random() % links.size();
            const auto second = (first + 1 + random() % (links.size() - 1)) % links.size();
            undergo(
                {{links[first], faults[random() % faults.size()]}, {links[second], faults[random() % faults.size()]}});
            if (HasFailure()) return;
        }
        stop_load_and_check();
        if (HasFailure()) return;
    }
}

}  // namespace
}  // namespace crossfade::chaos
