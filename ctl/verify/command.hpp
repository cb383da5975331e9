#pragma once

#include <chrono>
#include <cstddef>
#include <optional>
#include <string>
#include <vector>

#include "ctl/context.hpp"
#include "ctl/exit_code.hpp"

namespace crossfade::ctl::verify {

struct options {
    std::vector<std::string> tables;           // patterns; empty: all of the stream's
    std::optional<std::chrono::seconds> wait;  // for each stream to reach its source's position at the call
    std::size_t limit = 20;                    // differing rows listed for each table
};

// `crossfade verify`: every row of every table, on both sides. no: something differs, or the wait was too long.
// Each side is read in one snapshot, but the two are not of the same instant: what is still in the stream differs.
// Tables that were truncated or rewritten meanwhile are compared again, in later ones.
exit_code run(const context& in, const options& with);

}  // namespace crossfade::ctl::verify
