// Log-ins that the proxy decides itself, with clients and databases that say what no libpq 15 does.
#include <gmock/gmock.h>

#include "lib/auth/server_login.hpp"
#include "tests/scripted/proxy/messages.hpp"
#include "tests/scripted/proxy/script.hpp"

namespace crossfade::proxy::test {
namespace {

using namespace std::string_literals;
using namespace pgwire;

void terminate(settings::configuration& config) {
    config.proxy.access.front().method = auth::access_method::scram;
    config.proxy.auth.mode = settings::auth_mode::terminate;
    config.proxy.auth.query.clear();
    config.proxy.auth.users = auth::parse_user_list("\"ann\" \"secret\"\n").value();
}

struct message {
    char type;
    std::string body;
};
message next(peer& from) {
    const auto header = from.read(5);
    if (header.size() < 5) return {};
    const auto length = byte_reader{std::string_view{header}.substr(1)}.u32();
    return {header[0], from.read(length - 4)};
}

startup_message opening_read_by(peer& server) {
    const auto length = server.read(4);
    const auto rest = server.read(byte_reader{length}.u32() - 4);
    return std::get<startup_message>(parse_startup(length + rest).value());
}

// Says what SCRAM wants said until the proxy is content with it and has gone on to the database.
void show_password(peer& client) {
    auth::server_login scram{"ann", auth::clear_password{"secret"}, {}};
    for (int answers = 0; answers < 2; ++answers) {
        const auto asked = next(client);
        ASSERT_EQ(asked.type, 'R');
        const auto said = scram.receive(asked.body);
        ASSERT_TRUE(said);
        client.send(said->message);
    }
}

// What the proxy says of versions stands where a database would say it, and says what libpq 18 takes.
TEST(own_login, f09_newer_protocol_and_grease_are_settled_before_the_password_is_asked_for) {
    const struct {
        protocol_version asked;
        std::string told;
        protocol_version passed_on;
        std::string of_database;  // as an older one answers
        std::size_t key;
    } table[] = {
        {{3, 0}, "", {3, 0}, "", 4},
        {{3, 2}, "", {3, 2}, "", 32},
        {{3, 2}, "", {3, 2}, "v\0\0\0\x0c\0\3\0\0\0\0\0\0"s, 4},
        {{3, 9999}, "v\0\0\0\x18\0\3\0\2\0\0\0\1_pq_.grease\0"s, {3, 2}, "", 256},
    };
    for (const auto& [asked, told, passed_on, of_database, key_length] : table) {
        proxy_between proxy{terminate};
        auto client = proxy.client();
        startup_message opening{asked, {{"user", "ann"}, {"database", "app"}}};
        if (!told.empty()) opening.parameters.emplace_back("_pq_.grease", "1");
        client.send(build(opening));
        client.expect(told);
        show_password(client);

        auto server = proxy.legacy.accept();
        const auto heard = opening_read_by(server);
        EXPECT_EQ(heard.version, passed_on);
        EXPECT_EQ(heard.parameters.size(), 2U);
        const auto welcome = build_backend_key_data({7, std::string(key_length, 'k')}) + ready();
        server.send(of_database + build_authentication(authentication::ok) + welcome);
        EXPECT_EQ(next(client).type, 'R') << "the end of SCRAM";
        client.expect(build_authentication(authentication::ok) + welcome);
    }
}

// Carries nothing out: nobody gets so far as to ask.
struct closed_desk : console::provider {
    void carry_out(console::request, std::function<void(console::answer)>) override {}
};

TEST(own_login, f09_the_console_settles_before_the_password_is_asked_for) {
    closed_desk desk;
    proxy_between proxy{[](settings::configuration& config) {
        terminate(config);
        config.proxy.console.admins = {"ann"};
    }};
    proxy.open_desk(desk);
    auto client = proxy.client();
    client.send(build(startup_message{{3, 3}, {{"user", "ann"}, {"database", "crossfade"}}}));
    client.expect("v\0\0\0\x0c\0\3\0\2\0\0\0\0"s);
    show_password(client);
    EXPECT_EQ(next(client).type, 'R') << "the end of SCRAM";
    client.expect(build_authentication(authentication::ok));
}

TEST(own_login, the_console_is_a_database_like_any_other_for_the_rules) {
    const struct {
        std::vector<std::string> databases;
        auth::access_method method;
        std::string told;
    } table[] = {
        {{"crossfade"}, auth::access_method::reject, "28000 access is rejected"},
        {{"app"}, auth::access_method::scram, "28000 no access rule"},
        {{"app", "crossfade"}, auth::access_method::scram, ""},
        {{"app", "crossfade"}, auth::access_method::relay, ""},
    };
    for (const auto& [databases, method, told] : table) {
        closed_desk desk;
        proxy_between proxy{[&, names = databases, by = method](settings::configuration& config) {
            terminate(config);
            config.proxy.console.admins = {"ann"};
            config.proxy.access.front().databases = {false, names};
            config.proxy.access.front().method = by;
        }};
        proxy.open_desk(desk);
        auto client = proxy.client();
        client.send(build(startup_message{{}, {{"user", "ann"}, {"database", "crossfade"}}}));
        if (told.empty()) {
            show_password(client);
            EXPECT_EQ(next(client).type, 'R') << "the end of SCRAM";
        } else {
            EXPECT_THAT(farewell(client), testing::StartsWith(told));
        }
    }
}

}  // namespace
}  // namespace crossfade::proxy::test
