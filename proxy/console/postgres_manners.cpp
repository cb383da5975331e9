#include "proxy/console/postgres_manners.hpp"

#include <algorithm>
#include <array>

#include "lib/pgwire/ascii.hpp"

namespace crossfade::proxy::console {
namespace {

// Settings beyond the reported ones, as a new session of PostgreSQL 15 has them.
struct fixed {
    std::string_view name;
    std::string_view value;
};
constexpr std::array others{
    fixed{"default_transaction_isolation", "read committed"},
    fixed{"default_transaction_read_only", "off"},
    fixed{"extra_float_digits", "1"},
    fixed{"lc_collate", "C"},
    fixed{"max_identifier_length", "63"},
    fixed{"search_path", "\"$user\", public"},
    fixed{"server_version_num", "150000"},
    fixed{"statement_timeout", "0"},
    fixed{"transaction_isolation", "read committed"},
    fixed{"transaction_read_only", "off"},
};

type type_of(known_value what) {
    switch (what) {
        case known_value::number:
        case known_value::pid:
            return type::int8;
        case known_value::in_recovery:
            return type::boolean;
        case known_value::text:
        case known_value::version:
        case known_value::database:
        case known_value::schema:
        case known_value::user:
        case known_value::nothing:
            break;
    }
    return type::text;
}

value value_of(const selected& one, const party& of) {
    switch (one.what) {
        case known_value::number:
            return std::int64_t{std::stol(one.literal)};  // nine digits at most, says the parser
        case known_value::text:
            return one.literal;
        case known_value::version:
            return "PostgreSQL " + server_version(of);
        case known_value::database:
            return of.database;
        case known_value::schema:
            return std::string{"public"};
        case known_value::user:
            return of.user;
        case known_value::pid:
            return std::int64_t{of.pid};
        case known_value::in_recovery:
            return false;
        case known_value::nothing:
            break;
    }
    return std::string{};
}

}  // namespace

std::string server_version(const party& of) {
    return "15.0 (Crossfade " + of.version + ")";
}

std::vector<std::pair<std::string_view, std::string>> reported_parameters(const party& of) {
    return {{"application_name", of.application_name},
            {"client_encoding", "UTF8"},
            {"DateStyle", "ISO, MDY"},
            {"default_transaction_read_only", "off"},
            {"in_hot_standby", "off"},
            {"integer_datetimes", "on"},
            {"IntervalStyle", "postgres"},
            {"is_superuser", "off"},
            {"server_encoding", "UTF8"},
            {"server_version", server_version(of)},
            {"session_authorization", of.user},
            {"standard_conforming_strings", "on"},
            {"TimeZone", "UTC"}};
}

std::optional<std::string> parameter_value(std::string_view name, const party& of) {
    for (const auto& [reported, said] : reported_parameters(of))
        if (pgwire::lower_case(reported) == name) return said;
    for (const auto& each : others)
        if (each.name == name) return std::string{each.value};
    return std::nullopt;
}

std::vector<column> columns_of(const commands::select& what) {
    std::vector<column> columns;
    for (const auto& each : what.values) columns.push_back({each.column, type_of(each.what)});
    return columns;
}

row answer_to(const commands::select& what, const party& of) {
    row made;
    for (const auto& each : what.values) made.push_back(value_of(each, of));
    return made;
}

}  // namespace crossfade::proxy::console
