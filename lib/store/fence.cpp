#include "lib/store/fence.hpp"

#include <algorithm>
#include <boost/json/array.hpp>
#include <boost/json/parse.hpp>
#include <boost/json/serialize.hpp>
#include <set>

#include "lib/pgwire/array_literal.hpp"

namespace crossfade::store {
namespace {

// The argument of the row triggers. "" while they refuse nothing.
std::string text_of(const fence& of) {
    if (!of.divides()) return {};
    const boost::json::array all(of.tenants.begin(), of.tenants.end());
    return (of.closed ? '+' : '-') + boost::json::serialize(all);
}

fence by_rows(std::string_view argument) {
    fence made;
    if (argument.empty()) return made;
    made.closed = argument.front() == '+';
    boost::system::error_code failed;
    const auto read = boost::json::parse(argument.substr(1), failed);
    if (failed || !read.is_array()) return made;
    for (const auto& each : read.get_array())
        if (each.is_string()) made.tenants.emplace_back(each.get_string());
    return made;
}

std::string rows_trigger(const fenced_table& table, const fence& to, std::string_view column, std::string_view row) {
    const bool is_new = row == "NEW";
    std::string when{"false"};
    if (to.divides()) {
        pgwire::array_literal tenants;
        for (const auto& each : to.tenants) tenants.add(each);
        when = "(" + std::string{row} + '.' + model::quote_identifier(column) + "::text = ANY (" +
               pgclient::quote_literal(tenants.take()) + "::text[])) IS " + (to.closed ? "NOT TRUE" : "TRUE");
    }
    return "CREATE OR REPLACE TRIGGER crossfade_fence_" + std::string{is_new ? "new" : "old"} + " AFTER " +
           (is_new ? "INSERT OR UPDATE" : "UPDATE OR DELETE") + " ON " + table.name + " FOR EACH ROW WHEN (" + when +
           ") EXECUTE FUNCTION crossfade.fence(" + pgclient::quote_literal(text_of(to)) + ");";
}

constexpr std::string_view load_sql =
    "SELECT c.oid::text, c.oid::regclass::text, n.nspname, r.relname, t.relid <> r.oid, EXISTS (SELECT FROM"
    " pg_attribute a WHERE a.attrelid = c.oid AND a.attname = $2::name AND a.attnum > 0 AND NOT a.attisdropped),"
    " g.oid IS NOT NULL, coalesce(g.tgenabled <> 'D', false), coalesce(convert_from(substring(o.tgargs FROM 1 FOR"
    " octet_length(o.tgargs) - 1), current_setting('server_encoding')), '')"
    " FROM pg_publication p JOIN pg_publication_rel b ON b.prpubid = p.oid JOIN pg_class r ON r.oid = b.prrelid"
    " JOIN pg_namespace n ON n.oid = r.relnamespace CROSS JOIN LATERAL"
    " (SELECT r.oid AS relid UNION SELECT relid::oid FROM pg_partition_tree(r.oid)) t"
    " JOIN pg_class c ON c.oid = t.relid AND c.relkind IN ('r', 'p')"
    " LEFT JOIN pg_trigger g ON g.tgrelid = t.relid AND g.tgname = 'crossfade_fence' AND NOT g.tgisinternal"
    " LEFT JOIN pg_trigger o ON o.tgrelid = r.oid AND o.tgname = 'crossfade_fence_old' AND NOT o.tgisinternal"
    " WHERE p.pubname = $1::name AND r.oid IS DISTINCT FROM to_regclass('crossfade.sentinel') ORDER BY c.oid";

}  // namespace

fence fence_of(const settings::assignment& authorities, settings::side here, std::string_view group, bool by_tenant) {
    const auto base = authorities.of(group, {});
    fence made{base != here, {}};
    if (!by_tenant) return made;
    std::set<std::string> others;
    for (const auto& [scope, ignored] : authorities.apart)
        if (!scope.tenant.empty() && authorities.of(group, scope.tenant) != base) others.insert(scope.tenant);
    made.tenants.assign(others.begin(), others.end());
    return made;
}

fence fence_of(const settings::assignment& authorities, settings::side here, const settings::flag_set& groups,
               const fenced_table& table) {
    return fence_of(authorities, here, groups.group_of(table.stream), table.by_tenant);
}

pgclient::result<std::vector<fenced_table>> load_fences(pgclient::connection& db, const std::string& publication,
                                                        const std::string& tenant_column) {
    auto got = db.exec(std::string{load_sql}, {publication, tenant_column});
    if (!got) return got.error();
    std::vector<fenced_table> all;
    for (int i = 0; i < got->size(); ++i) {
        fenced_table one{.oid = std::string{got->text(i, 0)},
                         .name = std::string{got->text(i, 1)},
                         .stream = {std::string{got->text(i, 2)}, std::string{got->text(i, 3)}},
                         .is_part = got->boolean(i, 4),
                         .by_tenant = got->boolean(i, 5),
                         .prepared = got->boolean(i, 6),
                         .now = by_rows(got->text(i, 8))};
        if (!one.now.divides()) one.now.closed = got->boolean(i, 7);
        all.push_back(std::move(one));
    }
    return all;
}

std::string create_fence_sql(const fenced_table& table) {
    return "CREATE TRIGGER crossfade_fence BEFORE INSERT OR UPDATE OR DELETE OR TRUNCATE ON " + table.name +
           " FOR EACH STATEMENT EXECUTE FUNCTION crossfade.fence(); ALTER TABLE ONLY " + table.name +
           " DISABLE TRIGGER crossfade_fence;";
}

std::string set_fence_sql(const fenced_table& table, const fence& to, std::string_view tenant_column) {
    std::string sql;
    // A part's rows are looked at by triggers of the whole, which PostgreSQL gives to each part.
    if (!table.is_part && (to.divides() || table.now.divides())) {
        sql += rows_trigger(table, to, tenant_column, "NEW");
        sql += rows_trigger(table, to, tenant_column, "OLD");
    }
    if (to.divides() || table.now.divides()) {
        sql += "CREATE OR REPLACE TRIGGER crossfade_fence_truncate BEFORE TRUNCATE ON " + table.name +
               " FOR EACH STATEMENT EXECUTE FUNCTION crossfade.fence(); ALTER TABLE ONLY " + table.name +
               (to.divides() ? " ENABLE" : " DISABLE") + " TRIGGER crossfade_fence_truncate;";
    }
    return sql + "ALTER TABLE ONLY " + table.name + (to.closed && !to.divides() ? " ENABLE" : " DISABLE") +
           " TRIGGER crossfade_fence;";
}

}  // namespace crossfade::store
