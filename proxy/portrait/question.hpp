#pragma once

#include <cstddef>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <variant>

#include "proxy/portrait/portrait.hpp"

// How a database is asked what a session holds (docs/adr/0009): one round trip of the extended protocol, in a
// transaction of its own, at a place where the session is in none. It works whatever search_path, timeouts and encoding
// the session has, and leaves the session as it was, the unnamed statement included.
namespace crossfade::proxy::portrait {

struct question {
    // The application's settings to look for, in lower case. Others are found if ALTER ROLE or ALTER DATABASE has them.
    std::set<std::string> own_settings;
    bool about_unnamed = true;  // false: there is none; the server would log an error
    bool about_functions = false;
};
// The messages, for a session of PostgreSQL 15 to 18.
std::string build(const question& asked);

// Why there is no portrait.
struct refused {
    std::string sqlstate;  // what the database said; never more than five letters
    std::string cleanup;   // messages to be sent first, if any, up to whose ReadyForQuery is to be read
};
struct misbehaved {};  // the database doesn't answer as PostgreSQL does

// Reads the answer. Not what the other end says is bounded here but what is kept of it: `most_bytes` in all, beyond
// which the portrait is cut short.
class answer {
  public:
    explicit answer(const question& asked, std::size_t most_bytes = std::size_t{32} << 20)
        : about_unnamed_(asked.about_unnamed), room_(most_bytes) {}

    using outcome = std::variant<session_portrait, refused, misbehaved>;
    // The next message; what all of them said, once the last has come.
    std::optional<outcome> take(char type, std::string_view body);

  private:
    bool take_row(std::string_view body);
    void put(std::string_view kind, std::string name, std::string value, std::string_view more, std::string_view place);
    outcome result();

    bool about_unnamed_;
    std::size_t room_;
    session_portrait portrait_;
    unsigned parsed_ = 0;     // statements of ours that the session has now
    unsigned completed_ = 0;  // and that are through
    unsigned facts_ = 0;
    bool described_ = false;
    bool malformed_ = false;
    std::string error_;
};

// An expression that is another one when a function of the database's own is made, changed or gone: how many there are,
// and their OIDs and last transactions in sum.
inline constexpr std::string_view edition_sql =
    "(SELECT pg_catalog.concat_ws(' ', pg_catalog.count(*), pg_catalog.sum(CAST(f.oid AS pg_catalog.int8)), "
    "pg_catalog.sum(CAST(CAST(f.xmin AS pg_catalog.text) AS pg_catalog.int8))) FROM pg_catalog.pg_proc AS f "
    "WHERE f.oid OPERATOR(pg_catalog.>=) CAST(16384 AS pg_catalog.oid))";

// The longest text that the database is asked for.
inline constexpr std::size_t longest_text = std::size_t{1} << 20;
// The longest message that an answer has: a row of three texts, or a description.
inline constexpr std::size_t longest_message = std::size_t{4} << 20;

}  // namespace crossfade::proxy::portrait
