// Faults that broke other proxies, where it takes a peer that lies, dawdles or says what no PostgreSQL 15 does. The
// others are in tests/integration/proxy/faults_test.cpp; the numbers are the same list's.
#include <gmock/gmock.h>

#include <optional>

#include "tests/scripted/proxy/messages.hpp"
#include "tests/scripted/proxy/script.hpp"

namespace crossfade::proxy::test {
namespace {

using namespace std::chrono_literals;
using namespace std::string_literals;
using namespace pgwire;
using testing::StartsWith;

std::string opening() {
    return build(startup_message{{}, {{"user", "ann"}, {"database", "app"}, {"options", "-c work_mem=1MB"}}});
}

void everything_on_modern(settings::configuration& config) {
    settings::flags flags;
    flags.dual_write_strategy = settings::write_strategy::modern_only;
    flags.hybrid_read_strategy = settings::read_strategy::modern;
    config.flags = settings::flag_set{flags, {}, {}};
}

proxy_between::pair logged_in(const proxy_between& proxy, fake_database& at, const backend_key_data& key) {
    proxy_between::pair both{proxy.client(), peer{-1}};
    const auto first = [](const char* database) {
        return build(startup_message{{}, {{"user", "ann"}, {"database", database}}});
    };
    both.client.send(first("app"));
    both.server = at.accept();
    play(both, {server(build_authentication(authentication::ok) + build_backend_key_data(key) + ready())});
    both.server.expect(first(&at == &proxy.modern ? "app_modern" : "app"));
    return both;
}

// How often the proxy has taken a cancel so: "forwarded", to a session's own server; "handed_on", to the database in
// charge, which alone can say whether another proxy's session has that key; "ambiguous", to nobody.
double cancels(proxy_between& proxy, const std::string& result) {
    return proxy.metric("crossfade_cancel_requests_total{result=\"" + result + "\"}");
}

// Sends it; it must reach that database as it is, no other, and be taken as `result`.
void cancel_arrives(proxy_between& proxy, fake_database& at, const cancel_request& key, const std::string& result) {
    const auto before = cancels(proxy, result);
    auto canceller = proxy.client();
    canceller.send(build(key), 5);
    auto backend = at.accept();
    backend.expect(build(key));
    backend.half_close();
    canceller.expect_closed();
    EXPECT_TRUE(support::eventually(5s, [&] { return cancels(proxy, result) == before + 1; })) << result;
    EXPECT_TRUE(proxy.legacy.nobody_waits());
    EXPECT_TRUE(proxy.modern.nobody_waits());
}

TEST(faults, f06_a_cancel_reaches_the_backend_it_names_and_no_other) {
    proxy_between proxy;
    const auto session = logged_in(proxy, proxy.legacy, {7, "good"});
    cancel_arrives(proxy, proxy.legacy, {7, "good"}, "forwarded");
    // With another key it isn't that session's, whatever pid it names.
    for (const auto& other : {cancel_request{7, "evil"}, cancel_request{8, "good"}, cancel_request{7, "good!"},
                              cancel_request{7, "goo"}, cancel_request{7U << 24, "good"}})
        cancel_arrives(proxy, proxy.legacy, other, "handed_on");
    EXPECT_EQ(cancels(proxy, "forwarded"), 1);
}

TEST(faults, f06_a_cancel_follows_its_session_and_not_the_flags) {
    proxy_between proxy;
    const auto on_legacy = logged_in(proxy, proxy.legacy, {7, "old!"});
    proxy.reload(everything_on_modern);
    const auto on_modern = logged_in(proxy, proxy.modern, {8, "new!"});
    cancel_arrives(proxy, proxy.legacy, {7, "old!"}, "forwarded");
    cancel_arrives(proxy, proxy.modern, {8, "new!"}, "forwarded");
}

// Another proxy may have a session there, of a database that doesn't move. Nobody waits for what legacy says.
TEST(faults, f06_an_unknown_cancel_reaches_legacy_too_where_modern_is_in_charge) {
    proxy_between proxy{everything_on_modern};
    const cancel_request unknown{9, "any!"};
    auto canceller = proxy.client();
    canceller.send(build(unknown));
    auto on_modern = proxy.modern.accept();
    auto on_legacy = proxy.legacy.accept();
    on_modern.expect(build(unknown));
    on_legacy.expect(build(unknown));
    on_modern.half_close();
    canceller.expect_closed();
    EXPECT_TRUE(support::eventually(5s, [&] { return cancels(proxy, "handed_on") == 1; }));
    on_legacy.half_close();
    on_legacy.expect_closed();
}

void acme_on_modern(settings::configuration& config) {
    settings::tenant_overrides given_away;
    given_away.overrides.dual_write_strategy = settings::write_strategy::modern_only;
    given_away.overrides.hybrid_read_strategy = settings::read_strategy::modern;
    config.flags = settings::flag_set{{}, {}, {{"acme", given_away}}};
}

// Of another proxy's sessions nobody knows here which database they are on.
TEST(faults, f06_an_unknown_cancel_reaches_both_databases_where_both_are_in_charge_of_something) {
    proxy_between proxy{acme_on_modern};
    const cancel_request unknown{9, "any!"};
    auto canceller = proxy.client();
    canceller.send(build(unknown));
    auto on_legacy = proxy.legacy.accept();
    auto on_modern = proxy.modern.accept();
    on_legacy.expect(build(unknown));
    on_modern.expect(build(unknown));
    on_legacy.half_close();
    on_modern.half_close();
    canceller.expect_closed();
    EXPECT_TRUE(support::eventually(5s, [&] { return cancels(proxy, "handed_on") == 1; }));

    const auto session = logged_in(proxy, proxy.legacy, {7, "good"});
    cancel_arrives(proxy, proxy.legacy, {7, "good"}, "forwarded");
}

// One of them being away is no matter of the other's.
TEST(faults, f06_an_unknown_cancel_reaches_the_database_that_is_there) {
    proxy_between proxy{[](settings::configuration& config) {
        acme_on_modern(config);
        config.legacy.server.port = support::free_port();
    }};
    const cancel_request unknown{9, "any!"};
    auto canceller = proxy.client();
    canceller.send(build(unknown));
    auto on_modern = proxy.modern.accept();
    on_modern.expect(build(unknown));
    on_modern.half_close();
    canceller.expect_closed();
    EXPECT_TRUE(support::eventually(5s, [&] { return cancels(proxy, "unreachable") == 1; }));
}

TEST(faults, f06_a_cancel_reaches_nobody_when_two_backends_have_the_same_key) {
    proxy_between proxy;
    const auto on_legacy = logged_in(proxy, proxy.legacy, {7, "same"});
    proxy.reload(everything_on_modern);
    std::optional<proxy_between::pair> on_modern = logged_in(proxy, proxy.modern, {7, "same"});
    auto canceller = proxy.client();
    canceller.send(build(cancel_request{7, "same"}));
    canceller.expect_closed();
    EXPECT_TRUE(proxy.legacy.nobody_waits());
    EXPECT_TRUE(proxy.modern.nobody_waits());
    EXPECT_EQ(cancels(proxy, "ambiguous"), 1);

    on_modern.reset();
    EXPECT_TRUE(support::eventually(5s, [&] { return proxy.sessions() == 1; }));
    cancel_arrives(proxy, proxy.legacy, {7, "same"}, "forwarded");
}

TEST(faults, f06_a_cancel_finds_no_session_that_has_ended) {
    proxy_between proxy;
    { auto ended = proxy.session(7, "gone"); }
    EXPECT_TRUE(support::eventually(5s, [&] { return proxy.sessions() == 0; }));
    cancel_arrives(proxy, proxy.legacy, {7, "gone"}, "handed_on");
}

TEST(faults, f08_both_directions_blocked_on_write_do_not_deadlock) {
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

TEST(faults, f09_newer_protocol_and_grease_are_left_to_the_server_which_says_so_once) {
    proxy_between proxy;
    auto near = proxy.client();
    const auto grease = build(startup_message{{3, 9999}, {{"user", "ann"}, {"_pq_.test_protocol_negotiation", ""}}});
    near.send(grease);
    auto far = proxy.legacy.accept();
    far.expect(grease);
    const auto negotiation = reply('v', "\0\0\0\2\0\0\0\1_pq_.test_protocol_negotiation\0"s);
    const auto rest = build_authentication(authentication::ok) +
                      build_backend_key_data({7, "0123456789abcdef0123456789abcdef"}) + ready();
    far.send(negotiation + rest);
    near.expect(negotiation + rest);
    proxy.drain();
    EXPECT_EQ(farewell(near), "57P01 terminating connection due to administrator command") << "nothing was added";
}

TEST(faults, f09_cancel_keys_of_protocol_3_2_are_found) {
    for (const std::size_t length : {32U, 256U}) {
        proxy_between proxy;
        std::string key(length, '\0');
        for (std::size_t at = 0; at < length; ++at) key[at] = static_cast<char>(at * 7);
        const auto session = logged_in(proxy, proxy.legacy, {7, key});
        cancel_arrives(proxy, proxy.legacy, {7, key}, "forwarded");
        auto almost = key;
        almost.back() = static_cast<char>(almost.back() + 1);
        cancel_arrives(proxy, proxy.legacy, {7, almost}, "handed_on");
        cancel_arrives(proxy, proxy.legacy, {7, key.substr(0, 4)}, "handed_on");
    }
}

TEST(faults, f10_a_startup_with_options_may_be_split_anywhere_after_encryption_requests) {
    proxy_between proxy{[](auto& config) { config.proxy.threads = 1; }};
    pacemaker pace{proxy};
    const auto bytes = opening();
    for (std::size_t cut = 0; cut < bytes.size(); ++cut) {
        SCOPED_TRACE(cut);
        auto near = proxy.client();
        for (const auto& asked : {build(gssenc_request{}), build(ssl_request{})}) {
            near.send(asked, 1);
            near.expect("N");
        }
        near.send(std::string_view{bytes}.substr(0, cut));
        pace.beat();
        near.send(std::string_view{bytes}.substr(cut));
        proxy.legacy.accept().expect(bytes);
    }
}

TEST(faults, f14_notices_during_authentication_and_all_that_it_says_pass_unread) {
    const script dialogue = {
        server(notice()),
        server(build_authentication(authentication::sasl, "SCRAM-SHA-256\0\0"s)),
        client(build_password_message("SCRAM-SHA-256\0\0\0\0\x20n,,n=,r=rOprNGfwEbeRWgbNEkqO...."s)),
        server(build_authentication(authentication::sasl_continue, "r=...,s=...,i=4096") + notice()),
        client(build_password_message("c=biws,r=...,p=...")),
        server(build_authentication(authentication::sasl_final, "v=...") + build_authentication(authentication::ok) +
               notice())};
    for (const bool admitted : {true, false}) {
        proxy_between proxy;
        proxy_between::pair both{proxy.client(), peer{-1}};
        both.client.send(opening());
        both.server = proxy.legacy.accept();
        both.server.expect(opening());
        play(both, dialogue, 1);
        if (admitted) {
            play(both,
                 {server(build_backend_key_data({7, "key!"}) + ready()), client(batch()), server(batch_replies())});
            continue;
        }
        both.server.send(build_fatal("28P01", "password authentication failed"));
        both.server.half_close();
        EXPECT_EQ(farewell(both.client), "28P01 password authentication failed");
        both.client.half_close();
        EXPECT_TRUE(support::eventually(
            5s, [&] { return proxy.metric("crossfade_sessions_total{result=\"login_failed\"}") == 1; }));
    }
}

TEST(faults, f15_a_startup_length_that_lies_is_refused_before_anything_is_buffered) {
    proxy_between proxy;
    for (const auto length : {0U, 1U, 2U, 3U, 4U, 7U, 10005U, 0x7FFFFFFFU, 0x80000000U, 0xFFFFFFFFU}) {
        auto client = proxy.client();
        std::string bytes;
        put_u32(bytes, length);
        client.send(bytes);
        EXPECT_THAT(farewell(client), StartsWith("08P01")) << length;
    }
}

TEST(faults, f15_a_cancel_request_of_two_gigabytes_is_refused_before_authentication) {
    proxy_between proxy;
    auto request = build(cancel_request{7, "key!"});
    request.replace(0, 4, "\x7F\xFF\xFF\xFF");
    auto client = proxy.client();
    client.send(request);
    EXPECT_THAT(farewell(client), StartsWith("08P01"));
    for (const std::size_t length : {0U, 257U, 9000U}) {
        auto other = proxy.client();
        other.send(build(cancel_request{7, std::string(length, 'k')}));
        EXPECT_THAT(farewell(other), StartsWith("08P01")) << length;
    }
}

// The bound before authentication is another than the one behind it, and who breaks it doesn't get to wait.
TEST(faults, f15_lengths_that_lie_end_the_session_before_and_after_authentication) {
    for (const auto length : {0U, 1U, 2U, 3U, 65540U, 0x40000005U, 0x7FFFFFFFU, 0x80000000U, 0xFFFFFFFFU}) {
        SCOPED_TRACE(length);
        std::string message(1, 'p');
        put_u32(message, length);
        proxy_between proxy;
        auto early = proxy.client();
        early.send(opening());
        auto server = proxy.legacy.accept();
        early.send(message);
        EXPECT_THAT(farewell(early), StartsWith("08P01"));
        server.expect(opening());
        server.expect_closed();

        if (length == 65540U) continue;  // that is no lie any more
        auto late = proxy.session();
        late.client.send(build_flush() + message);
        late.server.expect(build_flush());
        EXPECT_THAT(farewell(late.client), StartsWith("08P01"));
        late.server.expect_closed();
    }
}

TEST(faults, f16_bytes_stuffed_behind_an_encryption_request_are_refused) {
    proxy_between proxy;
    for (const auto& request : {build(ssl_request{}), build(gssenc_request{})}) {
        for (const auto& stuffed : {opening(), "x"s, "\x16\x03\x01"s, build(cancel_request{7, "key!"})}) {
            auto at_once = proxy.client();
            at_once.send(request + stuffed);
            EXPECT_THAT(farewell(at_once), StartsWith("08P01"));
        }
    }
    EXPECT_TRUE(proxy.legacy.nobody_waits());
}

}  // namespace
}  // namespace crossfade::proxy::test
