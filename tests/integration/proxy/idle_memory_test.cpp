// What an idle session takes of the proxy's memory: ten thousand of them against a fake database.
#include <gtest/gtest.h>
#include <sys/resource.h>

#include <iostream>

#include "lib/pgwire/startup.hpp"
#include "tests/integration/proxy/proxy_before_fake.hpp"
#include "tests/scripted/proxy/memory.hpp"
#include "tests/scripted/proxy/messages.hpp"

namespace crossfade::proxy::test {
namespace {

using namespace pgwire;

constexpr std::size_t goal = std::size_t{8} << 10;
constexpr std::size_t wanted = 10'000;

// Each session takes two descriptors, here and in the proxy. How many the system lets us have of `wanted`.
std::size_t as_many_as_may_be() {
    constexpr rlim_t beside = 200;
    rlimit files{};
    ::getrlimit(RLIMIT_NOFILE, &files);
    const rlim_t needed = 2 * wanted + beside;
    if (files.rlim_cur < needed) {
        rlimit more{needed, std::max(files.rlim_max, needed)};
        if (::setrlimit(RLIMIT_NOFILE, &more) != 0) {  // the hard limit is root's to raise
            more = {files.rlim_max, files.rlim_max};
            ::setrlimit(RLIMIT_NOFILE, &more);
        }
        ::getrlimit(RLIMIT_NOFILE, &files);
    }
    return std::min<std::size_t>(wanted, (files.rlim_cur - beside) / 2);
}

// As drivers open a session, and as PostgreSQL 15 welcomes it; then one statement each.
TEST(idle_memory, a_plain_session_takes_at_most_8_kib) {
    const auto sessions = as_many_as_may_be();
    proxy_before_fake proxy{"threads: 2, max_sessions: 10000"};
    ASSERT_TRUE(proxy.program.wait_ready()) << proxy.program.log();

    const auto opening = build(startup_message{{},
                                               {{"user", "storefront_service"},
                                                {"database", "app"},
                                                {"application_name", "storefront-worker 7f9c4d"},
                                                {"client_encoding", "UTF8"}}});
    std::string welcome = build_authentication(authentication::ok);
    for (const auto& [name, value] : {std::pair{"application_name", "storefront-worker 7f9c4d"},
                                      {"client_encoding", "UTF8"},
                                      {"server_version", "15.20 (Debian 15.20-0+deb12u1)"},
                                      {"TimeZone", "Etc/UTC"}})
        welcome += build_parameter_status(name, value);
    const auto question = build_query("select id, name from products where id = 4711");
    const auto reply = rows() + ready();

    const auto process = std::to_string(proxy.program.pid());
    const auto before = memory("VmRSS", process);
    std::vector<std::pair<peer, peer>> all;
    all.reserve(sessions);
    for (std::uint32_t n = 0; n < sessions; ++n) {
        auto client = proxy.connect();
        client.send(opening);
        auto server = proxy.database.accept();
        server.expect(opening);
        const auto whole = welcome + build_backend_key_data({n, "key!"}) + ready();
        server.send(whole);
        client.expect(whole);
        client.send(question);
        server.expect(question);
        server.send(reply);
        client.expect(reply);
        all.emplace_back(std::move(client), std::move(server));
        ASSERT_FALSE(testing::Test::HasFailure()) << "after " << n << " sessions";
    }
    const auto each = (memory("VmRSS", process) - before) / sessions;
    RecordProperty("bytes_a_session", static_cast<int>(each));
    std::cout << sessions << " idle sessions: " << each << " bytes of the proxy's memory each\n";
    EXPECT_LE(each, memory_times * goal);
}

}  // namespace
}  // namespace crossfade::proxy::test
