#include "lib/tls/engine.hpp"

#include <gmock/gmock.h>

#include <array>

#include "tests/support/certificates.hpp"

namespace crossfade::tls {
namespace {

using outcome = engine::outcome;
using settings::tls_mode;
using support::certificate_authority;
using testing::HasSubstr;

// Two ends and the bytes on their way.
struct line {
    engine client;
    engine server;
    std::string to_server{};
    std::string to_client{};

    // Hands over what is on the way, in pieces of `piece` bytes (0: whole), until nothing is.
    std::pair<outcome, outcome> shake_hands(std::size_t piece = 0) {
        std::pair states{client.handshake(to_server), outcome::wants_more};
        while (!to_server.empty() || !to_client.empty()) {
            const bool stuck = (to_server.empty() || states.second != outcome::wants_more) &&
                               (to_client.empty() || states.first != outcome::wants_more);
            if (stuck) break;
            if (states.second == outcome::wants_more) states.second = feed(server, to_server, piece, to_client);
            if (states.first == outcome::wants_more) states.first = feed(client, to_client, piece, to_server);
        }
        return states;
    }

    static outcome feed(engine& to, std::string& from, std::size_t piece, std::string& answers) {
        auto state = outcome::wants_more;
        while (!from.empty() && state == outcome::wants_more) {
            const auto next = from.substr(0, piece == 0 ? from.size() : piece);
            from.erase(0, next.size());
            to.feed(next);
            state = to.handshake(answers);
        }
        return state;
    }
};

// All that `to` can read of what it is fed.
std::string read_all(engine& to, std::string_view bytes, outcome* last = nullptr) {
    std::string plain;
    std::string answers;
    std::array<char, 1000> room;
    to.feed(bytes);
    for (;;) {
        const auto [what, count] = to.read(room, answers);
        if (what != outcome::done) {
            if (last != nullptr) *last = what;
            return plain;
        }
        plain.append(room.data(), count);
    }
}

class ends : public testing::Test {
  protected:
    static const certificate_authority& authority() {
        static const certificate_authority made{"ours"};
        return made;
    }
    static settings::listener_tls listening() {
        static const auto files = authority().issue("db.example", "DNS:db.example,IP:127.0.0.1");
        return {
            .mode = tls_mode::require, .cert_file = files.cert, .key_file = files.key, .ca_file = {}, .ciphers = {}};
    }
    static settings::server_tls reaching(tls_mode mode = tls_mode::require, const std::string& ca_file = {}) {
        return {.mode = mode, .ca_file = ca_file, .cert_file = {}, .key_file = {}};
    }
    static line between(const settings::listener_tls& at_server, const settings::server_tls& at_client,
                        const std::string& host = "db.example") {
        return {engine{context::of_server(at_client).value(), at_client, host},
                engine{context::of_listener(at_server).value()}};
    }
};

TEST_F(ends, agree_whatever_the_pieces) {
    for (const std::size_t piece : {0U, 1U, 7U, 100U}) {
        auto both = between(listening(), reaching());
        EXPECT_EQ(both.shake_hands(piece), std::pair(outcome::done, outcome::done)) << piece;
        EXPECT_EQ(both.client.version(), "TLSv1.3");
        EXPECT_TRUE(both.server.speaks_postgresql());
        EXPECT_EQ(both.client.peer_end_point_hash(), both.server.own_end_point_hash());
        EXPECT_EQ(both.server.own_end_point_hash().size(), 32U);
    }
}

TEST_F(ends, carry_bytes_both_ways_whatever_the_pieces) {
    auto both = between(listening(), reaching());
    both.shake_hands();
    const std::string much(100'000, 'x');
    std::string sealed;
    ASSERT_TRUE(both.server.write(much, sealed));
    EXPECT_GT(sealed.size(), much.size());
    std::string got;
    for (const auto& byte : sealed) got += read_all(both.client, {&byte, 1});
    EXPECT_EQ(got, much);

    sealed.clear();
    ASSERT_TRUE(both.client.write("select 1", sealed));
    EXPECT_EQ(read_all(both.server, sealed), "select 1");
}

// libpq reads 8 KiB at a time, and looks at the socket next.
TEST_F(ends, make_no_records_longer_than_libpq_reads) {
    auto both = between(listening(), reaching());
    both.shake_hands();
    std::string sealed;
    ASSERT_TRUE(both.server.write(std::string(50'000, 'x'), sealed));
    for (std::size_t at = 0; at < sealed.size();) {
        const auto length =
            std::size_t{static_cast<unsigned char>(sealed[at + 3])} << 8 | static_cast<unsigned char>(sealed[at + 4]);
        EXPECT_LE(length, 8192U + 32);
        at += 5 + length;
    }
}

TEST_F(ends, keep_what_was_sent_behind_the_handshake) {
    auto both = between(listening(), reaching());
    ASSERT_EQ(both.client.handshake(both.to_server), outcome::wants_more);
    both.server.feed(both.to_server);
    ASSERT_EQ(both.server.handshake(both.to_client), outcome::wants_more);
    both.to_server.clear();
    both.client.feed(both.to_client);
    ASSERT_EQ(both.client.handshake(both.to_server), outcome::done);
    ASSERT_TRUE(both.client.write("at once", both.to_server));
    {
        const auto gone_after_the_handshake = both.to_server;
        both.server.feed(gone_after_the_handshake);
        ASSERT_EQ(both.server.handshake(both.to_client), outcome::done);
    }
    EXPECT_EQ(read_all(both.server, {}), "at once");
}

TEST_F(ends, tell_the_end_from_a_broken_line) {
    auto both = between(listening(), reaching());
    both.shake_hands();
    std::string sealed;
    both.client.close(sealed);
    outcome last{};
    read_all(both.server, sealed, &last);
    EXPECT_EQ(last, outcome::closed);

    sealed.clear();
    both.server.write("answer", sealed);
    sealed.back() = static_cast<char>(~sealed.back());
    read_all(both.client, sealed, &last);
    EXPECT_EQ(last, outcome::failed);
    EXPECT_FALSE(both.client.reason().empty());
}

TEST_F(ends, fail_on_what_is_no_tls) {
    auto both = between(listening(), reaching());
    both.server.feed("GET / HTTP/1.1\r\n\r\n");
    EXPECT_EQ(both.server.handshake(both.to_client), outcome::failed);
    EXPECT_THAT(both.server.reason(), HasSubstr("http request"));
}

struct verification {
    const char* name;
    tls_mode mode;
    bool our_authority;
    const char* host;
    bool accepted;
};
void PrintTo(const verification& of, std::ostream* to) {
    *to << of.name;
}

class verifying : public ends, public testing::WithParamInterface<verification> {};

TEST_P(verifying, a_server) {
    static const certificate_authority stranger{"stranger"};
    const auto& wanted = GetParam();
    auto both = between(listening(), reaching(wanted.mode, wanted.our_authority ? authority().file() : stranger.file()),
                        wanted.host);
    const auto [client, server] = both.shake_hands();
    EXPECT_EQ(client, wanted.accepted ? outcome::done : outcome::failed) << both.client.reason();
}

INSTANTIATE_TEST_SUITE_P(
    all, verifying,
    testing::Values(verification{"prefer_looks_at_nothing", tls_mode::prefer, false, "elsewhere", true},
                    verification{"require_with_an_authority_believes_it", tls_mode::require, false, "db.example",
                                 false},
                    verification{"ca", tls_mode::verify_ca, true, "elsewhere", true},
                    verification{"ca_of_a_stranger", tls_mode::verify_ca, false, "db.example", false},
                    verification{"full", tls_mode::verify_full, true, "db.example", true},
                    verification{"full_by_address", tls_mode::verify_full, true, "127.0.0.1", true},
                    verification{"full_of_another_name", tls_mode::verify_full, true, "elsewhere", false},
                    verification{"full_of_another_address", tls_mode::verify_full, true, "127.0.0.2", false}),
    [](const auto& each) { return each.param.name; });

TEST_F(ends, show_a_clients_certificate) {
    auto at_server = listening();
    at_server.mode = tls_mode::verify_ca;
    at_server.ca_file = authority().file();
    const auto files = authority().issue("ann", "");
    auto with_certificate = reaching();
    with_certificate.cert_file = files.cert;
    with_certificate.key_file = files.key;
    auto both = between(at_server, with_certificate);
    EXPECT_EQ(both.shake_hands(), std::pair(outcome::done, outcome::done));
    EXPECT_EQ(both.server.peer_common_name(), "ann");

    auto without = between(at_server, reaching());
    EXPECT_EQ(without.shake_hands().second, outcome::failed);
}

// Who listens under several names.
class hosts : public ends {
  protected:
    static settings::host_certificate host(const std::vector<std::string>& names, const std::string& common_name,
                                           support::key_kind kind = support::key_kind::p256) {
        std::string alternatives;
        for (const auto& name : names) alternatives += (alternatives.empty() ? "DNS:" : ",DNS:") + name;
        auto files = authority().issue(common_name, alternatives, kind);
        return {names, std::move(files.cert), std::move(files.key)};
    }
    static const settings::listener_tls& several() {
        static const auto made = [] {
            auto listener = listening();
            listener.hosts = {host({"shop.example", "store.example"}, "shop"), host({"*.eu.example"}, "star"),
                              host({"one.eu.example"}, "one"), host({"old.example"}, "old", support::key_kind::rsa)};
            return listener;
        }();
        return made;
    }
    // The common name of the certificate that this client is shown.
    static std::string shown_to(const std::string& asked_for, tls_mode mode = tls_mode::verify_ca) {
        auto both = between(several(), reaching(mode, authority().file()), asked_for);
        if (both.shake_hands() != std::pair(outcome::done, outcome::done)) return both.client.reason();
        EXPECT_EQ(both.client.peer_end_point_hash(), both.server.own_end_point_hash()) << asked_for;
        return both.client.peer_common_name();
    }
};

TEST_F(hosts, are_shown_by_the_name_that_is_asked_for) {
    EXPECT_EQ(shown_to("shop.example", tls_mode::verify_full), "shop");
    EXPECT_EQ(shown_to("store.example", tls_mode::verify_full), "shop");
    EXPECT_EQ(shown_to("SHOP.Example"), "shop");
    EXPECT_EQ(shown_to("one.eu.example"), "one");
    EXPECT_EQ(shown_to("two.eu.example"), "star");
    EXPECT_EQ(shown_to("old.example", tls_mode::verify_full), "old");  // not the listener's, of another kind of key
    // Another name, one label too many, the suffix alone, no name at all: the listener's own.
    for (const char* name :
         {"db.example", "elsewhere.example", "a.two.eu.example", "eu.example", "localhost", "127.0.0.1"})
        EXPECT_EQ(shown_to(name), "db.example") << name;
}

TEST_F(hosts, ask_for_a_client_certificate_as_the_listener_does) {
    auto at_server = several();
    at_server.mode = tls_mode::verify_ca;
    at_server.ca_file = authority().file();
    EXPECT_EQ(between(at_server, reaching(), "shop.example").shake_hands().second, outcome::failed);
    const auto files = authority().issue("ann", "");
    auto shows = reaching();
    shows.cert_file = files.cert;
    shows.key_file = files.key;
    auto both = between(at_server, shows, "shop.example");
    EXPECT_EQ(both.shake_hands(), std::pair(outcome::done, outcome::done));
    EXPECT_EQ(both.server.peer_common_name(), "ann");
    EXPECT_TRUE(both.server.speaks_postgresql());
}

TEST_F(hosts, outlive_the_context_that_a_reload_has_replaced) {
    const auto to = reaching();
    line both{engine{context::of_server(to).value(), to, "shop.example"},
              [] { return engine{context::of_listener(several()).value()}; }()};
    EXPECT_EQ(both.shake_hands(), std::pair(outcome::done, outcome::done));
}

TEST_F(hosts, are_refused_with_a_certificate_that_is_not_theirs) {
    auto listener = several();
    std::swap(listener.hosts[0].cert_file, listener.hosts[3].cert_file);
    std::swap(listener.hosts[0].key_file, listener.hosts[3].key_file);
    EXPECT_EQ(
        context::of_listener(listener).error().text,
        "proxy.tls.hosts.1.cert_file " + listener.hosts[0].cert_file + ": this certificate is not for shop.example");
    listener = several();
    listener.hosts[1].key_file = listener.hosts[0].key_file;
    EXPECT_THAT(context::of_listener(listener).error().text, HasSubstr("proxy.tls.hosts.2.key_file"));
}

TEST_F(ends, are_not_made_of_files_that_cannot_be_used) {
    auto files = listening();
    files.key_file = authority().issue("other", "").key;
    EXPECT_THAT(context::of_listener(files).error().text, HasSubstr("key values mismatch"));
    files.key_file = files.cert_file;
    EXPECT_THAT(context::of_listener(files).error().text, HasSubstr("proxy.tls.key_file " + files.cert_file));
    files.cert_file = "/no/such/file";
    EXPECT_THAT(context::of_listener(files).error().text, HasSubstr("proxy.tls.cert_file /no/such/file"));
    EXPECT_THAT(context::of_server(reaching(tls_mode::require, "/no/such/file")).error().text,
                HasSubstr("sslrootcert /no/such/file"));
}

}  // namespace
}  // namespace crossfade::tls
