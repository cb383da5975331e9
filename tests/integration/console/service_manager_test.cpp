// The proxy under a service manager: sockets are handed over, and the manager is told what goes on.
#include <arpa/inet.h>
#include <gmock/gmock.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <array>
#include <csignal>
#include <cstring>

#include "tests/support/eventually.hpp"
#include "tests/support/ports.hpp"
#include "tests/support/process.hpp"
#include "tests/support/programs.hpp"
#include "tests/support/temp_dir.hpp"

namespace crossfade::proxy::test {
namespace {

using namespace std::chrono_literals;
using testing::StartsWith;

int listen_on(std::uint16_t port) {
    const int made = ::socket(AF_INET, SOCK_STREAM, 0);
    const sockaddr_in at{AF_INET, htons(port), {htonl(INADDR_LOOPBACK)}, {}};
    EXPECT_EQ(::bind(made, reinterpret_cast<const sockaddr*>(&at), sizeof at), 0);
    EXPECT_EQ(::listen(made, 16), 0);
    return made;
}

class manager {
  public:
    explicit manager(const std::string& path) : socket_(::socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0)) {
        sockaddr_un at{.sun_family = AF_UNIX, .sun_path = {}};
        std::memcpy(at.sun_path, path.data(), path.size());
        EXPECT_EQ(::bind(socket_, reinterpret_cast<const sockaddr*>(&at), sizeof at), 0);
    }
    ~manager() { ::close(socket_); }

    // The next thing that is told and isn't a sign of life.
    std::string hears() const {
        std::string told;
        const bool heard = support::eventually(10s, [&] {
            std::array<char, 1000> room{};
            const auto size = ::recv(socket_, room.data(), room.size(), MSG_DONTWAIT);
            told.assign(room.data(), size < 0 ? 0 : static_cast<std::size_t>(size));
            alive_ = alive_ || told == "WATCHDOG=1\n";
            return !told.empty() && told != "WATCHDOG=1\n";
        });
        return heard ? told : "nothing";
    }
    bool alive() const { return alive_; }

  private:
    int socket_;
    mutable bool alive_ = false;
};

TEST(service_manager, hands_its_socket_over_and_is_told_what_goes_on) {
    const support::temp_dir folder;
    const auto port = support::free_port();
    const auto config =
        folder.write("crossfade.yaml",
                     "legacy: { dsn: \"host=127.0.0.1 port=1 dbname=app\" }\nmodern: { dsn: \"host=127.0.0.1 port=1 "
                     "dbname=app2\" }\n"
                     "kafka: { brokers: \"127.0.0.1:9\" }\nstream: { name: app, tables: [\"public.*\"] }\n"
                     "proxy: { listen: \"192.0.2.1:1\", admin: \"127.0.0.1:0\", capture: false,"
                     " console: { admins: [ops], trust_local: true } }\n");
    const auto path = (folder.path() / "notify").string();
    const manager listening{path};
    const int passed = listen_on(port);
    support::child_process proxy{
        {.argv = {"bash", "-c",
                  "LISTEN_PID=$$ exec " + support::program_path("crossfade-proxy").string() + " --config " +
                      config.string() + " 3<&" + std::to_string(passed)},
         .environment = {{"NOTIFY_SOCKET", path}, {"LISTEN_FDS", "1"}, {"WATCHDOG_USEC", "100000"}},
         .log = folder.path() / "log"}};
    ::close(passed);

    EXPECT_EQ(listening.hears(), "READY=1\nSTATUS=taking sessions on the service manager's sockets\n")
        << support::read_file(folder.path() / "log");
    const auto version =
        support::run({"psql", "-XAt", "host=127.0.0.1 user=ops dbname=crossfade port=" + std::to_string(port), "-c",
                      "SHOW VERSION"});
    EXPECT_THAT(version.output, StartsWith("Crossfade ")) << version.errors;
    proxy.signal(SIGHUP);
    EXPECT_THAT(listening.hears(), StartsWith("RELOADING=1\nMONOTONIC_USEC="));
    EXPECT_EQ(listening.hears(), "READY=1\n");
    proxy.signal(SIGTERM);
    EXPECT_THAT(listening.hears(), StartsWith("STOPPING=1\n"));
    EXPECT_TRUE(listening.alive());
    EXPECT_EQ(proxy.wait_exit(10s), 0);
}

}  // namespace
}  // namespace crossfade::proxy::test
