#include <gtest/gtest.h>

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <thread>

#include "proxy/frontend/gatekeeper.hpp"
#include "tests/support/eventually.hpp"

namespace crossfade::proxy::frontend {
namespace {

using namespace std::chrono_literals;

constexpr auto pass_on = [](const std::exception_ptr& thrown) {
    if (thrown) std::rethrow_exception(thrown);
};

// Modern takes connections and says nothing; legacy takes none.
class log_ins_by_query : public testing::Test {
  protected:
    log_ins_by_query() {
        silent_.non_blocking(true);
        auto made = std::make_shared<settings::in_force>();
        made->config.legacy.dsn = "host=127.0.0.1 connect_timeout=2 port=" + std::to_string(free_port());
        made->config.modern.dsn =
            "host=127.0.0.1 connect_timeout=2 port=" + std::to_string(silent_.local_endpoint().port());
        in_force_ = made;
    }
    static std::uint16_t free_port() {
        asio::io_context context;
        return asio::ip::tcp::acceptor{context, {asio::ip::address_v4::loopback(), 0}}.local_endpoint().port();
    }

    void ask(settings::side which, std::optional<credential_finding>& into) {
        asio::co_spawn(
            loop_,
            [this, which, &into]() -> asio::awaitable<void> { into = co_await keeper_.find("ann", in_force_, which); },
            pass_on);
    }
    bool run_until(const std::function<bool()>& so) {
        return support::eventually(30s, [&] {
            loop_.restart();
            loop_.poll();
            for (error_code none; !none;) {
                auto one = silent_.accept(none);
                if (!none) connected_.push_back(std::move(one));
            }
            return so();
        });
    }

    asio::io_context loop_;
    asio::ip::tcp::acceptor silent_{loop_, {asio::ip::address_v4::loopback(), 0}};
    std::vector<asio::ip::tcp::socket> connected_;
    settings::snapshot in_force_;
    gatekeeper keeper_;
};

TEST_F(log_ins_by_query, to_one_database_do_not_wait_for_the_other) {
    std::optional<credential_finding> modern;
    std::optional<credential_finding> legacy;
    ask(settings::side::modern, modern);
    ASSERT_TRUE(run_until([&] { return connected_.size() == 1; }));
    ask(settings::side::legacy, legacy);
    ASSERT_TRUE(run_until([&] { return legacy.has_value(); }));
    EXPECT_TRUE(legacy->has_error());
    EXPECT_FALSE(modern);
    EXPECT_EQ(keeper_.desk_of(settings::side::modern).waiting(), 1U);
    EXPECT_EQ(keeper_.desk_of(settings::side::legacy).waiting(), 0U);
    connected_.clear();
    ASSERT_TRUE(run_until([&] { return modern.has_value(); }));
}

TEST_F(log_ins_by_query, wait_together_for_a_database_that_says_nothing) {
    std::optional<credential_finding> first;
    std::optional<credential_finding> later[5];
    ask(settings::side::modern, first);
    ASSERT_TRUE(run_until([&] { return connected_.size() == 1; }));
    for (auto& each : later) ask(settings::side::modern, each);
    ASSERT_TRUE(
        run_until([&] { return std::ranges::all_of(later, [](const auto& each) { return each.has_value(); }); }));
    EXPECT_TRUE(first->has_error());
    EXPECT_EQ(connected_.size(), 2U) << "one attempt for the first, one for those who came meanwhile";
}

// Seen by the sanitizers.
TEST_F(log_ins_by_query, find_users_of_the_list_while_it_is_taken_anew) {
    settings::configuration config;
    config.proxy.auth.users = auth::parse_user_list(
                                  "\"ann\" \"SCRAM-SHA-256$4096:c2FsdHNhbHRzYWx0c2FsdA==$"
                                  "c3RvcmVka2V5c3RvcmVka2V5c3RvcmVka2V5c3RvcmU=:"
                                  "c2VydmVya2V5c2VydmVya2V5c2VydmVya2V5c2VydmU=\"\n")
                                  .value();
    keeper_.take(config);
    std::jthread reloads{[&](const std::stop_token& over) {
        while (!over.stop_requested()) keeper_.take(config);
    }};
    for (int i = 0; i < 2000; ++i) {
        std::optional<credential_finding> found;
        ask(settings::side::legacy, found);
        ASSERT_TRUE(run_until([&] { return found.has_value(); }));
        ASSERT_TRUE(found->has_value() && found->value());
    }
}

}  // namespace
}  // namespace crossfade::proxy::frontend
