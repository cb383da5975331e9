#pragma once

#include "lib/handover/coordinator.hpp"

// For the coordinator's own sources.
namespace crossfade::handover {

// Of whatever has no shorter one: somebody's lock on a sequence, say, is not to keep writes held.
inline constexpr const char* lock_timeout_sql = "SET lock_timeout = '1s'";

// Beyond hold_max, for which proxies go on holding when nothing comes of it any more; and what is left of it when
// whoever makes the flip has to be done with it, so that sessions are still held when somebody else undoes it.
inline constexpr std::chrono::seconds hold_grace{5};
inline constexpr std::chrono::seconds undone_before{2};

inline std::string name(settings::side of) {
    return std::string{to_string(of)};
}
inline std::string text_of(std::chrono::milliseconds time) {
    return std::to_string(time.count()) + " ms";
}
// As PostgreSQL reads it.
inline std::string interval(std::chrono::milliseconds time) {
    return std::to_string(time.count()) + " milliseconds";
}

struct coordinator::place {
    settings::side which;
    std::string stream;  // whose changes come from here
    pgclient::connection db;
    bool claimed = false;
    // What learn() found.
    std::vector<store::fenced_table> tables{};
    bool may_hurry = false;  // may set deadlock_timeout
};

struct coordinator::attempt {
    const order& what;
    settings::side from;
    std::int64_t epoch = 0;
    std::int64_t flip = 0;
    std::chrono::steady_clock::time_point began{};
    std::chrono::steady_clock::time_point deadline{};
    model::lsn fenced_at{};
    std::int64_t letters = 0;      // dead letters of the new side that are known of
    std::vector<sequence> onto{};  // as they were on the new side before anything was held
};

}  // namespace crossfade::handover
