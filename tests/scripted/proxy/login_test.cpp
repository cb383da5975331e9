// From the first byte to the first ReadyForQuery: encryption requests, start-up, authentication, limits, cancel.
#include <gmock/gmock.h>

#include "lib/pgwire/query_messages.hpp"
#include "tests/scripted/proxy/proxy_between.hpp"

namespace crossfade::proxy::test {
namespace {

using namespace std::chrono_literals;
using namespace std::string_literals;
using namespace pgwire;
using testing::HasSubstr;
using testing::StartsWith;

std::string opening(const std::string& database = "app") {
    return build(startup_message{{}, {{"user", "ann"}, {"database", database}, {"options", "-c work_mem=1MB"}}});
}

TEST(login, encryption_requests_are_answered_no_and_the_startup_may_be_split_over_packets) {
    for (const std::size_t pieces : {0U, 1U}) {
        proxy_between proxy;
        auto client = proxy.client();
        client.send(build(gssenc_request{}), pieces);
        client.expect("N");
        client.send(build(ssl_request{}), pieces);
        client.expect("N");
        client.send(opening(), pieces);
        proxy.legacy.accept().expect(opening());
    }
}

TEST(login, bytes_stuffed_behind_an_encryption_request_are_refused) {
    proxy_between proxy;
    auto client = proxy.client();
    client.send(build(ssl_request{}) + opening());
    EXPECT_THAT(farewell(client), StartsWith("08P01"));
    EXPECT_TRUE(proxy.legacy.nobody_waits());
}

TEST(login, an_encryption_request_is_answered_once) {
    proxy_between proxy;
    auto client = proxy.client();
    client.send(build(ssl_request{}));
    client.expect("N");
    client.send(build(ssl_request{}));
    EXPECT_THAT(farewell(client), StartsWith("08P01"));
}

TEST(login, a_length_that_lies_is_refused_before_anything_is_buffered) {
    for (const auto length : {0U, 7U, 10005U, 0x7FFFFFFFU, 0xFFFFFFFFU}) {
        proxy_between proxy;
        auto client = proxy.client();
        std::string bytes;
        put_u32(bytes, length);
        client.send(bytes);
        EXPECT_THAT(farewell(client), StartsWith("08P01")) << length;
    }
}

TEST(login, authentication_passes_both_ways_unread) {
    proxy_between proxy;
    auto client = proxy.client();
    client.send(opening());
    auto server = proxy.legacy.accept();
    server.expect(opening());
    const std::string dialogue[] = {
        build_notice_response({{{'S', "NOTICE"}, {'C', "00000"}, {'M', "during authentication"}}}),
        build_authentication(authentication::sasl, "SCRAM-SHA-256\0\0"s),
        build_password_message("SCRAM-SHA-256\0\0\0\0\x20n,,n=,r=rOprNGfwEbeRWgbNEkqO...."s),
        build_authentication(authentication::sasl_continue, "r=...,s=...,i=4096"),
        build_password_message("c=biws,r=...,p=..."),
        build_authentication(authentication::sasl_final, "v=...") + build_authentication(authentication::ok)};
    bool from_client = false;
    for (const auto& bytes : dialogue) {
        from_client = bytes.front() == 'p';
        (from_client ? client : server).send(bytes, 1);
        (from_client ? server : client).expect(bytes);
    }
    const auto refusal = build_fatal("28P01", "password authentication failed");
    server.send(refusal);
    server.half_close();
    EXPECT_EQ(farewell(client), "28P01 password authentication failed");
    EXPECT_TRUE(support::eventually(
        5s, [&] { return proxy.metric("crossfade_sessions_total{result=\"login_failed\"}") == 1; }));
}

TEST(login, newer_protocol_and_grease_are_left_to_the_server) {
    proxy_between proxy;
    auto client = proxy.client();
    const auto grease = build(startup_message{{3, 9999}, {{"user", "ann"}, {"_pq_.test_protocol_negotiation", ""}}});
    client.send(grease);
    auto server = proxy.legacy.accept();
    server.expect(grease);
    const auto negotiation = framed('v', "\0\0\0\0\0\0\0\1_pq_.test_protocol_negotiation\0"s);
    server.send(negotiation);
    client.expect(negotiation);
}

TEST(login, the_database_is_renamed_only_where_modern_is_the_authority) {
    const auto modern_only = [](settings::configuration& config) {
        settings::flags flags;
        flags.dual_write_strategy = settings::write_strategy::modern_only;
        flags.hybrid_read_strategy = settings::read_strategy::modern;
        config.flags = settings::flag_set{flags, {}, {}};
    };
    proxy_between proxy{modern_only};
    const std::pair<const char*, const char*> names[] = {{"app", "app_modern"}, {"postgres", "postgres"}};
    for (const auto& [asked, told] : names) {
        auto client = proxy.client();
        client.send(opening(asked));
        auto server = proxy.modern.accept();
        const auto head = server.read(4);
        byte_reader length{head};
        const auto size = length.u32();
        std::string packet;
        put_u32(packet, size);
        packet += server.read(size - 4);
        const auto parsed = parse_startup(packet);
        ASSERT_TRUE(parsed);
        EXPECT_EQ(std::get<startup_message>(*parsed).database(), told);
        EXPECT_EQ(std::get<startup_message>(*parsed).parameter("options"), "-c work_mem=1MB");
    }
}

TEST(limits, the_session_beyond_max_sessions_is_told_so_and_others_go_on) {
    proxy_between proxy{[](auto& config) { config.proxy.max_sessions = 1; }};
    {
        auto first = proxy.session();
        auto second = proxy.client();
        second.send(opening());
        EXPECT_THAT(farewell(second), StartsWith("53300"));
        first.client.send(build_sync());
        first.server.expect(build_sync());
    }
    EXPECT_TRUE(support::eventually(5s, [&] { return proxy.sessions() == 0; }));
    proxy.session();
}

TEST(limits, a_message_beyond_the_bound_ends_the_session_after_all_before_it_is_answered) {
    proxy_between proxy{[](auto& config) { config.proxy.max_message_bytes = 100000; }};
    auto [near, far] = proxy.session();
    const auto good = build_query("select 1");
    near.send(good + framed('Q', std::string(200000, 'x')));
    far.expect(good);
    const auto answer = framed('C', "SELECT 1\0"s) + build_ready_for_query(transaction_status::idle);
    far.send(answer);
    near.expect(answer);
    EXPECT_THAT(farewell(near), HasSubstr("proxy.max_message_bytes"));
    far.expect_closed();
}

TEST(limits, a_login_that_takes_too_long_is_ended) {
    proxy_between proxy{[](auto& config) { config.proxy.login_timeout = 50ms; }};
    auto silent = proxy.client();
    silent.read_to_end();
    auto halfway = proxy.client();
    halfway.send(opening());
    auto server = proxy.legacy.accept();
    EXPECT_THAT(farewell(halfway), StartsWith("57014"));
    EXPECT_TRUE(support::eventually(
        5s, [&] { return proxy.metric("crossfade_sessions_total{result=\"login_timeout\"}") == 2; }));
}

TEST(limits, an_unreachable_database_is_named) {
    proxy_between proxy{[](auto& config) { config.legacy.server.port = support::free_port(); }};
    auto client = proxy.client();
    client.send(opening());
    EXPECT_THAT(farewell(client), StartsWith("08006 could not connect to the legacy database"));
}

TEST(limits, a_database_that_lies_about_a_length_ends_the_session) {
    proxy_between proxy;
    auto [near, far] = proxy.session();
    far.send("T\0\0\0\0"s);
    EXPECT_THAT(farewell(near), StartsWith("08P01 the database violated"));
}

TEST(cancel, reaches_the_backend_it_names_and_no_other) {
    proxy_between proxy;
    auto session = proxy.session(7, "good");
    const auto request = build(cancel_request{7, "good"});
    auto canceller = proxy.client();
    canceller.send(request);
    auto backend = proxy.legacy.accept();
    backend.expect(request);
    backend.half_close();
    canceller.expect_closed();

    for (const auto& other : {cancel_request{7, "evil"}, cancel_request{8, "good"}, cancel_request{7, "good!"}}) {
        auto stranger = proxy.client();
        stranger.send(build(other));
        stranger.expect_closed();
    }
    EXPECT_TRUE(proxy.legacy.nobody_waits());
    EXPECT_TRUE(support::eventually(
        5s, [&] { return proxy.metric("crossfade_cancel_requests_total{result=\"unknown\"}") == 3; }));
}

TEST(cancel, reaches_nobody_when_two_backends_have_the_same_key) {
    proxy_between proxy;
    auto one = proxy.session(7, "same");
    auto two = proxy.session(7, "same");
    auto canceller = proxy.client();
    canceller.send(build(cancel_request{7, "same"}));
    canceller.expect_closed();
    EXPECT_TRUE(proxy.legacy.nobody_waits());
    EXPECT_EQ(proxy.metric("crossfade_cancel_requests_total{result=\"ambiguous\"}"), 1);
}

TEST(cancel, knows_no_key_of_a_session_that_has_ended) {
    proxy_between proxy;
    { auto ended = proxy.session(7, "gone"); }
    EXPECT_TRUE(support::eventually(5s, [&] { return proxy.sessions() == 0; }));
    auto canceller = proxy.client();
    canceller.send(build(cancel_request{7, "gone"}));
    canceller.expect_closed();
    EXPECT_EQ(proxy.metric("crossfade_cancel_requests_total{result=\"unknown\"}"), 1);
}

}  // namespace
}  // namespace crossfade::proxy::test
