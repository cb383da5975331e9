#pragma once

#include <boost/system/result.hpp>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

namespace crossfade::pgwire {

// What a client may send before anything else: a length (u32, counting itself), a code (u32), and a body. No type byte.

struct protocol_version {
    std::uint16_t major = 3;
    std::uint16_t minor = 0;

    friend auto operator<=>(const protocol_version&, const protocol_version&) = default;
};

struct startup_message {
    protocol_version version;
    // In the client's order, "_pq_." options included, and repeated names as they came: the server takes the last.
    std::vector<std::pair<std::string, std::string>> parameters;

    // The last one of that name; empty when there is none.
    std::string_view parameter(std::string_view name) const;
    // The database asked for: the parameter, or the user's name when there is none.
    std::string_view database() const;
};

struct ssl_request {};
struct gssenc_request {};

struct cancel_request {
    std::uint32_t pid = 0;
    std::string secret_key;  // 4 bytes; up to 256 with protocol 3.2
};

using startup_packet = std::variant<startup_message, ssl_request, gssenc_request, cancel_request>;

// PostgreSQL's MAX_STARTUP_PACKET_LENGTH, without the length word.
inline constexpr std::size_t max_startup_body = 10000;

enum class startup_fault {
    too_long,        // longer than max_startup_body
    too_short,       // no room for the code
    malformed,       // parameters without end, no user, a request with a body it can't have
    unknown_version  // neither a request nor protocol 3
};
std::string_view to_string(startup_fault fault);
[[noreturn]] void throw_exception_from_error(startup_fault fault, const boost::source_location& where);

// What is known of a start-up packet from the bytes so far.
struct startup_progress {
    std::size_t needed = 4;  // the whole packet's bytes, once the length is known; 4 before
    bool complete = false;   // `needed` bytes are there
};
boost::system::result<startup_progress, startup_fault> startup_extent(std::string_view bytes);

// `packet`: exactly startup_extent().needed bytes.
boost::system::result<startup_packet, startup_fault> parse_startup(std::string_view packet);

std::string build(const startup_message& message);
std::string build(const cancel_request& request);
std::string build(ssl_request request);
std::string build(gssenc_request request);

}  // namespace crossfade::pgwire
