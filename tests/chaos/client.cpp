#include "tests/chaos/client.hpp"

#include <poll.h>

#include <chrono>
#include <thread>

namespace crossfade::chaos {

namespace {

using namespace std::chrono_literals;

constexpr auto patience = 30s;

bool wait_readable(PGconn* on, std::chrono::steady_clock::time_point until) {
    const auto left = std::chrono::ceil<std::chrono::milliseconds>(until - std::chrono::steady_clock::now()).count();
    pollfd wanted{PQsocket(on), POLLIN, 0};
    return left > 0 && ::poll(&wanted, 1, static_cast<int>(left)) > 0;
}

}  // namespace

connection connect(const std::string& dsn) {
    connection made{
        PQconnectdb((dsn + (dsn.find('?') == std::string::npos ? '?' : '&') + "connect_timeout=5").c_str())};
    if (PQstatus(made.get()) != CONNECTION_OK) made.reset();
    // Notices are the turmoil's daily life.
    if (made)
        PQsetNoticeProcessor(
            made.get(), [](void*, const char*) {}, nullptr);
    return made;
}

void pause_for(std::chrono::milliseconds time) {
    std::this_thread::sleep_for(time);  // the application's own pause, not the test's
}

void pause_after_failure() {
    pause_for(20ms);
}

answer execute(PGconn* on, const std::string& sql) {
    if (PQsendQuery(on, sql.c_str()) == 0) return answer::lost;
    const auto until = std::chrono::steady_clock::now() + patience;
    bool refused = false;
    for (;;) {
        while (PQisBusy(on) != 0) {
            if (!wait_readable(on, until)) return answer::nothing;
            if (PQconsumeInput(on) == 0) return answer::lost;
        }
        PGresult* result = PQgetResult(on);
        if (result == nullptr) break;
        refused = refused || PQresultStatus(result) == PGRES_FATAL_ERROR;
        PQclear(result);
    }
    if (PQstatus(on) != CONNECTION_OK) return answer::lost;
    return refused ? answer::refused : answer::done;
}

}  // namespace crossfade::chaos
