// From the first byte to the first ReadyForQuery: encryption requests, start-up, authentication, limits.
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

TEST(login, an_encryption_request_is_answered_once) {
    proxy_between proxy;
    auto client = proxy.client();
    client.send(build(ssl_request{}));
    client.expect("N");
    client.send(build(ssl_request{}));
    EXPECT_THAT(farewell(client), StartsWith("08P01"));
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

}  // namespace
}  // namespace crossfade::proxy::test
