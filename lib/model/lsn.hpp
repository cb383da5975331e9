#pragma once

#include <boost/system/result.hpp>
#include <compare>
#include <cstdint>
#include <string>
#include <string_view>

namespace crossfade::model {

// A place in a PostgreSQL cluster's WAL, in bytes. Neither an identity nor an order by itself: see position.
struct lsn {
    std::uint64_t value = 0;

    friend auto operator<=>(const lsn&, const lsn&) = default;
};

// As pg_lsn prints it: "16/B374D848".
std::string to_string(lsn at);
void append(std::string& text, lsn at);

// Takes what pg_lsn accepts: two hexadecimal numbers of 1 to 8 digits around a slash.
// Fails with errc::invalid_argument.
boost::system::result<lsn> parse_lsn(std::string_view text);

}  // namespace crossfade::model
