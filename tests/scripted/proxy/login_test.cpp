// From the first byte to the first ReadyForQuery: encryption requests, start-up, authentication, limits.
#include <gmock/gmock.h>

#include <optional>
#include <vector>

#include "lib/pgwire/query_messages.hpp"
#include "tests/scripted/proxy/proxy_between.hpp"
#include "tests/support/temp_dir.hpp"

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

void modern_only(settings::configuration& config) {
    settings::flags flags;
    flags.dual_write_strategy = settings::write_strategy::modern_only;
    flags.hybrid_read_strategy = settings::read_strategy::modern;
    config.flags = settings::flag_set{flags, {}, {}};
}

TEST(login, the_database_that_moves_has_each_sides_name_there_and_others_are_legacys) {
    for (const bool flipped : {false, true}) {
        proxy_between proxy{[&](settings::configuration& config) {
            if (flipped) modern_only(config);
        }};
        const std::string moves = flipped ? "app_modern" : "app";
        for (const auto& [asked, told] :
             {std::pair{"app", moves}, {"app_modern", moves}, {"postgres", "postgres"}, {"app2", "app2"}}) {
            auto client = proxy.client();
            client.send(opening(asked));
            auto server = (told == "app_modern" ? proxy.modern : proxy.legacy).accept();
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
}

// Legacy's name in a rule or a limit means the application's database, whatever modern calls it.
TEST(login, modern_s_name_of_the_database_goes_round_no_rule) {
    for (const bool flipped : {false, true}) {
        proxy_between proxy{[&](settings::configuration& config) {
            if (flipped) modern_only(config);
            auth::access_rule kept_out;
            kept_out.users = {.all = false, .exact = {"ann"}};
            kept_out.databases = {.all = false, .exact = {"app"}};
            kept_out.method = auth::access_method::reject;
            config.proxy.access = {kept_out, auth::access_rule{}};
        }};
        for (const char* name : {"app", "app_modern"}) {
            auto client = proxy.client();
            client.send(opening(name));
            EXPECT_THAT(farewell(client), StartsWith("28000 access is rejected")) << name;
        }
        auto other = proxy.client();
        other.send(opening("postgres"));
        proxy.legacy.accept();
    }
}

// And a rule by modern's own name keeps its meaning.
TEST(login, a_rule_may_name_modern_s_database) {
    proxy_between proxy{[](settings::configuration& config) {
        auth::access_rule kept_out;
        kept_out.databases = {.all = false, .exact = {"app_modern"}};
        kept_out.method = auth::access_method::reject;
        config.proxy.access = {kept_out, auth::access_rule{}};
    }};
    auto refused = proxy.client();
    refused.send(opening("app_modern"));
    EXPECT_THAT(farewell(refused), StartsWith("28000 access is rejected"));
    proxy.session();
}

TEST(limits, modern_s_name_of_the_database_goes_round_no_limit) {
    proxy_between proxy{[](settings::configuration& config) {
        modern_only(config);
        config.proxy.max_sessions_per_database = 1;
    }};
    auto first = proxy.client();
    first.send(opening("app"));
    auto server = proxy.modern.accept();
    server.send(build_authentication(authentication::ok) + build_ready_for_query(transaction_status::idle));
    first.expect(build_authentication(authentication::ok) + build_ready_for_query(transaction_status::idle));
    auto second = proxy.client();
    second.send(opening("app_modern"));
    auto other_server = proxy.modern.accept();
    other_server.send(build_authentication(authentication::ok) + build_ready_for_query(transaction_status::idle));
    second.expect(build_authentication(authentication::ok));
    EXPECT_THAT(farewell(second), StartsWith("53300"));
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

// Who names a user and says no more hasn't shown to be him.
TEST(limits, a_place_of_a_user_s_is_taken_by_who_is_logged_in) {
    proxy_between proxy{[](auto& config) {
        config.proxy.max_sessions_per_user = 1;
        config.proxy.max_sessions_per_database = 1;
    }};
    auto silent = proxy.client();
    silent.send(opening());
    auto asking = proxy.legacy.accept();
    asking.send(build_authentication(authentication::cleartext_password));
    silent.expect(build_authentication(authentication::cleartext_password));
    auto first = proxy.session();
    EXPECT_EQ(proxy.sessions(), 2U);

    asking.send(build_authentication(authentication::ok) + build_ready_for_query(transaction_status::idle));
    silent.expect(build_authentication(authentication::ok));
    EXPECT_THAT(farewell(silent), StartsWith("53300 too many sessions: proxy.max_sessions_per_user is reached"));
    first.client.send(build_sync());
    first.server.expect(build_sync());
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

// By a Unix socket a database may ask who the proxy is (peer), and that says nothing of the proxy's client.
class own_proof : public testing::Test {
  protected:
    void SetUp() override {
        client_.send(opening() + build_query("select 1"));
        server_ = database_.accept();
        server_->expect(opening());
    }

    support::temp_dir dir_;
    fake_database database_{dir_.path().string()};
    proxy_between proxy_{[this](auto& config) { config.legacy.server = {dir_.path().string(), database_.port()}; }};
    peer client_ = proxy_.client();
    std::optional<peer> server_;
    const std::string in_ = build_authentication(authentication::ok) + build_ready_for_query(transaction_status::idle);
};

TEST_F(own_proof, lets_nobody_else_in_and_nothing_through) {
    server_->send(in_);
    EXPECT_THAT(farewell(client_), StartsWith("28000 the legacy database has asked its client for nothing"));
    EXPECT_EQ(server_->read_to_end(), "");
    EXPECT_TRUE(support::eventually(
        5s, [&] { return proxy_.metric("crossfade_sessions_total{result=\"login_failed\"}") == 1; }));
}

TEST_F(own_proof, is_none_of_a_client_that_is_asked) {
    const auto asked =
        framed('N', "SNOTICE\0C00000\0Mhello\0\0"s) + build_authentication(authentication::cleartext_password);
    server_->send(asked, 3);
    client_.expect(asked);
    server_->expect(build_query("select 1"));
    const auto shown = build_password_message("secret\0"s);
    client_.send(shown);
    server_->expect(shown);
    server_->send(in_);
    client_.expect(in_);
}

TEST_F(own_proof, is_no_matter_where_the_database_refuses) {
    const auto refused = build_fatal(sqlstate::invalid_authorization, "no pg_hba.conf entry");
    server_->send(refused);
    server_.reset();
    EXPECT_EQ(farewell(client_), "28000 no pg_hba.conf entry");
}

// Who is that user could have asked the database himself.
TEST(login, the_proxy_s_own_user_comes_in_by_unix_sockets) {
    const support::temp_dir dir;
    fake_database database{dir.path().string()};
    proxy_between proxy{[&](auto& config) {
        config.legacy.server = {dir.path().string(), database.port()};
        config.proxy.listen = {dir.path().string(), 6432};
    }};
    auto client = peer::connect(dir.path().string(), 6432);
    client.send(opening());
    auto server = database.accept();
    server.expect(opening());
    const auto in = build_authentication(authentication::ok) + build_ready_for_query(transaction_status::idle);
    server.send(in);
    client.expect(in);
}

}  // namespace
}  // namespace crossfade::proxy::test
