#pragma once

#include <chrono>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "proxy/console/holds.hpp"

namespace crossfade::proxy::console {

// Types of columns, by PostgreSQL's OIDs (pg_type.dat).
enum class type : std::uint32_t { boolean = 16, int8 = 20, text = 25, float8 = 701, timestamptz = 1184 };

struct column {
    std::string_view name;
    type of = type::text;
};

// A cell; monostate is NULL. Otherwise of its column's type, in the order of `type`.
using value = std::variant<std::monostate, bool, std::int64_t, std::string, double, instant>;
using row = std::vector<value>;

enum class format : std::uint16_t { text = 0, binary = 1 };

// Appends a whole RowDescription; `formats`: none (all text), one for all, or one a column.
void put_row_description(std::string& to, std::span<const column> columns, std::span<const format> formats);
// Appends a whole DataRow.
void put_data_row(std::string& to, const row& cells, std::span<const format> formats);

// "2026-11-20 15:25:00.000001+00"
std::string to_string(instant at);

}  // namespace crossfade::proxy::console
