#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace crossfade::pgwire {

// ErrorResponse and NoticeResponse: fields of one byte's code and a string (protocol-error-fields.html).
struct diagnostics {
    std::vector<std::pair<char, std::string>> fields;

    std::string_view field(char code) const;  // empty when absent
    std::string_view severity() const { return field('V').empty() ? field('S') : field('V'); }
    std::string_view sqlstate() const { return field('C'); }
    std::string_view message() const { return field('M'); }
};

// `body`: without type and length. Nothing when it breaks off.
std::optional<diagnostics> parse_diagnostics(std::string_view body);

// Its SQLSTATE; "?????" where there is none.
std::string sqlstate_of(std::string_view body);

// SQLSTATEs that the proxy itself answers with, by the names of errcodes-appendix.html.
namespace sqlstate {
inline constexpr std::string_view connection_failure = "08006";
inline constexpr std::string_view protocol_violation = "08P01";
inline constexpr std::string_view invalid_authorization = "28000";
inline constexpr std::string_view idle_in_transaction_timeout = "25P03";
inline constexpr std::string_view query_canceled = "57014";
inline constexpr std::string_view idle_session_timeout = "57P05";
inline constexpr std::string_view feature_not_supported = "0A000";
inline constexpr std::string_view invalid_authorization_specification = "28000";
inline constexpr std::string_view invalid_password = "28P01";
inline constexpr std::string_view too_many_connections = "53300";
inline constexpr std::string_view program_limit_exceeded = "54000";
inline constexpr std::string_view out_of_memory = "53200";
inline constexpr std::string_view admin_shutdown = "57P01";
inline constexpr std::string_view cannot_connect_now = "57P03";
}  // namespace sqlstate

// A whole ErrorResponse after which the sender closes.
std::string build_fatal(std::string_view sqlstate, std::string_view message, std::string_view hint = {});
std::string build_error_response(const diagnostics& what);
std::string build_notice_response(const diagnostics& what);

}  // namespace crossfade::pgwire
