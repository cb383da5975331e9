#include <sys/socket.h>

#include <algorithm>
#include <array>

#include "lib/pgclient/connection.hpp"

namespace crossfade::pgclient {

namespace {

using namespace std::chrono_literals;

constexpr auto patience_beside = 2s;

// What the server's process does while it isn't at work; empty: it is. Between two messages of a pipeline it counts as
// active too, and waits for its client; and when it has taken another message, something of this row has changed.
constexpr const char* what_it_does =
    "SELECT CASE WHEN state = 'active' AND wait_event_type IS DISTINCT FROM 'Client' THEN ''"
    " ELSE concat_ws(' ', state, wait_event, state_change, query_start) END FROM pg_stat_activity WHERE pid = $1::int";

}  // namespace

std::optional<result<rows>> connection::ask_beside(const std::string& sql) const {
    auto asking = options_;
    asking.application_name += " (beside)";
    asking.replication = false;
    asking.connect_timeout = patience_beside;
    const auto asked = std::chrono::steady_clock::now();
    auto beside = open(dsn_, asking, native());
    if (!beside && std::chrono::steady_clock::now() - asked >= patience_beside) return beside.error();
    if (!beside) {
        // Too many connections, for instance: somebody says so.
        const std::string wait = std::to_string(patience_beside.count());
        const std::array<const char*, 6> keys{"connect_timeout", "dbname", "host", "hostaddr", "port", nullptr};
        const std::array<const char*, 6> values{wait.c_str(),         dsn_.c_str(),     PQhost(native()),
                                                PQhostaddr(native()), PQport(native()), nullptr};
        if (PQpingParams(keys.data(), values.data(), 1) == PQPING_OK) return std::nullopt;
        return beside.error();
    }
    const char* const value = pid_.c_str();
    const int sent = PQsendQueryParams(beside->native(), sql.c_str(), 1, nullptr, &value, nullptr, nullptr, 0);
    return beside->answer(sent, std::chrono::steady_clock::now() + patience_beside);
}

void connection::cancel() const {
    // Whoever has the process's number by now, if it isn't ours any more, is let alone.
    static_cast<void>(
        ask_beside("SELECT pg_cancel_backend(pid) FROM pg_stat_activity WHERE pid = $1::int"
                   " AND starts_with(current_setting('application_name'), application_name)"));
}

void connection::break_off() const {
    ::shutdown(PQsocket(native()), SHUT_RDWR);
}

// Half of the time for the first question, and all of it for the second.
std::chrono::milliseconds silence_watch::patience() const {
    const auto due = since_ + (seen_ ? limit_ : limit_ / 2);
    return std::max(1ms, std::chrono::ceil<std::chrono::milliseconds>(due - clock::now()));
}

std::optional<failure> silence_watch::given_up() {
    if (clock::now() < since_ + (seen_ ? limit_ : limit_ / 2)) return std::nullopt;
    const auto told = of_.ask_beside(what_it_does);
    std::string now;  // empty: at work, or it can't be known
    if (told && !*told) now = "not to be reached";
    if (told && *told) now = (*told)->empty() ? "gone" : (*told)->text(0, 0);
    if (now.empty() || (seen_ && now != *seen_)) {
        heard();
        return std::nullopt;
    }
    if (!seen_) {
        seen_ = std::move(now);
        return std::nullopt;
    }
    of_.break_off();
    return failure{"08006", "no answer, and the server is not at work on it: " + now, {}, {}, {}};
}

}  // namespace crossfade::pgclient
