#include "lib/auth/client_login.hpp"

#include <gmock/gmock.h>

#include "lib/auth/server_login.hpp"
#include "lib/pgwire/bytes.hpp"
#include "lib/pgwire/diagnostics.hpp"

namespace crossfade::auth {
namespace {

using namespace std::string_literals;

const scram_subject subject{make_scram_verifier("pencil", "salt", 1), true};

std::string initial(std::string_view mechanism, std::string_view message) {
    std::string body;
    pgwire::put_cstring(body, mechanism);
    pgwire::put_u32(body, static_cast<std::uint32_t>(message.size()));
    return body.append(message);
}
const std::string first = initial("SCRAM-SHA-256", "n,,n=,r=abc");

struct said {
    std::string sqlstate;
    std::string message;
    bool counts = false;
    friend bool operator==(const said&, const said&) = default;
    friend void PrintTo(const said& of, std::ostream* to) {
        *to << of.sqlstate << ' ' << of.message << ' ' << of.counts;
    }
};
std::optional<said> failure(const login_step& of) {
    const auto* failed = std::get_if<login_failure>(&of);
    if (failed == nullptr) return std::nullopt;
    const auto read = pgwire::parse_diagnostics(std::string_view(failed->message).substr(5));
    EXPECT_EQ(failed->message.front(), 'E');
    EXPECT_EQ(read->severity(), "FATAL");
    return said{std::string(read->sqlstate()), std::string(read->message()), failed->counts};
}

TEST(client_login, offers_what_it_takes) {
    EXPECT_EQ(client_login(subject, "ann").open(), "R\0\0\0\x17\0\0\0\x0aSCRAM-SHA-256\0\0"s);
    EXPECT_EQ(client_login(subject, "ann", "hash").open(),
              "R\0\0\0\x2a\0\0\0\x0aSCRAM-SHA-256-PLUS\0SCRAM-SHA-256\0\0"s);
}

// The bodies of the messages in some bytes.
std::vector<std::string> bodies(std::string_view bytes) {
    std::vector<std::string> all;
    while (bytes.size() >= 5) {
        const auto length = pgwire::byte_reader(bytes.substr(1)).u32();
        all.emplace_back(bytes.substr(5, length - 4));
        bytes.remove_prefix(std::min<std::size_t>(length + 1, bytes.size()));
    }
    return all;
}

TEST(client_login, lets_in_who_knows_the_password) {
    for (const auto& channel : {std::optional<std::string>{}, std::optional<std::string>{"hash"}}) {
        client_login login(subject, "ann", channel);
        server_login client("ann", clear_password{"pencil"}, {.may_send_password = false, .end_point = channel});
        auto next = client.receive(bodies(login.open()).at(0)).value();
        for (int round = 0; round < 2; ++round) {
            const auto answer = login.receive(bodies(next.message).at(0));
            if (const auto* reply = std::get_if<login_reply>(&answer)) {
                next = client.receive(bodies(reply->message).at(0)).value();
                continue;
            }
            const auto& success = std::get<login_success>(answer);
            EXPECT_EQ(success.keys, scram_keys_of("pencil", "salt", 1));
            const auto last = bodies(success.message);
            ASSERT_EQ(last.size(), 2U) << "AuthenticationSASLFinal and AuthenticationOk";
            EXPECT_FALSE(client.receive(last[0]).value().done);
            next = client.receive(last[1]).value();
        }
        EXPECT_TRUE(next.done);
    }
}

TEST(client_login, says_what_postgresql_says_of_a_wrong_password) {
    const said wrong{"28P01", "password authentication failed for user \"ann\"", true};
    const auto answer_to = [](const scram_subject& of) {
        client_login login(of, "ann");
        server_login client("ann", clear_password{"Pencil"}, {});
        const auto opened = client.receive(bodies(login.open()).at(0)).value();
        const auto reply = std::get<login_reply>(login.receive(bodies(opened.message).at(0)));
        const auto final = client.receive(bodies(reply.message).at(0)).value();
        return failure(login.receive(bodies(final.message).at(0)));
    };
    EXPECT_EQ(answer_to(subject), wrong);
    EXPECT_EQ(answer_to({scram_mock().verifier_for("ann"), false}), wrong) << "nor of a user who isn't there";
}

TEST(client_login, takes_the_first_message_late) {
    client_login login(subject, "ann");
    const auto asked = login.receive("SCRAM-SHA-256\0\xff\xff\xff\xff"s);
    EXPECT_EQ(std::get<login_reply>(asked).message, "R\0\0\0\x08\0\0\0\x0b"s);
    EXPECT_TRUE(std::holds_alternative<login_reply>(login.receive("n,,n=,r=abc")));
}

TEST(client_login, refuses_what_is_no_log_in) {
    const said malformed{"08P01", "malformed SCRAM message", false};
    struct {
        const char* what;
        std::vector<std::string> messages;
        said expected;
    } table[] = {
        {"nothing", {""}, malformed},
        {"a password, as for cleartext", {"pencil\0"s}, malformed},
        {"another mechanism", {initial("SCRAM-SHA-1", "n,,n=,r=abc")}, malformed},
        {"what isn't offered", {initial("SCRAM-SHA-256-PLUS", "p=tls-server-end-point,,n=,r=abc")}, malformed},
        {"a name without end", {"SCRAM-SHA-256"}, malformed},
        {"no length", {"SCRAM-SHA-256\0\0\0"s}, malformed},
        {"a length beyond the end", {"SCRAM-SHA-256\0\0\0\0\x0cn,,n=,r=abc"s}, malformed},
        {"a length before the end", {"SCRAM-SHA-256\0\0\0\0\x0an,,n=,r=abc"s}, malformed},
        {"a negative length", {"SCRAM-SHA-256\0\xff\xff\xff\xfen,,n=,r=abc"s}, malformed},
        {"no length, and yet a message", {"SCRAM-SHA-256\0\xff\xff\xff\xffn,,n=,r=abc"s}, malformed},
        {"an empty first message", {initial("SCRAM-SHA-256", "")}, malformed},
        {"no final message", {first, ""}, malformed},
        {"the first message again", {first, first}, malformed},
        {"too much", {initial("SCRAM-SHA-256", std::string(2000, 'n'))}, {"08P01", "the message is too long", false}},
        {"a foreign nonce",
         {first, "c=biws,r=abc,p=" + base64(std::string(32, 'p'))},
         {"08P01", "the SCRAM nonce does not match", false}},
    };
    for (const auto& [what, messages, expected] : table) {
        client_login login(subject, "ann");
        for (std::size_t i = 0; i + 1 < messages.size(); ++i)
            ASSERT_TRUE(std::holds_alternative<login_reply>(login.receive(messages[i]))) << what;
        EXPECT_EQ(failure(login.receive(messages.back())), expected) << what;
        EXPECT_TRUE(failure(login.receive(first))) << what << ": failed for good";
    }
}

TEST(client_login, refuses_every_truncation_of_the_first_message_and_no_byte_stays_behind) {
    for (std::size_t length = 0; length < first.size(); ++length) {
        client_login login(subject, "ann");
        EXPECT_TRUE(failure(login.receive(first.substr(0, length)))) << length;
    }
    client_login login(subject, "ann");
    EXPECT_TRUE(failure(login.receive(first + 'x')));
}

}  // namespace
}  // namespace crossfade::auth
