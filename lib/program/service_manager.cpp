#include "lib/program/service_manager.hpp"

#include <fcntl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstddef>
#include <cstring>
#include <system_error>

#include "lib/settings/values.hpp"

namespace crossfade::program {
namespace {

// SD_LISTEN_FDS_START: behind the standard streams.
constexpr int first_passed = 3;
constexpr std::uint64_t most_passed = 64;

std::optional<std::uint64_t> number(const settings::environment& env, std::string_view name) {
    const auto text = env(name);
    return text ? settings::read_integer(*text) : std::nullopt;
}

std::vector<std::string> split(std::string_view text, char at) {
    std::vector<std::string> parts;
    for (;;) {
        const auto end = text.find(at);
        parts.emplace_back(text.substr(0, end));
        if (end == std::string_view::npos) return parts;
        text.remove_prefix(end + 1);
    }
}

// Both kinds of addresses that systemd uses; the abstract one has a zero byte in front and none at the end.
bool fill(sockaddr_un& address, socklen_t& length, const std::string& socket) {
    const bool abstract = socket.starts_with('@');
    if ((!abstract && !socket.starts_with('/')) || socket.size() < 2 || socket.size() >= sizeof address.sun_path)
        return false;
    address.sun_family = AF_UNIX;
    std::memcpy(address.sun_path, socket.data(), socket.size());
    if (abstract) address.sun_path[0] = '\0';
    length = static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + socket.size() + (abstract ? 0 : 1));
    return true;
}

}  // namespace

service_manager::service_manager(const settings::environment& env, long own_pid)
    : socket_(env("NOTIFY_SOCKET").value_or("")) {
    const auto period = number(env, "WATCHDOG_USEC");
    const auto of = number(env, "WATCHDOG_PID");
    if (period && *period > 0 && (!of || *of == static_cast<std::uint64_t>(own_pid)))
        watchdog_ = std::chrono::microseconds{*period};
}

void service_manager::reloading() const {
    // Type=notify-reload wants to know when, by the clock that steady_clock reads on Linux.
    const auto now = std::chrono::steady_clock::now().time_since_epoch();
    const auto since_boot = std::chrono::duration_cast<std::chrono::microseconds>(now);
    tell("RELOADING=1\nMONOTONIC_USEC=" + std::to_string(since_boot.count()) + '\n', {});
}

void service_manager::stopping(std::string_view status, std::chrono::microseconds within) const {
    const auto longer =
        within.count() > 0 ? "EXTEND_TIMEOUT_USEC=" + std::to_string(within.count()) + '\n' : std::string{};
    tell("STOPPING=1\n" + longer, status);
}

void service_manager::tell(std::string lines, std::string_view status) const {
    sockaddr_un address{};
    socklen_t length = 0;
    if (!fill(address, length, socket_)) return;
    if (!status.empty()) {
        std::string one_line{status};
        std::replace(one_line.begin(), one_line.end(), '\n', ' ');
        lines.append("STATUS=").append(one_line).append("\n");
    }
    const int made = ::socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (made < 0) return;
    ::sendto(made, lines.data(), lines.size(), MSG_NOSIGNAL, reinterpret_cast<const sockaddr*>(&address), length);
    ::close(made);
}

std::vector<passed_socket> passed_sockets(const settings::environment& env, long own_pid) {
    const auto count = number(env, "LISTEN_FDS");
    const auto meant = number(env, "LISTEN_PID");
    if (!count || !meant || *meant != static_cast<std::uint64_t>(own_pid) || *count > most_passed) return {};
    auto names = split(env("LISTEN_FDNAMES").value_or(""), ':');
    if (names.size() != *count) names.assign(*count, "");
    std::vector<passed_socket> all;
    for (auto& name : names)
        all.push_back({first_passed + static_cast<int>(all.size()), name.empty() ? "unknown" : std::move(name)});
    return all;
}

std::vector<passed_socket> take_passed_sockets(const settings::environment& env) {
    auto all = passed_sockets(env, ::getpid());
    for (const auto& each : all) {
        const int flags = ::fcntl(each.descriptor, F_GETFL);
        if (flags < 0 || ::fcntl(each.descriptor, F_SETFL, flags | O_NONBLOCK) < 0 ||
            ::fcntl(each.descriptor, F_SETFD, FD_CLOEXEC) < 0)
            throw std::system_error(errno, std::generic_category(), "socket " + each.name + " of LISTEN_FDS");
    }
    return all;
}

}  // namespace crossfade::program
