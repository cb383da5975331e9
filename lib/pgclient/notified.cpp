#include "lib/pgclient/notified.hpp"

#include <sys/poll.h>

#include <memory>

namespace crossfade::pgclient {
namespace {

std::vector<std::string> take(PGconn* from) {
    std::vector<std::string> all;
    const auto forget = [](PGnotify* of) { PQfreemem(of); };
    while (const std::unique_ptr<PGnotify, decltype(forget)> one{PQnotifies(from), forget})
        all.emplace_back(one->extra);
    return all;
}

}  // namespace

std::optional<std::vector<std::string>> notified(connection& of, std::chrono::milliseconds patience) {
    auto* const conn = of.native();
    auto all = take(conn);
    if (all.empty()) {
        pollfd waited{PQsocket(conn), POLLIN, 0};
        ::poll(&waited, 1, static_cast<int>(patience.count()));
        if (waited.revents != 0 && PQconsumeInput(conn) == 0) return std::nullopt;
        all = take(conn);
    }
    if (PQstatus(conn) != CONNECTION_OK) return std::nullopt;
    return all;
}

}  // namespace crossfade::pgclient
