#include "lib/pgwire/session_status.hpp"

#include <algorithm>

#include "lib/pgwire/bytes.hpp"
#include "lib/pgwire/message_types.hpp"

namespace crossfade::pgwire {

std::optional<transaction_status> parse_ready_for_query(std::string_view body) {
    if (body == "I" || body == "T" || body == "E") return static_cast<transaction_status>(body.front());
    return std::nullopt;
}

std::string build_ready_for_query(transaction_status status) {
    return framed(backend::ready_for_query, std::string(1, static_cast<char>(status)));
}

std::optional<backend_key_data> parse_backend_key_data(std::string_view body) {
    byte_reader reader{body};
    const auto pid = reader.u32();
    if (reader.failed() || reader.rest().empty() || body.size() > max_backend_key_data) return std::nullopt;
    return backend_key_data{pid, std::string{reader.rest()}};
}

std::string build_backend_key_data(const backend_key_data& key) {
    std::string body;
    put_u32(body, key.pid);
    body.append(key.secret_key);
    return framed(backend::backend_key_data, body);
}

std::optional<parameter_status> parse_parameter_status(std::string_view body) {
    byte_reader reader{body};
    const parameter_status parsed{.name = reader.cstring(), .value = reader.cstring()};
    if (!reader.finished()) return std::nullopt;
    return parsed;
}

std::string build_parameter_status(std::string_view name, std::string_view value) {
    std::string body;
    put_cstring(body, name);
    put_cstring(body, value);
    return framed(backend::parameter_status, body);
}

std::optional<authentication> parse_authentication(std::string_view body) {
    byte_reader reader{body};
    const auto code = reader.u32();
    if (reader.failed()) return std::nullopt;
    return static_cast<authentication>(code);
}

std::string build_authentication(authentication code, std::string_view data) {
    std::string body;
    put_u32(body, static_cast<std::uint32_t>(code));
    body.append(data);
    return framed(backend::authentication, body);
}

std::optional<notification_response> parse_notification_response(std::string_view body) {
    byte_reader reader{body};
    const notification_response parsed{.pid = reader.u32(), .channel = reader.cstring(), .payload = reader.cstring()};
    if (!reader.finished()) return std::nullopt;
    return parsed;
}

std::optional<negotiate_protocol_version> parse_negotiate_protocol_version(std::string_view body) {
    byte_reader reader{body};
    negotiate_protocol_version parsed;
    parsed.newest.major = reader.u16();
    parsed.newest.minor = reader.u16();
    for (auto options = reader.u32(); options > 0 && !reader.failed(); --options)
        parsed.unrecognised_options.emplace_back(reader.cstring());
    if (!reader.finished()) return std::nullopt;
    return parsed;
}

std::string build_negotiate_protocol_version(const negotiate_protocol_version& said) {
    std::string body;
    put_u16(body, said.newest.major);
    put_u16(body, said.newest.minor);
    put_u32(body, static_cast<std::uint32_t>(said.unrecognised_options.size()));
    for (const auto& option : said.unrecognised_options) put_cstring(body, option);
    return framed(backend::negotiate_protocol_version, body);
}

std::string settle_version(startup_message& opening) {
    negotiate_protocol_version said{std::min(opening.version, newest_version), {}};
    std::erase_if(opening.parameters, [&](const auto& parameter) {
        if (!parameter.first.starts_with("_pq_.")) return false;
        said.unrecognised_options.push_back(parameter.first);
        return true;
    });
    if (said.newest == opening.version && said.unrecognised_options.empty()) return {};
    opening.version = said.newest;
    return build_negotiate_protocol_version(said);
}

}  // namespace crossfade::pgwire
