#include "lib/program/service_manager.hpp"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <array>
#include <cstring>
#include <map>
#include <system_error>

#include "tests/support/temp_dir.hpp"

namespace crossfade::program {
namespace {

using namespace std::chrono_literals;

settings::environment variables(std::map<std::string, std::string, std::less<>> set) {
    return [set = std::move(set)](std::string_view name) -> std::optional<std::string> {
        const auto found = set.find(name);
        return found == set.end() ? std::nullopt : std::optional{found->second};
    };
}

// The service manager's end: a datagram socket at an address as $NOTIFY_SOCKET names it.
class manager {
  public:
    explicit manager(const std::string& name) : socket_(::socket(AF_UNIX, SOCK_DGRAM | SOCK_NONBLOCK, 0)) {
        sockaddr_un address{.sun_family = AF_UNIX, .sun_path = {}};
        std::memcpy(address.sun_path, name.data(), name.size());
        if (name[0] == '@') address.sun_path[0] = '\0';
        const auto length = offsetof(sockaddr_un, sun_path) + name.size();
        EXPECT_EQ(::bind(socket_, reinterpret_cast<const sockaddr*>(&address), static_cast<socklen_t>(length)), 0);
    }
    ~manager() { ::close(socket_); }

    std::string heard() const {
        std::array<char, 1000> bytes{};
        const auto length = ::recv(socket_, bytes.data(), bytes.size(), 0);
        return length < 0 ? "nothing" : std::string{bytes.data(), static_cast<std::size_t>(length)};
    }

  private:
    int socket_;
};

TEST(service_manager, is_told_at_a_path_and_at_an_abstract_name) {
    const support::temp_dir folder;
    for (const auto& name : {(folder.path() / "notify").string(), "@crossfade-test-" + std::to_string(::getpid())}) {
        const manager listening{name};
        const service_manager told{variables({{"NOTIFY_SOCKET", name}}), 1};
        told.ready("listening");
        EXPECT_EQ(listening.heard(), "READY=1\nSTATUS=listening\n") << name;
        told.status("two\nlines");
        EXPECT_EQ(listening.heard(), "STATUS=two lines\n");
        told.stopping("");
        EXPECT_EQ(listening.heard(), "STOPPING=1\n");
        told.stopping("soon", 90s);
        EXPECT_EQ(listening.heard(), "STOPPING=1\nEXTEND_TIMEOUT_USEC=90000000\nSTATUS=soon\n");
        told.alive();
        EXPECT_EQ(listening.heard(), "WATCHDOG=1\n");
        told.reloading();
        EXPECT_EQ(listening.heard().find("RELOADING=1\nMONOTONIC_USEC="), 0U);
        EXPECT_EQ(listening.heard(), "nothing");
    }
}

TEST(service_manager, may_not_be_there) {
    for (const std::string name : {"", "@", "relative", "/no/such/place"}) {
        const service_manager nobody{variables({{"NOTIFY_SOCKET", name}}), 1};
        EXPECT_NO_THROW(nobody.ready("x")) << name;
    }
    const service_manager too_long{variables({{"NOTIFY_SOCKET", "/" + std::string(200, 'x')}}), 1};
    EXPECT_NO_THROW(too_long.ready("x"));
}

TEST(service_manager, watches_whom_it_says) {
    using expected = std::optional<std::chrono::microseconds>;
    const std::pair<std::map<std::string, std::string, std::less<>>, expected> table[] = {
        {{}, std::nullopt},
        {{{"WATCHDOG_USEC", "30000000"}}, 30s},
        {{{"WATCHDOG_USEC", "30000000"}, {"WATCHDOG_PID", "42"}}, 30s},
        {{{"WATCHDOG_USEC", "30000000"}, {"WATCHDOG_PID", "43"}}, std::nullopt},
        {{{"WATCHDOG_USEC", "0"}}, std::nullopt},
        {{{"WATCHDOG_USEC", "soon"}}, std::nullopt},
    };
    for (const auto& [set, period] : table) EXPECT_EQ(service_manager(variables(set), 42).watchdog(), period);
}

TEST(passed_sockets, are_read_from_the_environment) {
    using sockets = std::vector<passed_socket>;
    const std::pair<std::map<std::string, std::string, std::less<>>, sockets> table[] = {
        {{}, {}},
        {{{"LISTEN_FDS", "2"}, {"LISTEN_PID", "42"}}, {{3, "unknown"}, {4, "unknown"}}},
        {{{"LISTEN_FDS", "2"}, {"LISTEN_PID", "42"}, {"LISTEN_FDNAMES", "sql:admin"}}, {{3, "sql"}, {4, "admin"}}},
        {{{"LISTEN_FDS", "2"}, {"LISTEN_PID", "42"}, {"LISTEN_FDNAMES", "sql:"}}, {{3, "sql"}, {4, "unknown"}}},
        // As many names as sockets, or none counts.
        {{{"LISTEN_FDS", "1"}, {"LISTEN_PID", "42"}, {"LISTEN_FDNAMES", "sql:admin"}}, {{3, "unknown"}}},
        {{{"LISTEN_FDS", "0"}, {"LISTEN_PID", "42"}}, {}},
        {{{"LISTEN_FDS", "1"}, {"LISTEN_PID", "43"}}, {}},
        {{{"LISTEN_FDS", "1"}}, {}},
        {{{"LISTEN_FDS", "-1"}, {"LISTEN_PID", "42"}}, {}},
        {{{"LISTEN_FDS", "1000000000"}, {"LISTEN_PID", "42"}}, {}},
        {{{"LISTEN_FDS", "one"}, {"LISTEN_PID", "42"}}, {}},
    };
    for (const auto& [set, expected] : table) EXPECT_EQ(passed_sockets(variables(set), 42), expected);
}

TEST(passed_sockets, have_to_be_there) {
    const auto own = std::to_string(::getpid());
    EXPECT_TRUE(take_passed_sockets(variables({})).empty());
    // Descriptors are given out from the lowest on: one of sixty-four is free.
    EXPECT_THROW(take_passed_sockets(variables({{"LISTEN_FDS", "64"}, {"LISTEN_PID", own}})), std::system_error);
}

}  // namespace
}  // namespace crossfade::program
