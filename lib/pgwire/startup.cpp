#include "lib/pgwire/startup.hpp"

#include <boost/throw_exception.hpp>
#include <stdexcept>

#include "lib/pgwire/bytes.hpp"

namespace crossfade::pgwire {
namespace {

constexpr std::uint32_t request_code(std::uint16_t low) {
    return 1234U << 16 | low;
}
constexpr std::uint32_t cancel_code = request_code(5678);
constexpr std::uint32_t ssl_code = request_code(5679);
constexpr std::uint32_t gssenc_code = request_code(5680);
constexpr std::size_t max_secret_key = 256;

boost::system::result<startup_packet, startup_fault> parse_parameters(protocol_version version, byte_reader body) {
    startup_message message{.version = version, .parameters = {}};
    for (;;) {
        const auto name = body.cstring();
        if (body.failed()) return startup_fault::malformed;
        if (name.empty()) break;
        message.parameters.emplace_back(name, body.cstring());
        if (body.failed()) return startup_fault::malformed;
    }
    if (!body.rest().empty() || message.parameter("user").empty()) return startup_fault::malformed;
    return message;
}

std::string with_length(std::string_view body) {
    std::string packet;
    put_u32(packet, static_cast<std::uint32_t>(body.size() + 4));
    packet.append(body);
    return packet;
}

std::string bare_request(std::uint32_t code) {
    std::string body;
    put_u32(body, code);
    return with_length(body);
}

}  // namespace

std::string_view startup_message::parameter(std::string_view name) const {
    for (auto at = parameters.rbegin(); at != parameters.rend(); ++at)
        if (at->first == name) return at->second;
    return {};
}

std::string_view startup_message::database() const {
    const auto named = parameter("database");
    return named.empty() ? parameter("user") : named;
}

std::string_view to_string(startup_fault fault) {
    switch (fault) {
        case startup_fault::too_long:
            return "start-up packet is too long";
        case startup_fault::too_short:
            return "start-up packet is too short";
        case startup_fault::malformed:
            return "start-up packet is malformed";
        case startup_fault::unknown_version:
            return "unsupported frontend protocol";
    }
    return "start-up packet is invalid";
}

void throw_exception_from_error(startup_fault fault, const boost::source_location& where) {
    boost::throw_exception(std::runtime_error(std::string{to_string(fault)}), where);
}

boost::system::result<startup_progress, startup_fault> startup_extent(std::string_view bytes) {
    if (bytes.size() < 4) return startup_progress{};
    const auto length = byte_reader{bytes}.u32();
    if (length < 8) return startup_fault::too_short;
    if (length - 4 > max_startup_body) return startup_fault::too_long;
    return startup_progress{.needed = length, .complete = bytes.size() >= length};
}

boost::system::result<startup_packet, startup_fault> parse_startup(std::string_view packet) {
    byte_reader body{packet};
    body.u32();
    const auto code = body.u32();
    if (body.failed()) return startup_fault::too_short;
    switch (code) {
        case ssl_code:
            if (!body.finished()) return startup_fault::malformed;
            return ssl_request{};
        case gssenc_code:
            if (!body.finished()) return startup_fault::malformed;
            return gssenc_request{};
        case cancel_code: {
            const auto pid = body.u32();
            const auto key = body.rest();
            if (body.failed() || key.empty() || key.size() > max_secret_key) return startup_fault::malformed;
            return cancel_request{pid, std::string{key}};
        }
        default:
            break;
    }
    const protocol_version version{static_cast<std::uint16_t>(code >> 16), static_cast<std::uint16_t>(code)};
    if (version.major != 3) return startup_fault::unknown_version;
    return parse_parameters(version, body);
}

std::string build(const startup_message& message) {
    std::string body;
    put_u16(body, message.version.major);
    put_u16(body, message.version.minor);
    for (const auto& [name, value] : message.parameters) {
        put_cstring(body, name);
        put_cstring(body, value);
    }
    body.push_back('\0');
    return with_length(body);
}

std::string build(const cancel_request& request) {
    std::string body;
    put_u32(body, cancel_code);
    put_u32(body, request.pid);
    body.append(request.secret_key);
    return with_length(body);
}

std::string build(ssl_request) {
    return bare_request(ssl_code);
}
std::string build(gssenc_request) {
    return bare_request(gssenc_code);
}

}  // namespace crossfade::pgwire
