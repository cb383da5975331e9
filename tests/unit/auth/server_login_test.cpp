#include "lib/auth/server_login.hpp"

#include <gmock/gmock.h>

#include "lib/auth/scram_server.hpp"

namespace crossfade::auth {
namespace {

using namespace std::string_literals;

const std::string ok = "\0\0\0\0"s;
const std::string cleartext = "\0\0\0\x03"s;
const std::string md5 = "\0\0\0\x05"s;
const std::string sasl = "\0\0\0\x0a"s;
const std::string sasl_continue = "\0\0\0\x0b"s;
const std::string sasl_final = "\0\0\0\x0c"s;
const std::string scram = sasl + "SCRAM-SHA-256\0\0"s;

TEST(md5_answer, is_what_postgresql_documents) {
    // concat('md5', md5(concat(md5(concat(password, username)), random-salt)))
    EXPECT_EQ(md5_answer("pencil", "user", "abcd"), "md5" + md5_hex(md5_hex("penciluser") + "abcd"));
    EXPECT_EQ(md5_answer(md5_hash{"md5" + md5_hex("penciluser")}, "abcd"), md5_answer("pencil", "user", "abcd"));
    EXPECT_EQ(md5_answer("pencil", "user", "\0\1\2\3"s), "md5" + md5_hex(md5_hex("penciluser") + "\0\1\2\3"s));
}

TEST(server_login, answers_each_question_that_the_secret_can_answer) {
    const md5_hash hash{"md5" + md5_hex("pencilann")};
    struct {
        const char* what;
        login_secret secret;
        std::string question;
        std::string answer;
    } table[] = {
        {"trust", {}, ok, ""},
        {"cleartext", clear_password{"pencil"}, cleartext, "p\0\0\0\x0bpencil\0"s},
        {"md5 by the password", clear_password{"pencil"}, md5 + "salt",
         "p\0\0\0\x28"s + md5_answer("pencil", "ann", "salt") + "\0"s},
        {"md5 by the hash", hash, md5 + "salt", "p\0\0\0\x28"s + md5_answer("pencil", "ann", "salt") + "\0"s},
    };
    for (const auto& each : table) {
        server_login login("ann", each.secret, {.may_send_password = true, .end_point = {}});
        const auto answer = login.receive(each.question);
        ASSERT_TRUE(answer) << each.what << ": " << answer.error().what;
        EXPECT_EQ(answer->message, each.answer) << each.what;
        EXPECT_EQ(answer->done, each.question == ok);
    }
}

TEST(server_login, chooses_the_mechanism) {
    const std::string both = sasl + "SCRAM-SHA-256-PLUS\0SCRAM-SHA-256\0\0"s;
    const std::string unbound = "SCRAM-SHA-256\0\0\0\0\x20n,,n=,r="s;
    const std::string bound = "SCRAM-SHA-256-PLUS\0\0\0\0\x35p=tls-server-end-point,,n=,r="s;
    struct {
        const char* what;
        std::string question;
        std::optional<std::string> end_point;
        std::string begins;
    } table[] = {
        {"in clear", scram, std::nullopt, unbound},
        {"in clear, to a server that offers it", both, std::nullopt, unbound},
        {"on TLS, not offered", scram, "hash", "SCRAM-SHA-256\0\0\0\0\x20y,,n=,r="s},
        {"on TLS, offered", both, "hash", bound},
        {"on TLS, alone among others", sasl + "X\0SCRAM-SHA-256-PLUS\0\0"s, "hash", bound},
    };
    for (const auto& each : table) {
        server_login login("ann", clear_password{"pencil"}, {.may_send_password = false, .end_point = each.end_point});
        const auto answer = login.receive(each.question);
        ASSERT_TRUE(answer) << each.what;
        EXPECT_THAT(answer->message.substr(5), testing::StartsWith(each.begins)) << each.what;
    }
}

TEST(server_login, fails_for_what_it_cannot_or_must_not_answer) {
    const md5_hash hash{"md5" + md5_hex("pencilann")};
    const clear_password clear{"pencil"};
    const std::string first = sasl_continue + "r=,s=c2FsdA==,i=1";
    using questions = std::vector<std::string>;
    struct {
        const char* what;
        login_secret secret;
        bool safe;
        questions asked;
        const char* expected;
    } table[] = {
        {"a password in clear over the net", clear, false, {cleartext}, "isn't safe for it"},
        {"a password where there is a hash", hash, true, {cleartext}, "none is known"},
        {"a password where there are keys", scram_keys{}, true, {cleartext}, "none is known"},
        {"md5 where there are keys", scram_keys{}, true, {md5 + "salt"}, "neither password nor md5 hash"},
        {"SCRAM where there is a hash", hash, true, {scram}, "neither the password nor the keys"},
        {"anything where there is nothing", {}, true, {scram}, "neither the password nor the keys"},
        {"md5 with a short salt", clear, true, {md5 + "sal"}, "makes no sense"},
        {"md5 with a long salt", clear, true, {md5 + "salty"}, "makes no sense"},
        {"two questions", clear, true, {md5 + "salt", cleartext}, "twice"},
        {"the weaker question after the stronger", clear, true, {scram, cleartext}, "twice"},
        {"SCRAM twice", clear, true, {scram, scram}, "twice"},
        {"GSS", clear, true, {"\0\0\0\x07"s}, "no answer to"},
        {"half a message", clear, true, {"\0\0\0"s}, "makes no sense"},
        {"a list without end", clear, true, {sasl + "SCRAM-SHA-256\0"s}, "malformed"},
        {"something behind the list", clear, true, {scram + "x"}, "malformed"},
        {"an empty list", clear, true, {sasl + "\0"s}, "no SASL mechanism"},
        {"other mechanisms", clear, true, {sasl + "SCRAM-SHA-1\0\0"s}, "no SASL mechanism"},
        {"PLUS alone, in clear", clear, true, {sasl + "SCRAM-SHA-256-PLUS\0\0"s}, "no SASL mechanism"},
        {"SCRAM in the middle", clear, true, {first}, "not expected"},
        {"its end", clear, true, {sasl_final + "v=x"}, "not expected"},
        {"a foreign nonce", clear, true, {scram, sasl_continue + "r=x,s=c2FsdA==,i=1"}, "nonce"},
        {"success before the server has shown anything", clear, true, {scram, ok}, "before it showed its signature"},
    };
    for (const auto& each : table) {
        server_login login("ann", each.secret, {.may_send_password = each.safe, .end_point = {}});
        for (std::size_t i = 0; i + 1 < each.asked.size(); ++i) ASSERT_TRUE(login.receive(each.asked[i])) << each.what;
        const auto answer = login.receive(each.asked.back());
        ASSERT_FALSE(answer) << each.what;
        EXPECT_THAT(answer.error().what, testing::HasSubstr(each.expected)) << each.what;
        EXPECT_FALSE(login.receive(ok)) << each.what << ": failed for good";
    }
}

TEST(server_login, wants_the_signature_before_it_believes_ok) {
    const auto verifier = make_scram_verifier("pencil", "salt", 1);
    for (const bool honest : {true, false}) {
        scram_server server({verifier, true});
        server_login login("ann", clear_password{"pencil"}, {});
        const auto opened = login.receive(scram).value().message;
        const auto client_first = opened.substr(opened.find("n,,"));
        const auto first = server.on_client_first(scram_server::mechanism::plain, client_first).value();
        const auto final = login.receive(sasl_continue + first).value().message;
        const auto accepted = server.on_client_final(final.substr(5));
        ASSERT_TRUE(accepted);
        if (honest) {
            EXPECT_FALSE(login.receive(sasl_final + accepted->server_final).value().done);
            EXPECT_TRUE(login.receive(ok).value().done);
            EXPECT_FALSE(login.receive(ok)) << "once";
        } else {
            EXPECT_FALSE(login.receive(ok)) << "whoever is there may not know the password";
        }
    }
}

TEST(secret_for_server, is_the_one_that_does_for_most_servers) {
    const scram_keys keys = scram_keys_of("pencil", "salt", 1);
    const credential clear{clear_password{"pencil"}, make_scram_verifier("pencil", "salt", 1), {}};
    const credential verifier{make_scram_verifier("pencil", "salt", 1), make_scram_verifier("pencil", "salt", 1), {}};
    const credential hash{md5_hash{"md5"}, {}, {}};
    EXPECT_EQ(secret_for_server(&clear, keys), login_secret(clear_password{"pencil"}));
    EXPECT_EQ(secret_for_server(&clear, {}), login_secret(clear_password{"pencil"}));
    EXPECT_EQ(secret_for_server(&verifier, keys), login_secret(keys));
    EXPECT_EQ(secret_for_server(&verifier, {}), login_secret());
    EXPECT_EQ(secret_for_server(&hash, {}), login_secret(md5_hash{"md5"}));
    EXPECT_EQ(secret_for_server(nullptr, {}), login_secret());
    EXPECT_EQ(secret_for_server(nullptr, keys), login_secret(keys));
}

}  // namespace
}  // namespace crossfade::auth
