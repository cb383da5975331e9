// A gibibyte through the proxy's process takes no memory there, whether it is one row, one COPY, or many small rows.
#include <gtest/gtest.h>

#include <thread>

#include "lib/pgwire/startup.hpp"
#include "tests/integration/proxy/proxy_before_fake.hpp"
#include "tests/scripted/proxy/memory.hpp"
#include "tests/scripted/proxy/messages.hpp"

namespace crossfade::proxy::test {
namespace {

using namespace pgwire;

constexpr std::size_t mib = 1 << 20;
constexpr std::size_t gib = std::size_t{1} << 30;

// One message's header, or nothing, and then the same megabyte over and over.
struct volume {
    const char* name;
    bool from_client;
    std::string before;
    std::string repeated;
};
void PrintTo(const volume& of, std::ostream* to) {
    *to << of.name;
}

std::string header(char type, std::size_t body) {
    std::string bytes(1, type);
    put_u32(bytes, static_cast<std::uint32_t>(body + 4));
    return bytes;
}

const volume volumes[] = {
    {"one_row", false, row_description() + header('D', gib), std::string(mib, 'r')},
    {"copy_out", false, copy_response('H'), framed('d', std::string(mib - 5, 'c'))},
    {"one_query", true, header('Q', gib), std::string(mib, 'q')},
    {"copy_in", true, build_query("copy t from stdin"), framed('d', std::string(mib - 5, 'c'))},
};

class volume_of : public testing::TestWithParam<volume> {};

TEST_P(volume_of, one_gibibyte_adds_less_than_one_mebibyte) {
    proxy_before_fake proxy{"threads: 1"};
    ASSERT_TRUE(proxy.program.wait_ready()) << proxy.program.log();

    auto client = proxy.connect();
    client.send(build(startup_message{{}, {{"user", "ann"}, {"database", "app"}}}));
    auto server = proxy.database.accept();
    const auto welcome = build_authentication(authentication::ok) + build_backend_key_data({1, "key!"}) + ready();
    server.send(welcome);
    client.expect(welcome);

    const auto& [name, from_client, before, repeated] = GetParam();
    auto& from = from_client ? client : server;
    auto& to = from_client ? server : client;
    // Sends and reads side by side: how much fits into the sockets between them is the kernel's affair.
    const auto pass = [&from, &to](const std::string& first, const std::string& then, std::size_t times) {
        std::thread sending{[&] {
            from.send(first);
            for (std::size_t n = 0; n < times; ++n) from.send(then);
        }};
        const auto taken = to.skip(first.size() + then.size() * times);
        sending.join();
        return taken;
    };
    // What any session needs has been allocated once the first megabytes are through.
    pass(framed('N', std::string(8 * mib, 'w')), {}, 0);

    const auto process = std::to_string(proxy.program.pid());
    const auto highest = memory("VmHWM", process);
    ASSERT_GT(highest, 0U);
    const auto taken = pass(before, repeated, gib / mib);
    EXPECT_GE(taken, gib);
    EXPECT_LT(memory("VmHWM", process) - highest, mib);
}

INSTANTIATE_TEST_SUITE_P(all, volume_of, testing::ValuesIn(volumes),
                         [](const auto& of) { return std::string{of.param.name}; });

}  // namespace
}  // namespace crossfade::proxy::test
