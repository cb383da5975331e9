// Databases that lie: what they say reaches the client that asked for them, and hurts nobody else.
#include <gmock/gmock.h>

#include <random>

#include "tests/scripted/proxy/memory.hpp"
#include "tests/scripted/proxy/messages.hpp"
#include "tests/scripted/proxy/script.hpp"

namespace crossfade::proxy::test {
namespace {

using namespace std::chrono_literals;
using namespace std::string_literals;
using namespace pgwire;
using testing::StartsWith;

constexpr std::size_t mib = 1 << 20;

std::string opening() {
    return build(startup_message{{}, {{"user", "ann"}, {"database", "app"}}});
}

// A session whose server has the start-up message and has said nothing.
proxy_between::pair before_login(proxy_between& proxy) {
    proxy_between::pair both{proxy.client(), peer{-1}};
    both.client.send(opening());
    both.server = proxy.legacy.accept();
    both.server.expect(opening());
    return both;
}

bool no_session_is_left(const proxy_between& proxy) {
    return support::eventually(5s, [&] { return proxy.sessions() == 0; });
}

// Whether a cancel with that key is one of a session's here.
bool known(proxy_between& proxy, const cancel_request& key) {
    constexpr auto forwarded = "crossfade_cancel_requests_total{result=\"forwarded\"}";
    const auto before = proxy.metric(forwarded);
    auto canceller = proxy.client();
    canceller.send(build(key));
    { proxy.legacy.accept().expect(build(key)); }
    canceller.expect_closed();
    return proxy.metric(forwarded) == before + 1;
}

// What nobody asked for is passed on, and the session still knows itself idle after the next exchange.
TEST(hostile_server, that_says_what_nobody_asked_for_is_passed_on_and_does_not_confuse) {
    const std::string unasked[] = {
        ready(),
        ready() + ready() + ready(),
        reply('1') + reply('2') + reply('3') + reply('n') + reply('s') + reply('I') + reply('V'),
        rows() + complete(),
        error(),
        copy_response('G') + error(),
        copy_response('H') + reply('d', "x") + reply('c') + complete(),
        copy_response('W') + reply('c') + ready(),
        build_authentication(authentication::ok) + build_authentication(authentication::md5_password, "salt"),
        reply('v', "\0\0\0\0\0\0\0\0"s),
        reply('Z') + reply('Z', "?") + reply('Z', "II"),
        reply('T', "\xff\xff"s) + reply('D', "\xff"s) + reply('E', "S"s) + reply('K', "12"s) + reply('S', "a"s),
    };
    for (const auto& said : unasked) {
        SCOPED_TRACE(testing::PrintToString(said));
        proxy_between proxy;
        auto both = proxy.session();
        play(both,
             {server(said), client(batch() + build_query("select 1")), server(batch_replies() + rows() + ready())});
        proxy.drain();
        EXPECT_THAT(farewell(both.client), StartsWith("57P01"));
        both.client.half_close();
        EXPECT_TRUE(proxy.drained_within(5s));
    }
}

TEST(hostile_server, whose_length_is_impossible_ends_the_session) {
    for (const bool logged_in : {false, true}) {
        for (const auto length : {0U, 1U, 2U, 3U, 0x80000004U, 0xFFFFFFFFU}) {
            SCOPED_TRACE(length);
            proxy_between proxy;
            auto both = logged_in ? proxy.session() : before_login(proxy);
            std::string message(1, 'D');
            put_u32(message, length);
            both.server.send(notice() + message + "and more");
            both.client.expect(notice());
            EXPECT_THAT(farewell(both.client), StartsWith("08P01 the database violated the protocol"));
            both.server.expect_closed();
            both.client.half_close();
            EXPECT_TRUE(no_session_is_left(proxy));
            EXPECT_EQ(proxy.metric("crossfade_sessions_total{result=\"protocol_violation\"}"), 1);
        }
    }
}

TEST(hostile_server, that_ends_anywhere_in_its_messages_ends_the_session_with_what_it_said) {
    const auto login = build_authentication(authentication::ok) + build_parameter_status("a", "b") +
                       build_backend_key_data({42, "key!"}) + ready();
    const auto all = login + rows() + ready();
    for (std::size_t cut = 0; cut <= all.size(); ++cut) {
        for (const bool resets : {false, true}) {
            SCOPED_TRACE(cut);
            proxy_between proxy;
            auto both = before_login(proxy);
            if (cut >= login.size()) {
                both.server.send(login);
                both.client.expect(login);
                both.server.send(all.substr(login.size(), cut - login.size()));
            } else {
                both.server.send(all.substr(0, cut));
            }
            if (resets)
                both.server.reset();
            else
                both.server.half_close();
            const auto got = both.client.read_to_end();
            const auto whole = all.substr(std::min(cut, login.size()) == login.size() ? login.size() : 0);
            EXPECT_EQ(got, whole.substr(0, got.size()));
            both.client.half_close();
            EXPECT_TRUE(no_session_is_left(proxy));
        }
    }
}

TEST(hostile_server, garbage_is_survived_in_every_state) {
    std::mt19937 random{23};
    for (int round = 0; round < 100; ++round) {
        proxy_between proxy{[](auto& config) { config.proxy.login_timeout = 5s; }};
        auto both = round % 2 == 0 ? proxy.session() : before_login(proxy);
        if (round % 3 == 0) play(both, {client(batch())});
        std::string garbage(1 + random() % 3000, '\0');
        for (char& byte : garbage) byte = static_cast<char>(random() % 3 == 0 ? random() : random() % 6);
        both.server.send(garbage, 1 + random() % 1000);
        both.server.half_close();
        const auto got = both.client.read_to_end();
        const auto goodbye = got.find("the database violated the protocol");
        if (goodbye == std::string::npos) {
            EXPECT_EQ(got, garbage.substr(0, got.size()));
        }
        both.client.half_close();
        EXPECT_TRUE(no_session_is_left(proxy));
    }
}

TEST(hostile_server, cancel_keys_are_the_last_well_formed_before_ready) {
    proxy_between proxy;
    auto both = before_login(proxy);
    play(both, {server(build_authentication(authentication::ok) + build_backend_key_data({1, "old!"}) +
                       build_backend_key_data({2, "key!"}))});
    EXPECT_FALSE(known(proxy, {1, "old!"}));
    EXPECT_TRUE(known(proxy, {2, "key!"}));
    play(both, {server(reply('K') + reply('K', "1234") + reply('K', std::string(4 + 257, 'k')))});
    EXPECT_TRUE(known(proxy, {2, "key!"}));
    play(both, {server(ready() + build_backend_key_data({3, "late"}))});
    EXPECT_FALSE(known(proxy, {3, "late"}));
    EXPECT_TRUE(known(proxy, {2, "key!"}));
}

TEST(hostile_server, that_never_gets_ready_is_ended_by_login_timeout) {
    for (const bool client_reads : {true, false}) {
        proxy_between proxy{[](auto& config) { config.proxy.login_timeout = 300ms; }};
        auto both = before_login(proxy);
        const auto before = memory("VmRSS");
        const auto endless = build_parameter_status("a", std::string(1000, 'b'));
        std::thread reading{[&] {
            if (client_reads) both.client.drain();
        }};
        both.server.send(build_authentication(authentication::ok));
        EXPECT_TRUE(support::eventually(5s, [&] {
            for (int n = 0; n < 100; ++n) both.server.send_what_fits(endless);
            return proxy.metric("crossfade_sessions_total{result=\"login_timeout\"}") == 1;
        }));
        reading.join();
        EXPECT_LT(memory("VmRSS"), before + memory_times * 8 * mib);
    }
}

TEST(hostile_server, that_says_nothing_at_all_is_ended_by_login_timeout) {
    proxy_between proxy{[](auto& config) { config.proxy.login_timeout = 100ms; }};
    auto both = before_login(proxy);
    EXPECT_THAT(farewell(both.client), StartsWith("57014"));
    both.server.expect_closed();
}

TEST(hostile_server, a_storm_of_replies_takes_no_memory) {
    proxy_between proxy;
    auto both = proxy.session();
    std::string storm;
    for (int n = 0; n < 5000; ++n) storm += complete() + ready() + reply('1') + copy_response('G') + error();
    const auto before = memory("VmRSS");
    std::thread storming{[&server = both.server, &storm] {
        for (int n = 0; n < 100; ++n) server.send(storm);
    }};
    for (int n = 0; n < 100; ++n) ASSERT_EQ(both.client.read(storm.size()), storm);
    storming.join();
    EXPECT_LT(memory("VmRSS"), before + memory_times * 8 * mib);
    play(both, {client(batch()), server(batch_replies())});
}

// Its client gone, a server that doesn't notice is left to the end of its connection; its session's place with it.
TEST(hostile_server, that_does_not_notice_its_clients_end_is_cut_when_the_proxy_stops) {
    proxy_between proxy;
    auto both = proxy.session();
    both.client.half_close();
    both.server.expect_closed();
    proxy.drain();
    EXPECT_TRUE(proxy.drained_within(5s));
}

}  // namespace
}  // namespace crossfade::proxy::test
