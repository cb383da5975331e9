#include <algorithm>
#include <set>

#include "ctl/check/judge.hpp"
#include "ctl/check/listing.hpp"
#include "ctl/output/table.hpp"

namespace crossfade::ctl::check {

namespace {

struct differences {
    std::vector<std::string> broken;  // rows cannot be applied
    std::vector<std::string> odd;     // they may
};

const catalog::column* find(const catalog::table& in, const std::string& name) {
    const auto at = std::ranges::find_if(in.columns, [&](const auto& each) { return each.name == name; });
    return at == in.columns.end() ? nullptr : &*at;
}

void compare_columns(const catalog::table& legacy, const catalog::table& modern, differences& into) {
    const std::string prefix = to_string(legacy.name) + '.';
    for (const auto& column : legacy.columns) {
        const std::string name = prefix + column.name;
        const auto* other = find(modern, column.name);
        if (other == nullptr) {
            (column.generated ? into.odd : into.broken).push_back(name + " is missing on modern");
            continue;
        }
        if (other->generated && !column.generated) into.broken.push_back(name + " is generated on modern alone");
        if (!other->generated && column.generated)
            into.odd.push_back(name + " is generated on legacy alone: its values are not carried");
        if (other->type != column.type)
            into.odd.push_back(name + " is " + column.type + " on legacy, " + other->type + " on modern");
        if (other->not_null && !column.not_null) into.odd.push_back(name + " is NOT NULL on modern alone");
    }
    for (const auto& column : modern.columns)
        if (find(legacy, column.name) == nullptr && column.not_null && !column.filled)
            into.broken.push_back(prefix + column.name + " is on modern alone, NOT NULL and without a default");
}

}  // namespace

void judge_schema(const catalog::database& legacy, const catalog::database& modern, findings& into) {
    std::vector<std::string> missing;
    std::vector<std::string> keys;
    std::vector<std::string> guarded;
    differences columns;
    for (const auto& table : legacy.tables) {
        const auto* other = modern.find(table.name);
        if (other == nullptr) {
            missing.push_back(to_string(table.name));
            continue;
        }
        compare_columns(table, *other, columns);
        const auto here = legacy.rights.find(to_string(table.name));
        const auto there = modern.rights.find(to_string(table.name));
        if (here != legacy.rights.end() && there != modern.rights.end() && here->second != there->second)
            guarded.push_back(to_string(table.name));
        if (table.key != other->key)
            keys.push_back(to_string(table.name) + " (legacy: " + output::joined(table.key) +
                           "; modern: " + output::joined(other->key) + ")");
    }
    if (!missing.empty()) {
        into.fail("schema.tables", "missing on modern: " + listing(missing),
                  "pg_dump --schema-only on legacy, psql on modern; or leave them out of stream.tables");
    } else {
        into.ok("schema.tables", "all on both sides");
    }
    if (!columns.broken.empty()) {
        into.fail("schema.columns", listing(columns.broken), "ALTER TABLE on modern until the columns match");
    } else if (!columns.odd.empty()) {
        into.warn("schema.columns", listing(columns.odd),
                  "make sure that every legacy value fits; rows that do not become dead letters");
    } else {
        into.ok("schema.columns", "equal");
    }
    if (!keys.empty()) {
        into.fail("schema.keys", "primary keys differ: " + listing(keys),
                  "ALTER TABLE ... ADD PRIMARY KEY (...); on modern, with legacy's columns");
    } else {
        into.ok("schema.keys", "equal");
    }
    if (!guarded.empty()) {
        into.warn(
            "schema.rights", "not the same roles may read the same rows of " + listing(guarded),
            "GRANT and REVOKE SELECT, ENABLE ROW LEVEL SECURITY and CREATE POLICY on modern as on legacy; until then "
            "hybrid_read_strategy reads these tables on legacy");
    } else {
        into.ok("schema.rights", "to read: equal");
    }
}

}  // namespace crossfade::ctl::check
