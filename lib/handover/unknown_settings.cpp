#include "lib/handover/unknown_settings.hpp"

#include "lib/handover/gates_parts.hpp"

namespace crossfade::handover {
namespace {

// Of what every session takes along (proxy/portrait/question.cpp), those whose values a host or a database has to know.
// Nobody needs a right to set them.
constexpr const char* told_sql =
    "WITH told AS (SELECT name, reset_val AS value FROM pg_settings UNION SELECT split_part(entry, '=', 1),"
    " substr(entry, strpos(entry, '=') + 1) FROM pg_db_role_setting AS r, unnest(r.setconfig) AS entry"
    " WHERE r.setdatabase IN (0, (SELECT oid FROM pg_database WHERE datname = current_database())))"
    " SELECT name, value, name LIKE 'lc\\_%' FROM told WHERE lower(name) IN ('lc_monetary', 'lc_numeric', 'lc_time',"
    " 'timezone', 'timezone_abbreviations', 'default_text_search_config') ORDER BY 1, 2";

constexpr std::string_view invalid_parameter_value = "22023";

}  // namespace

std::vector<unknown_setting> unknown_settings(pgclient::connection& from, pgclient::connection& to) {
    const auto told = gates::ask(from, "looking for what it says to every session", told_sql);
    std::vector<unknown_setting> unknown;
    for (int i = 0; i < told.size(); ++i) {
        unknown_setting one{std::string{told.text(i, 0)}, std::string{told.text(i, 1)}, told.boolean(i, 2)};
        const auto tried = to.exec("SELECT set_config($1, $2, true)", {one.name, one.value});
        if (!tried && tried.error().sqlstate != invalid_parameter_value)
            gates::ask(to, "trying what the other side says to every session", "SELECT set_config($1, $2, true)",
                       {one.name, one.value});
        if (!tried) unknown.push_back(std::move(one));
    }
    return unknown;
}

std::vector<std::string> texts_of(const std::vector<unknown_setting>& all) {
    std::vector<std::string> texts;
    for (const auto& each : all) texts.push_back(each.name + ' ' + each.value);
    return texts;
}

}  // namespace crossfade::handover
