#pragma once

#include <compare>
#include <cstdint>
#include <string>

#include "lib/model/lsn.hpp"

namespace crossfade::model {

// Where an event stands in a stream: unique and totally ordered. An LSN alone is neither: BEGIN and the first row
// share one, the rows of a COPY share one, and another cluster or timeline has the same numbers again.
struct position {
    std::uint64_t system_identifier = 0;  // pg_control_system(); another one is another cluster
    std::uint32_t timeline = 0;
    lsn commit_lsn;             // of the commit record; of the message for what is outside a transaction
    std::uint64_t ordinal = 0;  // 1-based within the transaction; 0 outside one

    friend auto operator<=>(const position&, const position&) = default;
};

// "7301234567890123456/1/16/B374D848/3", for logs and message headers.
std::string to_string(const position& at);
void append(std::string& text, const position& at);

// The same within one history: where a reader of one partition of a stream is that is ordered by key.
struct place {
    lsn commit_lsn;
    std::uint64_t ordinal = 0;

    friend auto operator<=>(const place&, const place&) = default;
};
inline place place_of(const position& at) {
    return {at.commit_lsn, at.ordinal};
}
// "16/B374D848 (3)"
std::string to_string(const place& at);

}  // namespace crossfade::model
