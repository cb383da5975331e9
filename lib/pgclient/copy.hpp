#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>

#include "lib/pgclient/connection.hpp"

namespace crossfade::pgclient {

// What became of a COPY from one database to another.
struct relayed {
    std::int64_t rows = 0;
    std::int64_t bytes = 0;
    std::string last_row = {};  // as it was sent
    // At most one of them, and then nothing above counts. Interrupted: a failure of the source, 57014.
    std::optional<failure> source;
    std::optional<failure> target;

    bool fine() const { return !source && !target; }
};

// Runs `out` (COPY ... TO STDOUT) on one connection and `in` (COPY ... FROM STDIN) on the other, in text format, and
// hands on row by row: one row is held in memory. `interrupted` is asked for each row, and ten times a second while the
// source sends none; a target that takes nothing is waited for. Afterwards both connections can be used again, the
// failed ones within a transaction that can only be rolled back.
relayed relay_copy(connection& from, const std::string& out, connection& to, const std::string& in,
                   const std::function<bool()>& interrupted);

}  // namespace crossfade::pgclient
