#include "proxy/frontend/address_book.hpp"

#include <gtest/gtest.h>

#include <atomic>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <semaphore>

#include "proxy/frontend/dial.hpp"
#include "tests/support/eventually.hpp"

namespace crossfade::proxy::frontend {
namespace {

using namespace std::chrono_literals;

constexpr auto pass_on = [](const std::exception_ptr& thrown) {
    if (thrown) std::rethrow_exception(thrown);
};

const auto here = asio::ip::make_address("127.0.0.1");

// "slow" isn't answered before it is let go.
class names : public testing::Test {
  protected:
    ~names() override { let_go(100); }
    void let_go(int times) { gate_.release(times); }

    // Runs the loop until what is asked is answered.
    void ask(const std::string& host, std::chrono::milliseconds within, std::optional<address_book::addresses>& into) {
        asio::co_spawn(
            loop_,
            [this, host, within, &into]() -> asio::awaitable<void> {
                into = co_await book_.find(host, std::chrono::steady_clock::now() + within);
            },
            pass_on);
    }
    bool run_until(const std::function<bool()>& so) {
        return support::eventually(10s, [&] {
            loop_.restart();
            loop_.poll();
            return so();
        });
    }

    std::counting_semaphore<> gate_{0};
    std::atomic<int> looked_up_{0};
    std::atomic<int> begun_{0};
    address_book book_{[this](const std::string& host) -> address_book::addresses {
        ++begun_;
        if (host == "slow") gate_.acquire();
        ++looked_up_;
        if (host == "none") return error_code{asio::error::host_not_found};
        return std::vector{here};
    }};
    asio::io_context loop_;
};

TEST_F(names, that_hang_hold_up_nobody_elses) {
    std::optional<address_book::addresses> slow;
    std::optional<address_book::addresses> other;
    ask("slow", 1h, slow);
    ASSERT_TRUE(run_until([&] { return begun_ == 1; }));
    ask("other", 1h, other);
    ASSERT_TRUE(run_until([&] { return other.has_value(); }));
    EXPECT_EQ(other->value(), std::vector{here});
    EXPECT_FALSE(slow);
    let_go(1);
    ASSERT_TRUE(run_until([&] { return slow.has_value(); }));
    EXPECT_EQ(slow->value(), std::vector{here});
}

TEST_F(names, that_hang_are_left_in_time) {
    std::optional<address_book::addresses> slow;
    ask("slow", 1ms, slow);
    ASSERT_TRUE(run_until([&] { return slow.has_value(); }));
    EXPECT_EQ(slow->error(), asio::error::timed_out);
    std::optional<boost::system::result<stream_socket>> dialled;
    const auto in_force = std::make_shared<settings::in_force>();
    in_force->config.proxy.connect_timeout = 1ms;
    const settings::endpoint there{"slow", 5432};
    asio::co_spawn(
        loop_, [&]() -> asio::awaitable<void> { dialled = co_await dial(there, in_force, book_); }, pass_on);
    ASSERT_TRUE(run_until([&] { return dialled.has_value(); }));
    EXPECT_EQ(dialled->error(), asio::error::timed_out);
    EXPECT_EQ(looked_up_, 0);
}

TEST_F(names, are_looked_up_once_for_all_who_wait) {
    std::optional<address_book::addresses> first;
    ask("slow", 1h, first);
    ASSERT_TRUE(run_until([&] { return begun_ == 1; }));
    // One that has begun before they came may be older than what they want to know.
    std::optional<address_book::addresses> later[5];
    for (auto& each : later) ask("slow", 1h, each);
    run_until([] { return true; });
    let_go(1);
    ASSERT_TRUE(run_until([&] { return first.has_value() && begun_ == 2; }));
    EXPECT_FALSE(later[0]);
    let_go(1);
    ASSERT_TRUE(
        run_until([&] { return std::ranges::all_of(later, [](const auto& each) { return each.has_value(); }); }));
    EXPECT_EQ(looked_up_, 2);
    std::optional<address_book::addresses> anew;
    let_go(1);
    ask("slow", 1h, anew);
    ASSERT_TRUE(run_until([&] { return anew.has_value(); }));
    EXPECT_EQ(looked_up_, 3);
}

TEST_F(names, that_are_not_there_are_said_to_be_so) {
    std::optional<address_book::addresses> none;
    ask("none", 1h, none);
    ASSERT_TRUE(run_until([&] { return none.has_value(); }));
    EXPECT_EQ(none->error(), asio::error::host_not_found);
    const auto found = address_book::system_look_up("localhost");
    ASSERT_TRUE(found);
    for (const auto& each : *found) EXPECT_TRUE(each.is_loopback());
}

// A filtered path, or a node that is down: it takes no connection and refuses none.
TEST_F(names, whose_first_address_swallows_everything_lead_to_the_next) {
    asio::ip::tcp::acceptor alive{loop_, {here, 0}};
    const auto port = alive.local_endpoint().port();
    asio::ip::tcp::acceptor full{loop_, asio::ip::tcp::v4()};
    full.bind({asio::ip::make_address("127.0.0.2"), port});
    full.listen(0);
    asio::ip::tcp::socket fills_it{loop_};
    fills_it.connect(full.local_endpoint());
    address_book both{[](const std::string&) -> address_book::addresses {
        return std::vector{asio::ip::make_address("127.0.0.2"), here};
    }};
    std::optional<boost::system::result<stream_socket>> dialled;
    const auto in_force = std::make_shared<settings::in_force>();
    in_force->config.proxy.connect_timeout = 1s;
    const settings::endpoint there{"two", port};
    asio::co_spawn(
        loop_, [&]() -> asio::awaitable<void> { dialled = co_await dial(there, in_force, both); }, pass_on);
    ASSERT_TRUE(run_until([&] { return dialled.has_value(); }));
    ASSERT_TRUE(dialled->has_value()) << dialled->error().message();
}

TEST_F(names, that_nobody_waits_for_any_more_reach_nobody) {
    std::optional<address_book::addresses> slow;
    {
        asio::io_context gone;
        asio::co_spawn(
            gone,
            [&]() -> asio::awaitable<void> {
                slow = co_await book_.find("slow", std::chrono::steady_clock::now() + 1h);
            },
            pass_on);
        gone.poll();
    }
    let_go(1);
    ASSERT_TRUE(run_until([&] { return looked_up_ == begun_; }));
    EXPECT_FALSE(slow);
}

}  // namespace
}  // namespace crossfade::proxy::frontend
