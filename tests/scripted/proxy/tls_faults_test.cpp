// The faults of the list that lie between TLS and the messages inside it.
#include <gmock/gmock.h>

#include "tests/scripted/proxy/messages.hpp"
#include "tests/scripted/proxy/script.hpp"
#include "tests/scripted/proxy/tls_peer.hpp"
#include "tests/support/certificates.hpp"

namespace crossfade::proxy::test {
namespace {

using namespace std::chrono_literals;
using namespace std::string_literals;
using namespace pgwire;
using testing::StartsWith;

std::string opening() {
    return build(startup_message{{}, {{"user", "ann"}, {"database", "app"}}});
}

class faults : public testing::Test {
  protected:
    struct pair {
        tls_peer client;
        peer server;
    };
    pair session() {
        pair both{tls_peer{proxy_.client()}, peer{-1}};
        both.client.send(both.client.sealed(opening()));
        both.server = proxy_.legacy.accept();
        both.server.expect(opening());
        const auto welcome = build_authentication(authentication::ok) + build_backend_key_data({42, "key!"}) + ready();
        both.server.send(welcome);
        EXPECT_EQ(both.client.read(welcome.size()), welcome);
        return both;
    }

    support::certificate_authority authority_{"ours"};
    support::certificate_files files_ = authority_.issue("proxy", "IP:127.0.0.1");
    proxy_between proxy_{[this](settings::configuration& config) {
        config.proxy.threads = 1;
        config.proxy.tls.mode = settings::tls_mode::prefer;
        config.proxy.tls.cert_file = files_.cert;
        config.proxy.tls.key_file = files_.key;
    }};
};

// Whatever part of a message lies in which record, and whichever records come in one packet: what has come goes on,
// without waiting for the socket to have more.
TEST_F(faults, f07_nothing_is_left_in_the_tls_library) {
    auto both = session();
    const auto asked = batch();
    for (std::size_t cut = 1; cut < asked.size(); ++cut) {
        SCOPED_TRACE(cut);
        const std::string_view bytes = asked;
        auto records = both.client.sealed(bytes.substr(0, cut));
        records += both.client.sealed(bytes.substr(cut));
        both.client.send(records);
        both.server.expect(asked);
        both.server.send(batch_replies());
        EXPECT_EQ(both.client.read(batch_replies().size()), batch_replies());
    }
    std::string byte_by_byte;
    for (const char& byte : asked) byte_by_byte += both.client.sealed({&byte, 1});
    both.client.send(byte_by_byte);
    both.server.expect(asked);
    both.server.send(batch_replies());
    EXPECT_EQ(both.client.read(batch_replies().size()), batch_replies());
}

// The start-up message is read by itself. What came in the same packet waits until the database is reached, while other
// sessions use the room that it came in.
TEST_F(faults, f07_records_behind_the_startup_are_kept_until_the_database_is_reached) {
    pacemaker pace{proxy_};
    proxy_.reload([](settings::configuration& config) { config.legacy.tls.mode = settings::tls_mode::prefer; });
    struct started {
        tls_peer client;
        peer server;
        std::string behind;
    };
    const auto start = [&](char filler) {
        started made{tls_peer{proxy_.client()}, peer{-1}, build_query(std::string(3000, filler))};
        pace.beat();  // the handshake's last packet holds nothing else
        auto records = made.client.sealed(opening());
        records += made.client.sealed(made.behind);
        made.client.send(records);
        made.server = proxy_.legacy.accept();
        made.server.expect(build(ssl_request{}));
        return made;
    };
    std::vector<started> all;
    for (const char filler : {'a', 'b', 'c', 'd'}) all.push_back(start(filler));
    for (auto& each : all) {
        each.server.send("N");
        each.server.expect(opening() + each.behind);
    }
}

TEST_F(faults, f07_records_may_be_split_over_packets_anywhere) {
    pacemaker pace{proxy_};
    auto both = session();
    const auto asked = batch();
    const auto length = both.client.sealed(asked).size();  // lost: the next must not be
    both = session();
    for (std::size_t cut = 1; cut < length; ++cut) {
        SCOPED_TRACE(cut);
        const auto record = both.client.sealed(asked);
        both.client.send(std::string_view{record}.substr(0, cut));
        pace.beat();
        both.client.send(std::string_view{record}.substr(cut));
        both.server.expect(asked);
    }
}

// 16 KiB in a record, many records in a packet, and more than the proxy reads at a time.
TEST_F(faults, f07_long_records_in_a_row_pass) {
    auto both = session();
    std::string plain;
    std::string records;
    for (int n = 0; n < 40; ++n) {
        const auto part = framed('d', std::string(16384 - 5, static_cast<char>('a' + n % 26)));
        plain += part;
        records += both.client.sealed(part);
    }
    std::thread sending{[&] { both.client.send(records); }};
    both.server.expect(plain);
    sending.join();
}

// An asynchronous libpq waits for the socket while the rest of a longer record lies in its TLS library.
TEST_F(faults, f07_no_record_to_a_client_is_longer_than_8_kilobytes) {
    auto both = session();
    std::string rows;
    for (int n = 0; n < 300; ++n) rows += data_row(std::string(9000, 'r'));
    std::thread sending{[&] { both.server.send(rows); }};
    EXPECT_EQ(both.client.read(rows.size()), rows);
    sending.join();
    EXPECT_LE(both.client.longest_record(), 8192 + 256U);
}

// Bytes behind an SSLRequest would be taken for what the client says under TLS, or for its handshake.
TEST_F(faults, f16_bytes_stuffed_in_front_of_the_handshake_are_refused) {
    for (const auto& request : {build(ssl_request{}), build(gssenc_request{})}) {
        for (const auto& stuffed : {opening(), "x"s, "\x16\x03\x01"s, build(cancel_request{7, "key!"})}) {
            auto client = proxy_.client();
            client.send(request + stuffed);
            EXPECT_THAT(farewell(client), StartsWith("08P01 unencrypted data"));
        }
    }
    EXPECT_TRUE(proxy_.legacy.nobody_waits());
}

TEST_F(faults, f16_what_is_no_handshake_after_the_answer_is_not_taken_for_one) {
    for (const auto& instead : {opening(), build(ssl_request{}), "\x16\x03\x01\xff\xff"s + std::string(300, 'x')}) {
        auto client = proxy_.client();
        client.send(build(ssl_request{}));
        client.expect("S");
        client.send(instead);
        client.half_close();
        EXPECT_THAT(client.read_to_end(), testing::Not(testing::HasSubstr("R\0\0\0"s)));
    }
    EXPECT_TRUE(proxy_.legacy.nobody_waits());
    EXPECT_TRUE(support::eventually(5s, [&] { return proxy_.sessions() == 0; }));
}

TEST_F(faults, f16_inside_tls_there_is_no_second_request) {
    tls_peer client{proxy_.client()};
    client.send(client.sealed(build(ssl_request{})));
    EXPECT_THAT(client.read(1000), testing::HasSubstr("encryption requested twice"));
    EXPECT_TRUE(proxy_.legacy.nobody_waits());
}

}  // namespace
}  // namespace crossfade::proxy::test
