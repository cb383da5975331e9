#include "proxy/handover/authority_watch.hpp"

#include <gtest/gtest.h>
#include <prometheus/registry.h>

#include <atomic>
#include <chrono>
#include <future>
#include <optional>
#include <string>

#include "tests/integration/changeover/two_rows.hpp"
#include "tests/support/eventually.hpp"

namespace crossfade::proxy::handover {
namespace {

using namespace std::chrono_literals;
using clock = std::chrono::steady_clock;

// Writes are held from when the first proxy has heard of a flip until the last one has, so each second counts in which
// one doesn't know. News come by a notification; where it is lost the row is read a second later.
class an_authority_watch : public test::two_rows {
  protected:
    void SetUp() override {
        ASSERT_NO_FATAL_FAILURE(two_rows::SetUp());
        watch_.emplace(config(), "this one", metrics_);
        ASSERT_TRUE(watch_->first_look());
        watch_->start({.hold = [this](const settings::flag_scope&) { held_ = clock::now(); },
                       .busy = [this]() -> std::optional<std::size_t> { return 0; },
                       .go_on = [this](const std::optional<settings::decision>&) { held_ = clock::time_point{}; },
                       .rely = [](settings::side, clock::time_point) {}});
        ASSERT_TRUE(support::eventually(10s, [&] { return reported(); }));
    }
    bool reported() const { return legacy_.value("SELECT count(*) FROM crossfade.proxies") == "1"; }
    bool holds() const { return held_.load() != clock::time_point{}; }
    static std::string becomes(const std::string& state, int flip) {
        return "UPDATE crossfade.authority SET state = '" + state + "', flip = " + std::to_string(flip) +
               ", moving = '{\"group\": \"\", \"tenant\": \"\"}', hold_until = clock_timestamp() + interval '1 "
               "minute';" +
               " SELECT pg_notify('crossfade.authority', 'app')";
    }

    prometheus::Registry metrics_;
    std::atomic<clock::time_point> held_{};
    std::optional<authority_watch> watch_;
};

TEST_F(an_authority_watch, hears_what_comes_with_the_answer_to_its_own_report) {
    clock::duration quickest = 1h;
    for (int flip = 1; flip <= 3; ++flip) {
        // Its report has to wait, and the news come meanwhile.
        const auto waits = [&] {
            return legacy_.value(
                       "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'crossfade-authority' AND "
                       "wait_event_type = 'Lock'") == "1";
        };
        auto blocking = pgclient::connection::open(legacy_.dsn(), {}).value();
        blocking.exec("BEGIN; SELECT * FROM crossfade.proxies FOR UPDATE").value();
        ASSERT_TRUE(support::eventually(10s, waits));
        legacy_.exec(becomes("holding", flip));
        blocking.exec("COMMIT").value();
        const auto freed = clock::now();
        ASSERT_TRUE(support::eventually(10s, [&] { return holds(); }));
        quickest = std::min(quickest, held_.load() - freed);
        legacy_.exec(becomes("settled", flip));
        ASSERT_TRUE(support::eventually(10s, [&] { return !holds(); }));
    }
    EXPECT_LT(quickest, 300ms) << "and not when the row is read once more";
}

}  // namespace
}  // namespace crossfade::proxy::handover
