#include <gtest/gtest.h>

#include "lib/auth/scram_client.hpp"
#include "lib/auth/scram_server.hpp"

namespace crossfade::auth {
namespace {

using enum scram_server::mechanism;

// RFC 7677, section 3: user "user", password "pencil".
const std::string salt = from_base64("W22ZaJ0SNY7soEsUEjb6gQ==").value();
constexpr std::string_view rfc_client_first = "n,,n=user,r=rOprNGfwEbeRWgbNEkqO";
constexpr std::string_view rfc_server_first =
    "r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096";
constexpr std::string_view rfc_client_final =
    "c=biws,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ=";
constexpr std::string_view rfc_server_final = "v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4=";
constexpr std::string_view rfc_server_nonce = "%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0";

scram_subject genuine(std::string_view password = "pencil", unsigned iterations = 4096) {
    return {make_scram_verifier(password, salt, iterations), true};
}

TEST(scram_server, answers_as_rfc_7677_has_it) {
    scram_server server(genuine(), std::nullopt, std::string(rfc_server_nonce));
    EXPECT_EQ(server.on_client_first(plain, rfc_client_first).value(), rfc_server_first);
    const auto accepted = server.on_client_final(rfc_client_final);
    ASSERT_TRUE(accepted);
    EXPECT_EQ(accepted->server_final, rfc_server_final);
    EXPECT_EQ(accepted->keys, scram_keys_of("pencil", salt, 4096)) << "the client's key, from its proof";
}

// Our client names no user, as libpq, so the RFC's proof is of another text than its own.
TEST(scram_keys, make_the_proof_of_rfc_7677) {
    const auto keys = scram_keys_of("pencil", salt, 4096);
    const auto signed_text = scram_auth_message(rfc_client_first.substr(3), rfc_server_first,
                                                rfc_client_final.substr(0, rfc_client_final.find(",p=")));
    EXPECT_EQ(base64(keys.client ^ hmac_sha256(sha256(bytes_of(keys.client)), signed_text)),
              rfc_client_final.substr(rfc_client_final.find(",p=") + 3));
    EXPECT_EQ("v=" + base64(hmac_sha256(keys.server, signed_text)), rfc_server_final);
}

struct outcome {
    std::optional<scram_fault> at_server;
    std::optional<scram_fault> at_client;
    bool operator==(const outcome&) const = default;
};

// What each message becomes on the way; the default leaves it.
using on_the_way = std::function<std::string(int number, std::string message)>;

outcome run(
    scram_server& server, scram_client& client, const on_the_way& change = [](int, std::string m) { return m; }) {
    const auto mechanism = client.mechanism() == scram_sha_256_plus ? plus : plain;
    const auto first = server.on_client_first(mechanism, change(1, client.client_first()));
    if (!first) return {first.error(), {}};
    const auto final = client.on_server_first(change(2, *first));
    if (!final) return {{}, final.error()};
    const auto accepted = server.on_client_final(change(3, *final));
    if (!accepted) return {accepted.error(), {}};
    const auto verified = client.on_server_final(change(4, accepted->server_final));
    EXPECT_EQ(verified.has_value(), client.server_verified());
    if (!verified) return {{}, verified.error()};
    return {};
}

TEST(scram, logs_in_with_the_password_or_its_keys) {
    for (const auto& secret :
         {scram_client::secret("pencil"), scram_client::secret(scram_keys_of("pencil", salt, 4096))}) {
        scram_server server(genuine());
        scram_client client(secret);
        EXPECT_EQ(run(server, client), outcome{});
    }
}

TEST(scram, refuses_another_password_and_other_keys) {
    for (const auto& secret :
         {scram_client::secret("Pencil"), scram_client::secret(scram_keys_of("pencil", salt, 4097)),
          scram_client::secret(scram_keys_of("pencil", "other salt", 4096))}) {
        scram_server server(genuine());
        scram_client client(secret);
        EXPECT_EQ(run(server, client).at_server, scram_fault::wrong_proof);
        EXPECT_FALSE(client.server_verified());
    }
}

TEST(scram_key_cache, gives_the_keys_of_the_password) {
    scram_key_cache cache(2);  // so that they push each other out
    for (int round = 0; round < 3; ++round)
        for (const char* password : {"pencil", "crayon", "chalk"})
            for (const char* with : {"salt", "tlas"})
                for (const unsigned iterations : {1U, 2U})
                    EXPECT_EQ(cache.keys_of(password, with, iterations), scram_keys_of(password, with, iterations));
    scram_key_cache one(1);
    EXPECT_EQ(one.keys_of("bc", "a", 1), scram_keys_of("bc", "a", 1));
    EXPECT_EQ(one.keys_of("c", "ab", 1), scram_keys_of("c", "ab", 1));
}

// Done each time, it would take a minute and more.
TEST(scram_key_cache, spares_later_log_ins_the_work) {
    const auto dear = genuine("pencil", scram_client::most_iterations);
    scram_key_cache cache;
    for (int round = 0; round < 5000; ++round) {
        scram_server server(dear);
        scram_client client(scram_client::secret("pencil"), std::nullopt, &cache);
        ASSERT_EQ(run(server, client), outcome{});
    }
}

TEST(scram, passes_a_log_in_on) {
    scram_server server(genuine());
    scram_client client(scram_client::secret("pencil"));
    const auto first = server.on_client_first(plain, client.client_first());
    const auto accepted = server.on_client_final(client.on_server_first(*first).value());
    ASSERT_TRUE(accepted);

    scram_server behind(genuine());
    scram_client ours(accepted->keys);
    EXPECT_EQ(run(behind, ours), outcome{});
}

TEST(scram, takes_a_password_as_one_however_it_was_typed) {
    for (const char* typed : {"p\xc3\xa4ss", "pa\xcc\x88ss"}) {
        scram_server server(genuine("p\xc3\xa4ss"));
        scram_client client(scram_client::secret{typed});
        EXPECT_EQ(run(server, client), outcome{});
    }
    scram_server server(genuine("p\xc3\xa4ss"));
    scram_client without_accent(scram_client::secret("pass"));
    EXPECT_EQ(run(server, without_accent).at_server, scram_fault::wrong_proof);
}

TEST(scram, binds_to_the_channel) {
    const std::string hash(32, 'h');
    struct {
        const char* what;
        std::optional<std::string> server;
        std::optional<scram_channel> client;
        outcome expected;
    } table[] = {
        {"both", hash, scram_channel{hash, true}, {}},
        {"another certificate, as behind somebody in between",
         hash,
         scram_channel{std::string(32, 'x'), true},
         {scram_fault::channel_binding_wrong, {}}},
        {"a shorter one", hash, scram_channel{hash.substr(1), true}, {scram_fault::channel_binding_wrong, {}}},
        {"a client that can't", hash, std::nullopt, {}},
        {"a client that could and wasn't offered it", std::nullopt, scram_channel{hash, false}, {}},
        {"a client from whom somebody hid the offer",
         hash,
         scram_channel{hash, false},
         {scram_fault::channel_binding_refused, {}}},
        {"a client that was offered what there isn't",
         std::nullopt,
         scram_channel{hash, true},
         {scram_fault::channel_binding_absent, {}}},
    };
    for (const auto& each : table) {
        scram_server server(genuine(), each.server);
        scram_client client(scram_client::secret("pencil"), each.client);
        EXPECT_EQ(run(server, client), each.expected) << each.what;
    }
}

TEST(scram_server, holds_mechanism_and_header_together) {
    struct {
        scram_server::mechanism chosen;
        const char* message;
        scram_fault fault;
    } table[] = {
        {plus, "n,,n=,r=a", scram_fault::channel_binding_absent},
        {plus, "y,,n=,r=a", scram_fault::channel_binding_refused},
        {plain, "p=tls-server-end-point,,n=,r=a", scram_fault::channel_binding_absent},
        {plus, "p=tls-unique,,n=,r=a", scram_fault::channel_binding_unknown},
    };
    for (const auto& each : table) {
        scram_server server(genuine(), "hash");
        EXPECT_EQ(server.on_client_first(each.chosen, each.message).error(), each.fault) << each.message;
    }
}

// c= repeats the header: who changed the first message on the way has to change this one, and can't sign it.
TEST(scram_server, holds_the_final_message_against_the_first) {
    const std::string nonce = "ab";
    const std::string end = ",p=" + base64(std::string(32, 'p'));
    struct {
        const char* first;
        std::string final;
        scram_fault fault;
    } table[] = {
        {"n,,n=,r=a", "c=eSws,r=ab" + end, scram_fault::channel_binding_wrong},
        {"y,,n=,r=a", "c=biws,r=ab" + end, scram_fault::channel_binding_wrong},
        {"n,,n=,r=a", "c=,r=ab" + end, scram_fault::channel_binding_wrong},
        {"n,,n=,r=a", "c=biws,r=a" + end, scram_fault::wrong_nonce},
        {"n,,n=,r=a", "c=biws,r=abb" + end, scram_fault::wrong_nonce},
        {"n,,n=,r=a", "c=biws,r=b" + end, scram_fault::wrong_nonce},
        {"n,,n=,r=a", "c=biws,r=ab" + end, scram_fault::wrong_proof},
    };
    for (const auto& each : table) {
        scram_server server(genuine(), std::nullopt, "b");
        ASSERT_TRUE(server.on_client_first(plain, each.first));
        EXPECT_EQ(server.on_client_final(each.final).error(), each.fault) << each.final;
    }
}

TEST(scram, takes_each_message_once_and_in_order) {
    scram_server server(genuine());
    EXPECT_EQ(server.on_client_final(rfc_client_final).error(), scram_fault::out_of_order);
    EXPECT_TRUE(server.on_client_first(plain, rfc_client_first));
    EXPECT_EQ(server.on_client_first(plain, rfc_client_first).error(), scram_fault::out_of_order);

    // A second guess needs a new exchange, with another nonce.
    scram_server guessed(genuine(), std::nullopt, std::string(rfc_server_nonce));
    ASSERT_TRUE(guessed.on_client_first(plain, rfc_client_first));
    EXPECT_FALSE(guessed.on_client_final("c=biws,r=x,p=" + base64(std::string(32, 'p'))));
    EXPECT_EQ(guessed.on_client_final(rfc_client_final).error(), scram_fault::out_of_order);

    scram_server failed(genuine(), std::nullopt, std::string(rfc_server_nonce));
    ASSERT_FALSE(failed.on_client_first(plain, ""));
    EXPECT_EQ(failed.on_client_first(plain, rfc_client_first).error(), scram_fault::out_of_order);

    scram_client client(scram_client::secret("pencil"), std::nullopt, nullptr, "rOprNGfwEbeRWgbNEkqO");
    EXPECT_EQ(client.on_server_final(rfc_server_final).error(), scram_fault::out_of_order);
    EXPECT_EQ(client.on_server_first(rfc_server_first).error(), scram_fault::out_of_order) << "failed for good";
}

TEST(scram_client, refuses_a_server_that_is_none) {
    struct {
        const char* what;
        std::string first;
        scram_fault fault;
    } table[] = {
        {"a nonce that isn't the client's", "r=xyz123,s=c2FsdA==,i=4096", scram_fault::wrong_nonce},
        {"no nonce of the server's own", "r=abc,s=c2FsdA==,i=4096", scram_fault::wrong_nonce},
        {"hours of work", "r=abcd,s=c2FsdA==,i=2147483647", scram_fault::too_many_iterations},
        {"one above the bound", "r=abcd,s=c2FsdA==,i=100001", scram_fault::too_many_iterations},
    };
    for (const auto& each : table) {
        scram_client client(scram_client::secret("pencil"), std::nullopt, nullptr, "abc");
        EXPECT_EQ(client.on_server_first(each.first).error(), each.fault) << each.what;
    }
    // There is nothing to compute with keys.
    scram_client passing(scram_keys{}, std::nullopt, nullptr, "abc");
    EXPECT_TRUE(passing.on_server_first("r=abcd,s=c2FsdA==,i=2147483647"));
}

TEST(scram_client, refuses_a_server_that_does_not_know_the_verifier) {
    for (const auto& signature : {"v=" + base64(std::string(32, 's')), std::string("e=other-error"), std::string()}) {
        scram_server server(genuine());
        scram_client client(scram_client::secret("pencil"));
        const auto ended = run(server, client, [&](int number, std::string m) { return number == 4 ? signature : m; });
        EXPECT_TRUE(ended.at_client) << signature;
        EXPECT_FALSE(client.server_verified());
    }
}

// Whatever message breaks off wherever, somebody notices, and nobody is let in.
TEST(scram, survives_every_truncation_of_every_message) {
    for (int which = 1; which <= 4; ++which) {
        for (std::size_t length = 0;; ++length) {
            bool whole = false;
            scram_server server({make_scram_verifier("pencil", salt, 1), true}, "hash");
            scram_client client(scram_client::secret("pencil"), scram_channel{"hash", true});
            const auto ended = run(server, client, [&](int number, std::string m) {
                if (number != which) return m;
                whole = length >= m.size();
                return m.substr(0, length);
            });
            if (whole) {
                EXPECT_EQ(ended, outcome{});
                break;
            }
            EXPECT_NE(ended, outcome{}) << "message " << which << " cut to " << length;
        }
    }
}

// ... and any byte of theirs changed.
TEST(scram, notices_every_changed_byte) {
    for (int which = 1; which <= 4; ++which) {
        for (std::size_t at = 0;; ++at) {
            bool beyond = false;
            scram_server server({make_scram_verifier("pencil", salt, 1), true}, "hash");
            scram_client client(scram_client::secret("pencil"), scram_channel{"hash", true});
            const auto ended = run(server, client, [&](int number, std::string m) {
                if (number != which) return m;
                beyond = at >= m.size();
                if (!beyond) m[at] ^= 1;
                return m;
            });
            if (beyond) break;
            EXPECT_NE(ended, outcome{}) << "message " << which << ", byte " << at;
        }
    }
}

TEST(scram_mock, cannot_be_told_from_a_user_who_is_there) {
    const scram_mock mock(4096);
    const auto stranger = mock.verifier_for("nobody");
    EXPECT_EQ(stranger, mock.verifier_for("nobody")) << "the same salt each time";
    EXPECT_NE(stranger.salt, mock.verifier_for("nobody2").salt);
    EXPECT_NE(stranger.salt, scram_mock(4096).verifier_for("nobody").salt) << "and for this process alone";
    EXPECT_EQ(stranger.salt.size(), scram_salt_length);
    EXPECT_EQ(stranger.iterations, 4096U);

    scram_server server({stranger, false});
    scram_client client(scram_client::secret("pencil"));
    EXPECT_EQ(run(server, client), (outcome{scram_fault::wrong_proof, {}})) << "not before the end";
    // Not even with the right password.
    scram_server of_known({genuine().verifier, false});
    scram_client knowing(scram_client::secret("pencil"));
    EXPECT_EQ(run(of_known, knowing), (outcome{scram_fault::wrong_proof, {}}));
}

TEST(scram_verifier, comes_back) {
    const auto made = make_scram_verifier("pencil", salt, 4096);
    const auto text = build(made);
    EXPECT_EQ(text,
              "SCRAM-SHA-256$4096:W22ZaJ0SNY7soEsUEjb6gQ==$WG5d8oPm3OtcPnkdi4Uo7BkeZkBFzpcXkuLmtbsT4qY=:"
              "wfPLwcE6nTWhTAmQ7tl2KeoiWGPlZqQxSrmfPwDl2dU=");
    EXPECT_EQ(parse_scram_verifier(text), made);
    for (std::size_t length = 0; length < text.size(); ++length)
        EXPECT_FALSE(parse_scram_verifier(text.substr(0, length)));
}

TEST(scram_verifier, is_refused_when_it_is_none) {
    const std::string keys = base64(std::string(32, 'a')) + ':' + base64(std::string(32, 'b'));
    EXPECT_TRUE(parse_scram_verifier("SCRAM-SHA-256$1:c2FsdA==$" + keys));
    for (const std::string& text :
         {"scram-sha-256$1:c2FsdA==$" + keys, "SCRAM-SHA-512$1:c2FsdA==$" + keys, "SCRAM-SHA-256$0:c2FsdA==$" + keys,
          "SCRAM-SHA-256$-1:c2FsdA==$" + keys, "SCRAM-SHA-256$2147483648:c2FsdA==$" + keys,
          "SCRAM-SHA-256$1x:c2FsdA==$" + keys, "SCRAM-SHA-256$:c2FsdA==$" + keys, "SCRAM-SHA-256$1:$" + keys,
          "SCRAM-SHA-256$1:c2Fsd$" + keys, "SCRAM-SHA-256$1:" + base64(std::string(257, 's')) + '$' + keys,
          "SCRAM-SHA-256$1:c2FsdA==$" + keys + "=", "SCRAM-SHA-256$1:c2FsdA==$" + keys + " "})
        EXPECT_FALSE(parse_scram_verifier(text)) << text;
}

}  // namespace
}  // namespace crossfade::auth
