#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "lib/pgwire/startup.hpp"

namespace crossfade::pgwire {

// What the server says of the session itself: authentication, keys, parameters, notifications, readiness. Parsers take
// a body without type and length, and give nothing when it isn't well-formed.

enum class transaction_status : char { idle = 'I', in_transaction = 'T', failed = 'E' };
std::optional<transaction_status> parse_ready_for_query(std::string_view body);
std::string build_ready_for_query(transaction_status status);

struct backend_key_data {
    std::uint32_t pid = 0;
    std::string secret_key;  // 4 bytes; up to 256 with protocol 3.2
};
inline constexpr std::uint32_t max_backend_key_data = 4 + 256;
std::optional<backend_key_data> parse_backend_key_data(std::string_view body);
std::string build_backend_key_data(const backend_key_data& key);

struct parameter_status {
    std::string_view name;
    std::string_view value;
};
std::optional<parameter_status> parse_parameter_status(std::string_view body);
std::string build_parameter_status(std::string_view name, std::string_view value);

// Authentication's sub-code, by the names of its messages.
enum class authentication : std::uint32_t {
    ok = 0,
    kerberos_v5 = 2,
    cleartext_password = 3,
    md5_password = 5,
    gss = 7,
    gss_continue = 8,
    sspi = 9,
    sasl = 10,
    sasl_continue = 11,
    sasl_final = 12,
};
std::optional<authentication> parse_authentication(std::string_view body);
std::string build_authentication(authentication code, std::string_view data = {});

struct notification_response {
    std::uint32_t pid = 0;
    std::string_view channel;
    std::string_view payload;
};
std::optional<notification_response> parse_notification_response(std::string_view body);

// What a server answers that knows an older minor version, or doesn't know all "_pq_." options. The specification says
// "newest minor version"; what servers send, and libpq 18 insists on, is the whole version.
struct negotiate_protocol_version {
    protocol_version newest;
    std::vector<std::string> unrecognised_options;
};
std::optional<negotiate_protocol_version> parse_negotiate_protocol_version(std::string_view body);
std::string build_negotiate_protocol_version(const negotiate_protocol_version& said);

// 3.2 is 3.0 with cancel keys of up to 256 bytes in BackendKeyData and CancelRequest; one of 4 is right there too.
inline constexpr protocol_version newest_version{3, 2};

// For who has to answer a client before a server can: takes out of the opening what goes beyond newest_version, all
// "_pq_." options included, and gives the NegotiateProtocolVersion that says so, which goes in front of anything else.
// Empty when there is nothing of that kind.
std::string settle_version(startup_message& opening);

}  // namespace crossfade::pgwire
