#pragma once

#include <chrono>
#include <cstdint>
#include <string>
#include <vector>

#include "ctl/context.hpp"
#include "ctl/exit_code.hpp"

namespace crossfade::ctl::deadletters {

struct choice {
    std::vector<std::int64_t> ids;
    std::string table;  // pattern; empty: any
    bool all = false;
};

// `crossfade deadletters list`: the oldest first, without values.
exit_code list(const context& in, const std::string& table, int limit);

// `crossfade deadletters show`: what one holds; its row's values only where `values` says so.
exit_code show(const context& in, std::int64_t id, bool values);

// `crossfade deadletters replay` and `discard`: asked of crossfade-cdc, which does it in the stream's order; waits for
// it up to `wait`. exit_code::no when something still waits or was refused again.
enum class order { replay, discard };
exit_code carry_out(const context& in, order what, const choice& which, std::chrono::seconds wait);

}  // namespace crossfade::ctl::deadletters
