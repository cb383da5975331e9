// Many sessions at once, and many changes.
#include <iostream>

#include "tests/integration/changeover/two_sides.hpp"
#include "tests/support/configured.hpp"

namespace crossfade::proxy::test {
namespace {

using namespace std::chrono_literals;
using clock = std::chrono::steady_clock;

class a_crowd : public two_sides {
  protected:
    void SetUp() override { start("legacy-primary", "max_sessions: 1000"); }

    double median(const std::string& of) {
        const auto count = front_->metric(of + "_count");
        for (const auto* bound : {"0.0025", "0.005", "0.01", "0.025", "0.05", "0.1", "0.25", "0.5", "1", "2.5"})
            if (front_->metric(of + "_bucket{le=\"" + bound + "\"}") * 2 >= count) return std::stod(bound);
        return 1e9;
    }
};

TEST_F(a_crowd, of_idle_sessions_goes_over) {
    constexpr int many = 200;
    std::vector<connection> all;
    for (int n = 0; n < many; ++n) {
        all.push_back(connect());
        run(all.back(), "SET app.tenant = 't" + std::to_string(n) + "'; PREPARE p AS SELECT name FROM side");
    }
    const auto began = clock::now();
    front_->flip(modern_side);
    ASSERT_TRUE(moved(many));
    const auto took = std::chrono::duration_cast<std::chrono::milliseconds>(clock::now() - began);
    std::cout << many << " idle sessions went over in " << took.count() << " ms\n";
    for (int n = 0; n < many; ++n) {
        EXPECT_EQ(run(all[static_cast<std::size_t>(n)], "EXECUTE p"), "modern");
        EXPECT_EQ(run(all[static_cast<std::size_t>(n)], "SELECT current_setting('app.tenant')"),
                  "t" + std::to_string(n));
    }
}

TEST_F(a_crowd, one_after_the_other) {
    const auto client = connect();
    run(client, "SET app.tenant = 'acme'; PREPARE p AS SELECT name FROM side");
    std::vector<std::chrono::microseconds> times;
    for (int n = 0; n < 20; ++n) {
        const auto began = clock::now();
        front_->flip(n % 2 == 0 ? modern_side : legacy_side);
        EXPECT_EQ(run(client, "EXECUTE p"), n % 2 == 0 ? "modern" : "legacy");
        times.push_back(std::chrono::duration_cast<std::chrono::microseconds>(clock::now() - began));
    }
    std::ranges::sort(times);
    std::cout << "one session: median " << times[times.size() / 2].count() << " us, longest " << times.back().count()
              << " us, its statement's answer included\n";
}

// As pgbench does it, in simple and prepared statements; whatever they ask is answered by one of the two, once.
TEST_F(a_crowd, at_work_sees_no_error_in_fifty_changes) {
    constexpr int many = 16;
    const auto changes = support::configured("CROSSFADE_TEST_CHANGES", 50);
    std::atomic<bool> over{false};
    std::atomic<int> wrong{0};
    std::atomic<long> done{0};
    std::atomic<long> longest{0};
    std::vector<std::thread> threads;
    for (int n = 0; n < many; ++n)
        threads.emplace_back([&, n] {
            const auto client = connect();
            run(client, "SET app.tenant = 't" + std::to_string(n) + "'");
            answer{
                PQprepare(client.get(), "add", "UPDATE accounts SET balance = balance + 1 WHERE id = $1", 0, nullptr)};
            const auto id = std::to_string(n + 1);
            const char* const values[] = {id.c_str()};
            const auto check = [&](const std::string& is, const std::string& should) {
                if (is == should) return;
                if (++wrong < 5)
                    ADD_FAILURE() << is << " instead of " << should << ": " << PQerrorMessage(client.get());
            };
            while (!over) {
                const auto began = clock::now();
                switch (done % 3) {
                    case 0:
                        check(run(client, "BEGIN"), "");
                        check(outcome(answer{PQexecPrepared(client.get(), "add", 1, values, nullptr, nullptr, 0)}), "");
                        check(run(client, "SELECT current_setting('app.tenant')"), "t" + std::to_string(n));
                        check(run(client, "COMMIT"), "");
                        break;
                    case 1:
                        check(outcome(answer{PQexecPrepared(client.get(), "add", 1, values, nullptr, nullptr, 0)}), "");
                        break;
                    default:
                        check(outcome(answer{PQexecParams(client.get(),
                                                          "UPDATE accounts SET balance = balance + 1 WHERE "
                                                          "id = $1",
                                                          1, nullptr, values, nullptr, nullptr, 0)}),
                              "");
                        break;
                }
                ++done;
                const long took = (clock::now() - began) / 1us;
                for (auto before = longest.load(); took > before && !longest.compare_exchange_weak(before, took);) {
                }
            }
        });
    std::vector<connection> idle;
    for (int n = 0; n < 20; ++n) idle.push_back(connect());
    for (long n = 0; n < changes; ++n) {
        const auto side = n % 2 == 0 ? modern_side : legacy_side;
        front_->flip(side);
        const auto all_there = [&] {
            const auto all = front_->sessions();
            return std::ranges::all_of(all, [&](const auto& each) { return each.server && each.server->side == side; });
        };
        ASSERT_TRUE(support::eventually(20s, all_there)) << "change " << n;
    }
    over = true;
    for (auto& each : threads) each.join();
    EXPECT_EQ(wrong, 0);
    const auto sum = [](const support::postgres_cluster& of, const std::string& database) {
        return std::stol(of.value("SELECT sum(balance) FROM accounts", database));
    };
    EXPECT_EQ(sum(*legacy_, "app") + sum(*modern_, "app_modern"), done) << "each was carried out once";
    EXPECT_EQ(front_->moved("moved"), changes * (many + 20));
    std::cout << done << " transactions, the longest " << longest / 1000 << " ms; a move's median is below "
              << median("crossfade_session_move_seconds") * 1000 << " ms\n";
}

}  // namespace
}  // namespace crossfade::proxy::test
