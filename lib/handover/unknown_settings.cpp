#include "lib/handover/unknown_settings.hpp"

#include "lib/handover/coordinator.hpp"
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
constexpr std::string_view insufficient_privilege = "42501";  // on the schema, for us: who connects may have it

// Without a schema's name: in any, as sessions have other search paths than this one.
bool has_text_search(pgclient::connection& on, const std::string& name) {
    return gates::ask(on, "looking for text search configurations",
                      "SELECT EXISTS (SELECT FROM pg_ts_config WHERE $1::text IN (cfgname, quote_ident(cfgname)))",
                      {name})
        .boolean(0, 0);
}

bool takes(pgclient::connection& on, const unknown_setting& one) {
    if (one.name == "default_text_search_config" && one.value.find('.') == std::string::npos)
        return has_text_search(on, one.value);
    const auto tried = on.exec("SELECT set_config($1, $2, true)", {one.name, one.value});
    if (tried || tried.error().sqlstate == insufficient_privilege) return true;
    if (tried.error().sqlstate == invalid_parameter_value) return false;
    throw trouble("trying what the other side says to every session: " + pgclient::to_string(tried.error()));
}

}  // namespace

std::vector<unknown_setting> unknown_settings(pgclient::connection& from, pgclient::connection& to) {
    const auto told = gates::ask(from, "looking for what it says to every session", told_sql);
    std::vector<unknown_setting> unknown;
    for (int i = 0; i < told.size(); ++i) {
        unknown_setting one{std::string{told.text(i, 0)}, std::string{told.text(i, 1)}, told.boolean(i, 2)};
        if (!takes(to, one)) unknown.push_back(std::move(one));
    }
    return unknown;
}

std::vector<std::string> texts_of(const std::vector<unknown_setting>& all) {
    std::vector<std::string> texts;
    for (const auto& each : all) texts.push_back(each.name + ' ' + each.value);
    return texts;
}

}  // namespace crossfade::handover
