// The proxy under a service manager: sockets are handed over, and the manager is told what goes on.
#include <arpa/inet.h>
#include <gmock/gmock.h>
#include <libpq-fe.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <array>
#include <csignal>
#include <cstring>
#include <memory>
#include <optional>

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

// A proxy that was started with a socket that listens; its databases aren't there.
class service_manager : public testing::Test {
  protected:
    void SetUp() override {
        const auto config =
            folder_.write("crossfade.yaml",
                          "legacy: { dsn: \"host=127.0.0.1 port=1 dbname=app\" }\nmodern: { dsn: \"host=127.0.0.1 "
                          "port=1 dbname=app2\" }\n"
                          "kafka: { brokers: \"127.0.0.1:9\" }\nstream: { name: app, tables: [\"public.*\"] }\n"
                          "proxy: { listen: \"192.0.2.1:1\", admin: \"127.0.0.1:0\", capture: false,"
                          " drain_timeout: 50s, console: { admins: [ops], trust_local: true } }\n");
        const int passed = listen_on(port_);
        proxy_.emplace(support::process_options{
            .argv = {"bash", "-c",
                     "LISTEN_PID=$$ exec " + support::program_path("crossfade-proxy").string() + " --config " +
                         config.string() + " 3<&" + std::to_string(passed)},
            .environment = {{"NOTIFY_SOCKET", path_}, {"LISTEN_FDS", "1"}, {"WATCHDOG_USEC", "100000"}},
            .log = folder_.path() / "log"});
        ::close(passed);
        ASSERT_EQ(listening_.hears(), "READY=1\nSTATUS=taking sessions on the service manager's sockets\n")
            << support::read_file(folder_.path() / "log");
    }
    std::string console() const { return "host=127.0.0.1 user=ops dbname=crossfade port=" + std::to_string(port_); }
    void expect_reload() {
        proxy_->signal(SIGHUP);
        EXPECT_THAT(listening_.hears(), StartsWith("RELOADING=1\nMONOTONIC_USEC="));
        EXPECT_EQ(listening_.hears(), "READY=1\n");
    }
    // A console, which is a client that is waited for.
    std::unique_ptr<PGconn, decltype(&PQfinish)> waited_for() {
        std::unique_ptr<PGconn, decltype(&PQfinish)> client{PQconnectdb(console().c_str()), &PQfinish};
        PQclear(PQexec(client.get(), "SHUTDOWN WAIT"));
        EXPECT_STREQ(PQerrorMessage(client.get()), "");
        EXPECT_EQ(listening_.hears(), "STATUS=waiting until the last client has left\n");
        return client;
    }

    const support::temp_dir folder_;
    const std::uint16_t port_ = support::free_port();
    const std::string path_ = (folder_.path() / "notify").string();
    const manager listening_{path_};
    std::optional<support::child_process> proxy_;
};

// proxy.drain_timeout, and ten seconds for what comes behind it.
constexpr auto drains = "STOPPING=1\nEXTEND_TIMEOUT_USEC=60000000\nSTATUS=waiting for what is under way\n";

TEST_F(service_manager, hands_its_socket_over_and_is_told_what_goes_on) {
    const auto version = support::run({"psql", "-XAt", console(), "-c", "SHOW VERSION"});
    EXPECT_THAT(version.output, StartsWith("Crossfade ")) << version.errors;
    expect_reload();
    proxy_->signal(SIGTERM);
    EXPECT_EQ(listening_.hears(), drains);
    EXPECT_TRUE(listening_.alive());
    EXPECT_EQ(proxy_->wait_exit(10s), 0);
}

// systemd kills who is stopping when TimeoutStopSec= is over.
TEST_F(service_manager, hears_of_no_stopping_while_clients_are_waited_for) {
    auto client = waited_for();
    expect_reload();  // what is told comes in order: nothing was before it
    client.reset();
    EXPECT_EQ(listening_.hears(), "STOPPING=1\nEXTEND_TIMEOUT_USEC=10000000\nSTATUS=the last client has left\n");
    EXPECT_EQ(proxy_->wait_exit(10s), 0);
}

TEST_F(service_manager, hears_of_it_when_it_is_not_willing_to_wait_for_clients) {
    const auto client = waited_for();
    proxy_->signal(SIGTERM);
    EXPECT_EQ(listening_.hears(), drains);
    EXPECT_EQ(proxy_->wait_exit(10s), 0);
}

}  // namespace
}  // namespace crossfade::proxy::test
