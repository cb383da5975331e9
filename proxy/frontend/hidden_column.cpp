#include "proxy/frontend/hidden_column.hpp"

#include <charconv>

#include "lib/pgwire/bytes.hpp"
#include "lib/pgwire/message_types.hpp"

namespace crossfade::proxy::frontend {
namespace {

namespace backend = pgwire::backend;

constexpr std::uint32_t null_value = 0xffffffff;

}  // namespace

std::optional<std::string> rebound(std::string_view body, const std::string& statement) {
    pgwire::byte_reader in{body};
    const auto portal = in.cstring();
    in.cstring();
    const auto values = in.rest();
    for (auto formats = in.u16(); formats > 0; --formats) in.u16();
    for (auto left = in.u16(); left > 0 && !in.failed(); --left) {
        if (const auto size = in.u32(); size != null_value) in.bytes(size);
    }
    const auto results_at = values.size() - in.rest().size();
    const auto results = in.u16();
    const auto formats = in.bytes(std::size_t{2} * results);
    if (!in.finished()) return std::nullopt;
    std::string made;
    pgwire::put_cstring(made, portal);
    pgwire::put_cstring(made, statement);
    made.append(values.substr(0, results_at));
    // None is text for all, and one is for all.
    pgwire::put_u16(made, results > 1 ? static_cast<std::uint16_t>(results + 1) : results);
    if (results > 1) pgwire::put_u16(made, 0);
    made.append(formats);
    return pgwire::framed(pgwire::frontend::bind, made);
}

std::string without_first(std::string_view body, bool in_query) {
    pgwire::byte_reader in{body};
    const auto columns = in.u16();
    in.cstring();
    in.bytes(18);
    if (columns <= 1 || in.failed()) return in_query ? std::string{} : pgwire::framed(backend::no_data, {});
    std::string made;
    pgwire::put_u16(made, static_cast<std::uint16_t>(columns - 1));
    made.append(in.rest());
    return pgwire::framed(backend::row_description, made);
}

std::string moved_back(std::string_view body, std::uint32_t behind, std::uint32_t by) {
    std::string made;
    pgwire::byte_reader in{body};
    while (const auto field = static_cast<char>(in.u8())) {
        const auto value = in.cstring();
        if (in.failed()) return pgwire::framed(backend::error_response, body);
        made.push_back(field);
        std::uint32_t at = 0;
        const bool place =
            field == 'P' && std::from_chars(value.data(), value.data() + value.size(), at).ec == std::errc{};
        pgwire::put_cstring(made, place && at > behind + by ? std::to_string(at - by) : std::string{value});
    }
    made.push_back('\0');
    return pgwire::framed(backend::error_response, made);
}

}  // namespace crossfade::proxy::frontend
