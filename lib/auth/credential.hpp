#pragma once

#include <boost/system/result.hpp>
#include <chrono>
#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "lib/auth/scram_server.hpp"
#include "lib/auth/stored_secret.hpp"

namespace crossfade::auth {

using wall_time = std::chrono::sys_time<std::chrono::microseconds>;

// What is known of a user who may log in.
struct credential {
    std::optional<stored_secret> secret;     // none: no password is set
    std::optional<scram_verifier> verifier;  // to hold SCRAM against; none: no SCRAM for this user
    std::optional<wall_time> valid_until;

    friend bool operator==(const credential&, const credential&) = default;
};

enum class verdict {
    usable,
    unknown_user,
    no_password,
    expired,   // VALID UNTIL is over
    no_scram,  // an md5 hash is all there is
};
std::string_view to_string(verdict of);  // for the log; the client is told none of it

// `found`: null when nobody knows the user. As PostgreSQL, a password is valid up to VALID UNTIL and including it.
verdict judge(const credential* found, wall_time now);

// What the exchange with this user is held against: the verifier of a usable credential, or the mock's.
scram_subject subject_for(const credential* found, std::string_view user, wall_time now, const scram_mock& mock);

// The query that asks a database for a user, unless proxy.auth.query says another. $1 is the name. It runs on a
// connection that no client has a part in, with a fixed search_path (one from outside could bring in other functions
// and operators: CVE-2025-12819) and DateStyle ISO, as lib/pgclient's connections have them.
inline constexpr std::string_view default_credential_query =
    "SELECT rolname, rolpassword, rolvaliduntil FROM pg_catalog.pg_authid WHERE rolname = $1 AND rolcanlogin";

enum class credential_fault {
    several_rows,
    wrong_columns,    // not three: name, password or verifier, VALID UNTIL
    another_user,     // the name in the row isn't the one that was asked for
    unknown_secret,   // neither SCRAM-SHA-256 nor md5
    unreadable_time,  // VALID UNTIL is no timestamp in ISO form
};
std::string_view to_string(credential_fault fault);
[[noreturn]] void throw_exception_from_error(credential_fault fault, const boost::source_location& where);

// A query's answer, text format, null as nullopt. No row: nobody. A password in clear is not taken from a database:
// PostgreSQL stores none, so that it would be a verifier gone wrong.
using credential_row = std::vector<std::optional<std::string>>;
boost::system::result<std::optional<credential>, credential_fault> read_credential(std::span<const credential_row> rows,
                                                                                   std::string_view user);

// timestamptz with DateStyle ISO: "2027-01-31 10:00:00.5+01", "infinity", "-infinity", "0044-03-15 00:00:00+00 BC".
// What lies beyond the year 9999 never comes, what was before the year 1 is long over. Nothing for any other text.
std::optional<wall_time> parse_timestamp(std::string_view text);

}  // namespace crossfade::auth
