#include <gtest/gtest.h>
#include <sys/socket.h>

#include <array>
#include <boost/asio/co_spawn.hpp>
#include <memory>
#include <string>

#include "lib/tls/engine.hpp"
#include "proxy/frontend/lane.hpp"
#include "tests/support/certificates.hpp"
#include "tests/support/eventually.hpp"
#include "tests/unit/proxy/end_of_line.hpp"

namespace crossfade::proxy::frontend {
namespace {

using namespace std::chrono_literals;

// Two transports that are connected, and their TLS.
struct sealed_line {
    explicit sealed_line(asio::io_context& context) : near{stream_socket{context}}, far{stream_socket{context}} {
        std::array<int, 2> ends{};
        if (::socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, ends.data()) != 0)
            throw std::runtime_error("socketpair");
        near.socket().assign({AF_UNIX, 0}, ends[0]);
        far.socket().assign({AF_UNIX, 0}, ends[1]);
        const support::certificate_authority authority{"ours"};
        const auto files = authority.issue("db.example", "");
        const auto listening = tls::context::of_listener({.mode = settings::tls_mode::require,
                                                          .cert_file = files.cert,
                                                          .key_file = files.key,
                                                          .ca_file = {},
                                                          .ciphers = {}});
        const settings::server_tls reaching{
            .mode = settings::tls_mode::require, .ca_file = {}, .cert_file = {}, .key_file = {}};
        const auto calling = tls::context::of_server(reaching);
        const auto secured = [](std::exception_ptr fault, std::optional<std::string> why) {
            EXPECT_FALSE(fault || why);
        };
        asio::co_spawn(context, near.secure(std::make_unique<tls::engine>(*listening), {}), secured);
        asio::co_spawn(context, far.secure(std::make_unique<tls::engine>(*calling, reaching, "db.example"), {}),
                       secured);
        context.run();
        near.leave_asio();
        far.leave_asio();
    }

    transport near;
    transport far;
};

TEST(a_lane_under_tls, loses_nothing_however_much_is_kept) {
    asio::io_context context;
    sealed_line from{context};
    end_of_line to{context};
    lane way{from.near, to.near};
    const auto scratch = std::make_unique<scratch_space>();
    std::size_t kept = lane::most_kept;
    std::string got;
    const auto inspect = [&](std::string_view chunk) {
        EXPECT_LE(chunk.size(), scratch->plain.size());
        return inspection{chunk.size() - std::min(chunk.size(), kept)};
    };
    const auto advance = [&] {
        way.arrived(false);
        way.advance(inspect, *scratch);
        got += to.hears();
        // Another session's.
        scratch->received.fill('!');
        scratch->plain.fill('!');
    };

    std::string much;
    for (int n = 0; much.size() < 1'000'000; ++n) much += std::to_string(n) + ' ';
    ASSERT_TRUE(from.far.send(much));
    EXPECT_TRUE(support::eventually(20s, [&] {
        EXPECT_TRUE(from.far.push());
        advance();
        return from.far.all_sent() && got.size() + kept >= much.size();
    })) << got.size();
    kept = 0;
    way.go_on();
    advance();
    EXPECT_TRUE(got == much) << got.size() << " of " << much.size();
}

}  // namespace
}  // namespace crossfade::proxy::frontend
