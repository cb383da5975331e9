// Clients that mean harm, or are merely broken: each may spoil its own session, and nothing else.
#include <gmock/gmock.h>

#include <optional>
#include <random>

#include "tests/scripted/proxy/memory.hpp"
#include "tests/scripted/proxy/messages.hpp"
#include "tests/scripted/proxy/script.hpp"

namespace crossfade::proxy::test {
namespace {

using namespace std::chrono_literals;
using namespace std::string_literals;
using namespace pgwire;
using testing::HasSubstr;
using testing::StartsWith;

constexpr std::size_t mib = 1 << 20;

std::string opening() {
    return build(startup_message{{}, {{"user", "ann"}, {"database", "app"}}});
}

bool no_session_is_left(const proxy_between& proxy) {
    return support::eventually(5s, [&] { return proxy.sessions() == 0; });
}

void serves_others(proxy_between& proxy) {
    auto session = proxy.session(99, "else");
    play(session, {client(batch()), server(batch_replies())});
}

// Where a session may stand when its client does something unheard of. `login`: whether it has got that far.
struct state {
    const char* name;
    bool login;
    script steps;
};
void PrintTo(const state& of, std::ostream* to) {
    *to << of.name;
}

const state states[] = {
    {"before_authentication", false, {}},
    {"asked_for_a_password", false, {server(build_authentication(authentication::cleartext_password))}},
    {"authenticated_but_not_ready", false, {server(build_authentication(authentication::ok))}},
    {"idle", true, {}},
    {"in_a_query", true, {client(build_query("select 1"))}},
    {"in_the_middle_of_an_answer", true, {client(build_query("select 1")), server(row_description() + data_row())}},
    {"in_a_transaction", true, {client(build_query("begin")), server(complete("BEGIN") + ready('T'))}},
    {"in_a_failed_transaction", true, {client(build_query("begin; x")), server(error() + ready('E'))}},
    {"in_a_batch", true, {client(build_parse("", "select 1") + build_flush()), server(reply('1'))}},
    {"in_an_aborted_batch", true, {client(build_parse("", "x") + build_flush()), server(error())}},
    {"in_copy_in", true, {client(build_query("copy t from stdin")), server(copy_response('G'))}},
    {"in_copy_out", true, {client(build_query("copy t to stdout")), server(copy_response('H') + reply('d', "1\n"))}},
    {"in_copy_both", true, {client(build_query("START_REPLICATION 0/0")), server(copy_response('W'))}},
};

class hostile_client : public testing::TestWithParam<state> {
  protected:
    proxy_between::pair session() {
        proxy_between::pair both{peer{-1}, peer{-1}};
        if (GetParam().login) {
            both = proxy_.session();
        } else {
            both.client = proxy_.client();
            both.client.send(opening());
            both.server = proxy_.legacy.accept();
            both.server.expect(opening());
        }
        play(both, GetParam().steps);
        return both;
    }

    proxy_between proxy_{[](auto& config) { config.proxy.drain_timeout = 50ms; }};
};

TEST_P(hostile_client, that_ends_its_side_lets_the_server_finish) {
    auto both = session();
    both.client.half_close();
    both.server.expect_closed();
    both.server.send(build_fatal("57P01", "the client has gone"));
    both.server.half_close();
    EXPECT_EQ(farewell(both.client), "57P01 the client has gone");
    EXPECT_TRUE(no_session_is_left(proxy_));
}

TEST_P(hostile_client, that_resets_takes_its_server_session_with_it) {
    auto both = session();
    both.client.reset();
    both.server.expect_closed();
    EXPECT_TRUE(no_session_is_left(proxy_));
}

TEST_P(hostile_client, whose_length_is_impossible_is_sent_away) {
    for (const auto length : {0U, 1U, 2U, 3U, 0x40000005U, 0x7FFFFFFFU, 0x80000000U, 0xFFFFFFFFU}) {
        SCOPED_TRACE(length);
        auto both = session();
        std::string message(1, 'd');
        put_u32(message, length);
        both.client.send(message + "and more");
        const auto answer = both.client.read_to_end();
        both.server.expect_closed();
        both.client.half_close();
        // In the middle of what it waits for, a client that is never answered is closed after proxy.drain_timeout.
        if (!answer.empty()) {
            EXPECT_EQ(answer.front(), 'E') << answer;
        }
        EXPECT_TRUE(no_session_is_left(proxy_));
    }
}

TEST_P(hostile_client, that_sends_garbage_is_passed_on_or_sent_away) {
    std::mt19937 random{17};
    for (int round = 0; round < 8; ++round) {
        auto both = session();
        std::string garbage(1 + random() % 3000, '\0');
        for (char& byte : garbage) byte = static_cast<char>(random() % 3 == 0 ? random() : 0);
        both.client.send(garbage, 1 + random() % 1000);
        both.client.half_close();
        const auto got = both.server.read_to_end();
        EXPECT_EQ(got, garbage.substr(0, got.size())) << "nothing is invented";
        both.server.reset();
        both.client.read_to_end();
        EXPECT_TRUE(no_session_is_left(proxy_));
    }
    serves_others(proxy_);
}

INSTANTIATE_TEST_SUITE_P(in_each_state, hostile_client, testing::ValuesIn(states),
                         [](const auto& of) { return std::string{of.param.name}; });

TEST(hostile_greeting, garbage_and_early_ends_are_survived) {
    proxy_between proxy;
    std::mt19937 random{19};
    for (int round = 0; round < 500; ++round) {
        std::string bytes = round % 3 == 0 ? build(ssl_request{}) : round % 3 == 1 ? opening() : "";
        bytes.resize(bytes.size() / 2);
        for (auto more = random() % 40; more > 0; --more) bytes += static_cast<char>(random());
        auto client = proxy.client();
        client.send(bytes, random() % 9);
        client.half_close();
        client.read_to_end();
    }
    EXPECT_TRUE(no_session_is_left(proxy));
    EXPECT_TRUE(proxy.legacy.nobody_waits());
    serves_others(proxy);
}

TEST(hostile_greeting, a_byte_now_and_then_does_not_put_off_login_timeout) {
    proxy_between proxy{[](auto& config) { config.proxy.login_timeout = 300ms; }};
    const auto begun = std::chrono::steady_clock::now();
    auto slow = proxy.client();
    const auto bytes = opening();
    std::size_t sent = 0;
    EXPECT_TRUE(support::eventually(5s, [&] {
        if (sent + 1 < bytes.size() && (std::chrono::steady_clock::now() - begun) / 20ms > static_cast<long>(sent))
            slow.send(bytes.substr(sent++, 1));
        return proxy.metric("crossfade_sessions_total{result=\"login_timeout\"}") == 1;
    }));
    EXPECT_LT(std::chrono::steady_clock::now() - begun, 2s);
    slow.read_to_end();
}

TEST(hostile_greeting, the_silent_are_bounded_in_number_and_time) {
    proxy_between proxy{[](auto& config) {
        config.proxy.max_sessions = 4;
        config.proxy.login_timeout = 1s;
    }};
    std::vector<peer> silent;
    for (int n = 0; n < 300; ++n) silent.push_back(proxy.client());
    // Those beyond the room are closed at once, the others when their time is over.
    silent.back().expect_closed();
    EXPECT_TRUE(support::eventually(
        5s, [&] { return proxy.metric("crossfade_sessions_total{result=\"login_timeout\"}") >= 4; }));
    for (auto& one : silent) one.read_to_end();
    const auto timed_out = [&] { return proxy.metric("crossfade_sessions_total{result=\"login_timeout\"}"); };
    EXPECT_TRUE(support::eventually(
        5s, [&] { return timed_out() + proxy.metric("crossfade_connections_turned_away_total ") == 300; }));
    EXPECT_LT(timed_out(), 200);
    EXPECT_EQ(proxy.metric("crossfade_proxy_limit{limit=\"connections\"}"), 132);
    serves_others(proxy);
}

TEST(hostile_reader, two_hundred_that_never_read_stop_only_themselves_and_take_no_memory) {
    proxy_between proxy;
    std::vector<proxy_between::pair> stuck;
    for (std::uint32_t n = 0; n < 200; ++n) {
        stuck.push_back(proxy.session(1000 + n));
        stuck.back().client.send(build_query("select everything"));
    }
    auto session = proxy.session(1);
    const auto before = memory("VmRSS");
    const auto row = data_row(std::string(60'000, 'r'));
    // A round in which nobody takes a byte more: all 200 are stuck.
    EXPECT_TRUE(support::eventually(50s, [&] {
        std::size_t taken = 0;
        for (auto& one : stuck) taken += one.server.send_what_fits(row);
        return taken == 0;
    }));
    const auto grown = memory("VmRSS") - before;
    EXPECT_LT(grown, memory_times * 200 * 128 * 1024) << "what a session has read and can't write is one chunk";

    const auto begun = std::chrono::steady_clock::now();
    for (int n = 0; n < 1000; ++n) play(session, {client(batch()), server(batch_replies())});
    EXPECT_LT(std::chrono::steady_clock::now() - begun, 5s);
}

TEST(hostile_reader, that_sends_everything_and_reads_nothing_is_stopped) {
    proxy_between proxy;
    auto both = proxy.session();
    const auto before = memory("VmRSS");
    // A server that answers each message, as long as it gets rid of the answers.
    std::string questions;
    std::string answers;
    while (questions.size() < 50'000) {
        questions += batch();
        answers += batch_replies() + data_row(std::string(500, 'r'));
    }
    std::size_t sent = 0;
    EXPECT_TRUE(support::eventually(30s, [&] {
        const auto asked = both.client.send_what_fits(questions);
        const auto answered = both.server.send_what_fits(answers);
        sent += asked;
        return asked + answered == 0;
    }));
    EXPECT_LT(sent, 64 * mib);
    EXPECT_LT(memory("VmRSS"), before + memory_times * 32 * mib);
    serves_others(proxy);
}

TEST(hostile_reader, that_is_owed_a_million_answers_is_sent_away) {
    proxy_between proxy{[](auto& config) { config.proxy.drain_timeout = 100ms; }};
    auto both = proxy.session();
    const auto before = memory("VmRSS");
    // The server takes all and answers nothing.
    std::string questions;
    while (questions.size() < mib) questions += build_describe(named::portal, "") + build_sync();
    std::thread asking{[&near = both.client, &questions] {
        for (int n = 0; n < 20; ++n) near.send(questions);
    }};
    both.server.drain();
    asking.join();
    EXPECT_LT(memory("VmRSS"), before + memory_times * 40 * mib);
    EXPECT_TRUE(no_session_is_left(proxy));
    EXPECT_EQ(proxy.metric("crossfade_sessions_total{result=\"out_of_memory\"}"), 1);
}

TEST(hostile_reader, that_is_owed_more_than_memory_allows_is_told_so_and_others_go_on) {
    using limit = std::size_t settings::proxy::*;
    for (const auto& [key, value] :
         {std::pair<std::string, limit>{"proxy.max_session_memory", &settings::proxy::max_session_memory},
          {"proxy.max_memory", &settings::proxy::max_memory}}) {
        proxy_between proxy{[&, set = value](auto& config) { config.proxy.*set = 256 * 1024; }};
        auto other = proxy.session(1);
        const auto one_session = proxy.metric("crossfade_proxy_limit_used{limit=\"memory\"}");
        EXPECT_GT(one_session, 1000);
        {
            auto both = proxy.session(2);
            std::string questions;
            while (questions.size() < mib) questions += build_describe(named::portal, "") + build_sync();
            std::thread asking{[&near = both.client, &questions] { near.send(questions); }};
            std::thread taking{[&far = both.server] { far.drain(); }};
            const auto told = farewell(both.client);
            EXPECT_THAT(told, StartsWith("53200 out of memory"));
            EXPECT_THAT(told, HasSubstr(key + " is reached"));
            asking.join();
            taking.join();
        }
        EXPECT_TRUE(support::eventually(5s, [&] { return proxy.sessions() == 1; }));
        EXPECT_EQ(proxy.metric("crossfade_sessions_total{result=\"out_of_memory\"}"), 1);
        EXPECT_EQ(proxy.metric("crossfade_proxy_limit_used{limit=\"memory\"}"), one_session) << "given back";
        play(other, {client(batch()), server(batch_replies())});
    }
}

// Each of them has the proxy hold little, for as long as it likes; there may be thousands.
TEST(hostile_reader, counts_with_all_that_it_has_not_read) {
    proxy_between proxy;
    const auto used = [&] { return proxy.metric("crossfade_proxy_limit_used{limit=\"memory\"}"); };
    auto other = proxy.session(100);
    const auto one_session = used();
    // Many at a time, so that more of them is read than the client's socket takes.
    std::string rows;
    while (rows.size() < mib) rows += data_row(std::string(8000, 'x'));
    {
        std::vector<proxy_between::pair> slow;
        const auto held = [&] { return used() - one_session * static_cast<double>(1 + slow.size()); };
        while (slow.size() < 12 && held() < 64 * 1024) {
            const auto before = held();
            auto& one = slow.emplace_back(proxy.session(static_cast<std::uint32_t>(slow.size())));
            one.client.send(build_query("SELECT"));
            one.server.send_until_blocked(rows);
            support::eventually(1s, [&] { return held() > before; });
        }
        EXPECT_GE(held(), 64 * 1024) << slow.size();
        for (auto& each : slow) each.client.drain();
        EXPECT_TRUE(support::eventually(5s, [&] { return held() == 0; })) << held();
    }
    play(other, {client(batch()), server(batch_replies())});
}

TEST(limits, no_session_begins_when_memory_is_used_up) {
    proxy_between proxy{[](auto& config) { config.proxy.max_memory = 2'500; }};
    {
        auto first = proxy.session();
        auto second = proxy.client();
        second.send(build(startup_message{{}, {{"user", "ann"}}}));
        EXPECT_EQ(farewell(second), "53200 too much memory is in use by sessions: proxy.max_memory is reached");
        play(first, {client(batch()), server(batch_replies())});
    }
    EXPECT_TRUE(support::eventually(5s, [&] { return proxy.sessions() == 0; }));
    proxy.session();
}

// Linux hands out such a connection, and what came by it, but not its address any more.
TEST(hostile_clients, that_have_left_before_they_were_looked_at_are_no_local_ones) {
    auth::access_rule by_socket;
    by_socket.from = {.all = false, .local = true, .ranges = {}};
    auth::access_rule nobody_else;
    nobody_else.method = auth::access_method::reject;
    const auto door = listen_on_loopback();
    auto stranger = peer::connect(door.port);
    stranger.send(opening() + build_query("drop table t"));
    stranger.reset();
    proxy_between proxy{[&](auto& config) { config.proxy.access = {by_socket, nobody_else}; }, {door.socket}};
    EXPECT_TRUE(
        support::eventually(5s, [&] { return proxy.metric("crossfade_sessions_total{result=\"client_left\"}") == 1; }));
    EXPECT_TRUE(proxy.legacy.nobody_waits());
}

}  // namespace
}  // namespace crossfade::proxy::test
