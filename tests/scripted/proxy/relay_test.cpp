// What happens to a session's bytes beside arriving: slow readers, ends of connections, reloads, draining.
#include <gmock/gmock.h>

#include "tests/scripted/proxy/messages.hpp"
#include "tests/scripted/proxy/proxy_between.hpp"

namespace crossfade::proxy::test {
namespace {

using namespace std::chrono_literals;
using namespace std::string_literals;
using namespace pgwire;

TEST(relay, a_slow_reader_stops_its_own_session_only) {
    proxy_between proxy{[](auto& config) { config.proxy.threads = 1; }};
    auto slow = proxy.session(1);
    auto quick = proxy.session(2);
    const auto row = framed('D', std::string(1 << 16, 'r'));
    const auto taken = slow.server.send_until_blocked(row);
    EXPECT_LT(taken, std::size_t{64} << 20) << "the proxy buffers what its client doesn't read";
    quick.client.send(build_query("select 1"));
    quick.server.expect(build_query("select 1"));
    quick.server.send(reply('C') + ready());
    quick.client.expect(reply('C') + ready());
    EXPECT_EQ(slow.client.read(taken).size(), taken);
}

// What is sent together with other sessions' messages shows only later that the socket did not take it: of the last row
// that the proxy has read a part has to wait, and nothing follows it that would bring the session to mind.
TEST(relay, a_reader_that_falls_behind_short_messages_gets_them_all) {
    proxy_between proxy{[](auto& config) { config.proxy.threads = 1; }};
    const auto row = framed('D', std::string(4000, 'r'));  // short enough to be sent together with others
    const auto passed = [&] { return proxy.metric("crossfade_relayed_bytes_total{direction=\"to_client\"}"); };
    const auto pass = [&](proxy_between::pair& of, std::size_t rows) {
        for (std::size_t sent = 0; sent < rows; ++sent) {
            const auto before = passed();
            of.server.send(row);
            const auto all = before + static_cast<double>(row.size());
            if (!support::eventually(100ms, [&] { return passed() == all; })) return sent;
        }
        return rows;
    };
    // How many rows fit is not quite the same each time; each session stops where the one before was full.
    std::size_t fit = 30000;
    for (std::uint32_t pid = 1; pid <= 4; ++pid) {
        auto next = proxy.session(pid);
        const auto rows = pass(next, fit);
        EXPECT_LT(rows, 30000U) << "the proxy buffers what its client doesn't read";
        EXPECT_EQ(next.client.read(rows * row.size()).size(), rows * row.size());
        fit = rows;
    }
}

TEST(relay, sessions_that_speak_at_once_are_kept_apart) {
    proxy_between proxy{[](auto& config) { config.proxy.threads = 1; }};
    std::vector<proxy_between::pair> all;
    for (std::uint32_t made = 0; made < 80; ++made) all.push_back(proxy.session(made + 1));
    for (int turn = 0; turn < 20; ++turn) {
        const auto said = [&](std::size_t by) {
            return build_query("select " + std::to_string(by) + std::string(by * 97 % 4500, ' ') +
                               std::to_string(turn));
        };
        for (std::size_t each = 0; each < all.size(); ++each) all[each].client.send(said(each));
        for (std::size_t each = 0; each < all.size(); ++each) all[each].server.expect(said(each));
        for (std::size_t each = 0; each < all.size(); ++each) all[each].server.send(complete(said(each)) + ready());
        for (std::size_t each = 0; each < all.size(); ++each) all[each].client.expect(complete(said(each)) + ready());
    }
}

TEST(relay, a_loop_keeps_asking_for_one_session_and_not_for_a_quiet_one) {
    proxy_between proxy{[](auto& config) {
        config.proxy.threads = 1;
        config.proxy.busy_poll_us = 1000;
    }};
    auto [near, far] = proxy.session();
    const auto polls = [&](const std::string& result) {
        return proxy.metric("crossfade_busy_polls_total{result=\"" + result + "\"}");
    };
    EXPECT_TRUE(support::eventually(20s, [&] {
        near.send(build_query("select 1"));
        far.expect(build_query("select 1"));
        far.send(reply('C') + ready());
        near.expect(reply('C') + ready());
        return polls("answered") >= 10;
    }));
    const auto before = polls("in_vain");
    EXPECT_FALSE(support::eventually(600ms, [&] { return polls("in_vain") > before + 1; }));
    proxy.reload([](auto& config) { config.proxy.busy_poll_us = 0; });
    const auto answered = polls("answered");
    EXPECT_TRUE(support::eventually(20s, [&] {
        const auto last = polls("answered");
        for (int turn = 0; turn < 20; ++turn) {
            near.send(build_query("select 1"));
            far.expect(build_query("select 1"));
            far.send(reply('C') + ready());
            near.expect(reply('C') + ready());
        }
        return polls("answered") == last;
    })) << answered;
}

TEST(relay, what_was_asked_before_a_half_close_is_still_answered) {
    proxy_between proxy;
    auto [near, far] = proxy.session();
    near.send(build_query("select 1"));
    near.half_close();
    far.expect(build_query("select 1"));
    far.expect_closed();
    far.send(reply('C') + ready());
    near.expect(reply('C') + ready());
    far.half_close();
    near.expect_closed();
    EXPECT_TRUE(support::eventually(5s, [&] { return proxy.sessions() == 0; }));
}

TEST(relay, the_databases_last_words_reach_a_client_that_still_sends) {
    proxy_between proxy;
    auto [near, far] = proxy.session();
    near.send(build_query("select 1"));
    far.send(build_fatal("57P01", "the database goes"));
    far.half_close();
    near.send(build_query(std::string(100000, 'x')));
    EXPECT_EQ(farewell(near), "57P01 the database goes");
}

TEST(relay, a_client_that_goes_after_the_last_words_is_not_waited_for) {
    proxy_between proxy;
    auto one = proxy.session(1);
    auto other = proxy.session(2);
    one.server.half_close();
    one.client.expect_closed();
    one.client.half_close();
    EXPECT_TRUE(support::eventually(1s, [&] { return proxy.sessions() == 1; }));
    proxy.drain();
    EXPECT_THAT(farewell(other.client), testing::StartsWith("57P01"));
    other.client.half_close();
    EXPECT_TRUE(proxy.drained_within(1s));
}

TEST(relay, a_client_that_resets_takes_its_server_session_with_it) {
    proxy_between proxy;
    auto [near, far] = proxy.session();
    near.reset();
    far.expect_closed();
    EXPECT_TRUE(
        support::eventually(5s, [&] { return proxy.metric("crossfade_sessions_total{result=\"client_left\"}") == 1; }));
}

TEST(reload, a_transaction_keeps_the_plan_it_started_with) {
    proxy_between proxy;
    auto [near, far] = proxy.session();
    const auto pass = [&near = near, &far = far](const std::string& up, const std::string& down) {
        near.send(up);
        far.expect(up);
        far.send(down);
        near.expect(down);
    };
    const auto counted = [&](const char* strategy) {
        return proxy.metric("crossfade_transactions_total{strategy=\""s + strategy + "\"}");
    };
    pass(build_query("begin"), reply('C') + ready('T'));
    proxy.reload([](settings::configuration& config) {
        settings::flags plain;
        plain.dual_write_strategy = settings::write_strategy::legacy_only;
        config.flags = settings::flag_set{plain, {}, {}};
    });
    pass(build_query("commit"), reply('C') + ready());
    EXPECT_TRUE(support::eventually(5s, [&] { return counted("legacy-primary") == 1; }));
    pass(build_query("select 1"), reply('C') + ready());
    EXPECT_TRUE(support::eventually(5s, [&] { return counted("legacy-only") == 1; }));
    EXPECT_EQ(counted("legacy-primary"), 1);
}

TEST(drain, transactions_and_batches_in_flight_finish_first) {
    proxy_between proxy;
    auto in_transaction = proxy.session(1);
    in_transaction.client.send(build_query("begin"));
    in_transaction.server.expect(build_query("begin"));
    in_transaction.server.send(ready('T'));
    in_transaction.client.expect(ready('T'));
    auto asking = proxy.session(2);
    asking.client.send(batch());
    asking.server.expect(batch());

    proxy.drain();
    asking.server.send(batch_replies());
    asking.client.expect(batch_replies());
    EXPECT_THAT(farewell(asking.client), testing::StartsWith("57P01"));
    asking.client.half_close();
    in_transaction.client.send(build_query("commit"));
    in_transaction.server.expect(build_query("commit"));
    in_transaction.server.send(reply('C') + ready());
    in_transaction.client.expect(reply('C') + ready());
    EXPECT_THAT(farewell(in_transaction.client), testing::StartsWith("57P01"));
    in_transaction.client.half_close();
    EXPECT_TRUE(proxy.drained_within(5s));
}

TEST(drain, a_transaction_that_does_not_end_is_closed_after_drain_timeout) {
    proxy_between proxy{[](auto& config) { config.proxy.drain_timeout = 100ms; }};
    auto [near, far] = proxy.session();
    near.send(build_query("begin"));
    far.send(ready('T'));
    near.expect(ready('T'));
    proxy.drain();
    EXPECT_THAT(farewell(near), testing::StartsWith("57P01"));
    EXPECT_TRUE(proxy.drained_within(5s));
}

}  // namespace
}  // namespace crossfade::proxy::test
