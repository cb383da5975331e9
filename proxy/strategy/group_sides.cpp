#include "proxy/strategy/group_sides.hpp"

#include <algorithm>

#include "lib/sql/builtins.hpp"

namespace crossfade::proxy::strategy {
namespace {

// Where a session looks first if nobody has said otherwise.
constexpr std::string_view usual_schema = "public";

std::string_view schema_of(std::string_view pattern) {
    return pattern.substr(0, pattern.find('.'));
}

bool names_one_table(std::string_view pattern) {
    return pattern.find('*') == std::string_view::npos;
}

}  // namespace

bool is_postgresqls(std::string_view schema, std::string_view table) {
    return schema == "pg_catalog" || schema == "information_schema" ||
           (schema.empty() && sql::is_of_the_catalogs(table));
}

bool is_divided(const settings::in_force& flags, const session_facts& session) {
    if (!session.moves) return false;
    const auto& scopes = flags.config.flags;
    const auto home = settings::authority(scopes.resolve({}, session.tenant));
    return std::ranges::any_of(scopes.groups(), [&](const auto& group) {
        return settings::authority(scopes.resolve(group.first, session.tenant)) != home;
    });
}

std::vector<std::string> schemas_named(const settings::configuration& config) {
    std::vector<std::string> all{std::string{usual_schema}};
    const auto note = [&](const std::vector<std::string>& patterns) {
        for (const auto& each : patterns)
            if (const auto schema = schema_of(each);
                names_one_table(schema) && std::ranges::find(all, schema) == all.end())
                all.emplace_back(schema);
    };
    for (const auto& group : config.flags.groups()) note(group.second.tables);
    note(config.stream.tables);
    return all;
}

group_sides::group_sides(settings::snapshot flags, const session_facts& session)
    : flags_(std::move(flags)),
      tenant_(session.tenant),
      home_(flags_->config.authority_of(session.tenant)),
      schemas_(schemas_named(flags_->config)) {}

group_sides::place group_sides::place_in(std::string_view group) const {
    return {settings::authority(flags_->config.flags.resolve(group, tenant_)), group};
}

std::optional<group_sides::place> group_sides::of(std::string_view schema, std::string_view table) const {
    if (is_postgresqls(schema, table)) return std::nullopt;
    if (schema.empty()) return without_schema(table);
    return place_in(flags_->config.flags.group_of({std::string{schema}, std::string{table}}));
}

// What search_path says isn't known. A pattern that names the table and nothing else is the best witness of its schema,
// then that the stream carries it at all, then what PostgreSQL does unasked.
group_sides::place group_sides::without_schema(std::string_view table) const {
    const auto& groups = flags_->config.flags.groups();
    for (const auto& [name, group] : groups)
        for (const auto& pattern : group.tables)
            if (names_one_table(pattern) && pattern.substr(pattern.find('.') + 1) == table) return place_in(name);
    const auto& captured = flags_->config.stream.tables;
    for (const auto& schema : schemas_) {
        const model::table_name full{schema, std::string{table}};
        if (std::ranges::any_of(captured, [&](const auto& pattern) { return model::matches(pattern, full); }))
            return place_in(flags_->config.flags.group_of(full));
    }
    return {home_, {}};
}

}  // namespace crossfade::proxy::strategy
