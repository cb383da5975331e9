#include "lib/pgwire/rows.hpp"

#include "lib/pgwire/bytes.hpp"
#include "lib/pgwire/message_types.hpp"

namespace crossfade::pgwire {
namespace {

constexpr std::uint32_t null_length = 0xFFFFFFFF;

}  // namespace

std::optional<column_values> parse_data_row(std::string_view body) {
    byte_reader reader{body};
    column_values columns;
    for (std::size_t left = reader.u16(); left > 0 && !reader.failed(); --left) {
        const auto length = reader.u32();
        if (length == null_length)
            columns.emplace_back();
        else
            columns.emplace_back(reader.bytes(length));
    }
    if (!reader.finished()) return std::nullopt;
    return columns;
}

std::string build_data_row(const std::vector<std::optional<std::string>>& columns) {
    std::string body;
    put_u16(body, static_cast<std::uint16_t>(columns.size()));
    for (const auto& column : columns) {
        put_u32(body, column ? static_cast<std::uint32_t>(column->size()) : null_length);
        if (column) body.append(*column);
    }
    return framed(backend::data_row, body);
}

}  // namespace crossfade::pgwire
