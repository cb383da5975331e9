// What passes through unchanged, in which order, and where a session knows itself idle.
#include <gmock/gmock.h>

#include "lib/pgwire/query_messages.hpp"
#include "tests/scripted/proxy/proxy_between.hpp"

namespace crossfade::proxy::test {
namespace {

using namespace std::chrono_literals;
using namespace std::string_literals;
using namespace pgwire;

std::string reply(char type, std::string_view body = {}) {
    return framed(type, body);
}
std::string ready(char status = 'I') {
    return reply('Z', std::string(1, status));
}
std::string error() {
    return build_error_response({{{'S', "ERROR"}, {'V', "ERROR"}, {'C', "22012"}, {'M', "division"}}});
}
std::string batch() {
    return build_parse("", "select 1") + build_bind("", "", {}) + build_execute("", 0) + build_sync();
}
std::string batch_replies() {
    return reply('1') + reply('2') + reply('D', "\0\0"s) + reply('C', "SELECT 1\0"s) + ready();
}

struct step {
    bool from_client;
    std::string bytes;
};
struct exchange {
    const char* name;
    std::vector<step> steps;
    double transactions;
};
void PrintTo(const exchange& of, std::ostream* to) {
    *to << of.name;
}

step client(std::string bytes) {
    return {true, std::move(bytes)};
}
step server(std::string bytes) {
    return {false, std::move(bytes)};
}

const exchange exchanges[] = {
    {"simple_query", {client(build_query("select 1")), server(reply('T') + reply('D') + reply('C') + ready())}, 1},
    {"error_sync_and_ready_racing",
     {client(batch() + batch()), server(reply('1') + error() + ready() + batch_replies())},
     2},
    {"two_errors_in_one_pipeline", {client(batch() + batch()), server(error() + ready() + error() + ready())}, 2},
    {"simple_query_in_an_aborted_batch",
     {client(build_parse("", "x") + build_query("select 1") + build_sync()), server(error() + ready())},
     1},
    {"flush_is_passed_on",
     {client(build_parse("s", "select 1") + build_flush()), server(reply('1')),
      client(build_describe(named::statement, "s") + build_flush()), server(reply('t') + reply('n')),
      client(build_sync()), server(ready())},
     1},
    {"max_rows_is_heeded",
     {client(build_parse("", "x") + build_bind("p", "", {}) + build_execute("p", 1) + build_flush()),
      server(reply('1') + reply('2') + reply('D') + reply('s')), client(build_execute("p", 1) + build_sync()),
      server(reply('D') + reply('C') + ready())},
     1},
    {"copy_failure_followed_by_a_late_copy_done",
     {client(build_query("copy t from stdin")), server(reply('G')), client(build_copy_data("bad")),
      server(error() + ready()), client(build_copy_data("late") + build_copy_done()), client(build_query("select 1")),
      server(reply('C') + ready())},
     2},
    {"copy_out",
     {client(build_query("copy t to stdout")),
      server(reply('H') + reply('d', std::string(100000, 'x')) + reply('c') + reply('C') + ready())},
     1},
    {"function_call", {client(reply('F', "\0\0\0\1"s)), server(reply('V') + ready())}, 1},
    {"close_of_statement_and_portal",
     {client(build_close(named::portal, "a") + build_close(named::statement, "a") + build_sync()),
      server(reply('3') + reply('3') + ready())},
     1},
    {"notices_and_notifications", {server(reply('N') + reply('A', "\0\0\0\7c\0\0"s) + reply('S', "a\0b\0"s))}, 0},
    {"unknown_messages_are_the_servers_affair", {client(reply('y', "later")), server(reply('%', "later"))}, 0},
    {"transaction_block",
     {client(build_query("begin")), server(reply('C') + ready('T')), client(build_query("x")),
      server(error() + ready('E')), client(build_query("rollback")), server(reply('C') + ready())},
     1},
};

class exchange_script : public testing::TestWithParam<exchange> {};

TEST_P(exchange_script, arrives_as_sent_whole_and_in_single_bytes_and_leaves_the_session_idle) {
    proxy_between proxy;
    auto [near, far] = proxy.session();
    double expected = 0;
    for (const std::size_t pieces : {0U, 1U, 6U}) {
        for (const auto& [from_client, bytes] : GetParam().steps) {
            (from_client ? near : far).send(bytes, bytes.size() > 10000 ? 0 : pieces);
            (from_client ? far : near).expect(bytes);
        }
        expected += GetParam().transactions;
        EXPECT_TRUE(support::eventually(
            5s, [&] { return proxy.metric("crossfade_transactions_total{strategy=\"legacy-primary\"}") == expected; }));
    }
    proxy.drain();
    EXPECT_EQ(farewell(near), "57P01 terminating connection due to administrator command");
    far.expect_closed();
    EXPECT_TRUE(proxy.drained_within(5s));
}

INSTANTIATE_TEST_SUITE_P(all, exchange_script, testing::ValuesIn(exchanges),
                         [](const auto& of) { return std::string{of.param.name}; });

TEST(relay, both_directions_blocked_on_write_do_not_deadlock) {
    proxy_between proxy;
    auto [near, far] = proxy.session();
    const auto upwards = build_copy_data(std::string(1 << 20, 'u'));
    const auto downwards = framed('d', std::string(1 << 20, 'd'));
    constexpr std::size_t times = 32;
    // Both sides send before either reads; each then reads what the other sent.
    std::thread writing_client{[&near = near, &upwards] {
        for (std::size_t n = 0; n < times; ++n) near.send(upwards);
    }};
    std::thread writing_server{[&far = far, &downwards] {
        for (std::size_t n = 0; n < times; ++n) far.send(downwards);
    }};
    std::thread reading_client{[&near = near, &downwards] {
        EXPECT_EQ(near.read(times * downwards.size()).size(), times * downwards.size());
    }};
    EXPECT_EQ(far.read(times * upwards.size()).size(), times * upwards.size());
    for (auto* thread : {&writing_client, &writing_server, &reading_client}) thread->join();
}

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
    in_transaction.client.send(build_query("commit"));
    in_transaction.server.expect(build_query("commit"));
    in_transaction.server.send(reply('C') + ready());
    in_transaction.client.expect(reply('C') + ready());
    EXPECT_THAT(farewell(in_transaction.client), testing::StartsWith("57P01"));
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
