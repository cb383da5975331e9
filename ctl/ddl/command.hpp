#pragma once

#include <chrono>
#include <cstdint>
#include <string>

#include "ctl/context.hpp"
#include "ctl/exit_code.hpp"

namespace crossfade::ctl::ddl {

struct listing {
    std::string table;    // pattern; empty: any
    bool paused = false;  // those alone for which a table waits
    int limit = 100;
};

// `crossfade ddl list`: the newest first, without their texts. exit_code::no when `paused` finds one.
exit_code list(const context& in, const listing& which);

// `crossfade ddl show`: one of them, with its text.
exit_code show(const context& in, std::int64_t id);

// `crossfade ddl resume` and `skip`: the tables that wait for it go on. `resume` looks first whether modern's tables
// have the columns of legacy's. Waits for crossfade-cdc up to `wait`; exit_code::no when it has not done so.
enum class release { resume, skip };
exit_code let_go(const context& in, release how, std::int64_t id, std::chrono::seconds wait);

}  // namespace crossfade::ctl::ddl
