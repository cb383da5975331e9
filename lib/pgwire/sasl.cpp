#include "lib/pgwire/sasl.hpp"

#include "lib/pgwire/bytes.hpp"
#include "lib/pgwire/session_status.hpp"

namespace crossfade::pgwire {

std::optional<std::vector<std::string_view>> parse_sasl_mechanisms(std::string_view authentication_body) {
    byte_reader from{authentication_body};
    if (from.u32() != static_cast<std::uint32_t>(authentication::sasl)) return std::nullopt;
    std::vector<std::string_view> mechanisms;
    for (auto name = from.cstring(); !name.empty(); name = from.cstring()) mechanisms.push_back(name);
    if (!from.finished()) return std::nullopt;
    return mechanisms;
}

std::string build_sasl_mechanisms(const std::vector<std::string_view>& mechanisms) {
    std::string list;
    for (const auto name : mechanisms) put_cstring(list, name);
    list.push_back('\0');
    return build_authentication(authentication::sasl, list);
}

std::optional<sasl_initial_response> parse_sasl_initial_response(std::string_view body) {
    constexpr std::uint32_t no_data = 0xffffffff;
    byte_reader from{body};
    sasl_initial_response read;
    read.mechanism = from.cstring();
    const auto length = from.u32();
    if (length != no_data) read.data = from.bytes(length);
    if (!from.finished()) return std::nullopt;
    return read;
}

}  // namespace crossfade::pgwire
