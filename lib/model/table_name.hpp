#pragma once

#include <compare>
#include <functional>
#include <string>
#include <string_view>

namespace crossfade::model {

// A table as the catalog spells it: unquoted, case kept.
struct table_name {
    std::string schema;
    std::string name;

    friend auto operator<=>(const table_name&, const table_name&) = default;
};

// "public.orders": for configuration, logs and metrics. Not for SQL.
inline std::string to_string(const table_name& table) {
    return table.schema + '.' + table.name;
}

// An identifier or a qualified name in SQL, always quoted.
std::string quote_identifier(std::string_view name);
inline std::string quoted(const table_name& table) {
    return quote_identifier(table.schema) + '.' + quote_identifier(table.name);
}

// Whether `pattern` ("public.orders", "public.*", "*.*") names the table. A star stands for any run of characters.
bool matches(std::string_view pattern, const table_name& table);

}  // namespace crossfade::model

template <>
struct std::hash<crossfade::model::table_name> {
    std::size_t operator()(const crossfade::model::table_name& table) const noexcept {
        return std::hash<std::string>{}(table.schema) * 31 + std::hash<std::string>{}(table.name);
    }
};
