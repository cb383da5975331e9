#include "ctl/backfill/plan.hpp"

#include <algorithm>
#include <set>

namespace crossfade::ctl::backfill {

namespace {

// Types of the catalog itself have fixed OIDs, and a binary form that has not changed; those that hold OIDs of other
// objects (regclass and its kin) mean something else on another cluster, except by name.
constexpr std::uint32_t first_user_oid = 16384;

bool binary_is_safe(const catalog::column& legacy, const catalog::column& modern) {
    return legacy.type == modern.type && legacy.type_oid == modern.type_oid && legacy.type_oid < first_user_oid &&
           !legacy.type.starts_with("reg") && legacy.type != "oid" && legacy.type != "oid[]";
}

void plan_columns(const catalog::table& legacy, const catalog::table& modern, const std::string& follower, task& into,
                  std::vector<std::string>& problems) {
    bool binary = true;
    for (const auto& column : legacy.columns) {
        if (column.generated) continue;
        const auto other =
            std::ranges::find_if(modern.columns, [&](const auto& each) { return each.name == column.name; });
        const std::string name = to_string(legacy.name) + '.' + column.name;
        if (other == modern.columns.end()) {
            problems.push_back(name + " is missing on " + follower);
        } else if (other->generated) {
            problems.push_back(name + " is generated on " + follower + " alone");
        } else {
            binary = binary && binary_is_safe(column, *other);
            into.columns.push_back({column.name, column.type});
        }
    }
    into.format = binary ? copy_format::binary : copy_format::text;
}

void sort_by_foreign_keys(std::vector<task>& tasks, const std::vector<catalog::foreign_key>& keys,
                          std::vector<std::string>& problems) {
    std::set<model::table_name> waiting;
    for (const auto& each : tasks) waiting.insert(each.table);
    std::vector<task> sorted;
    while (!waiting.empty()) {
        const std::size_t before = sorted.size();
        for (const auto& each : tasks) {
            const bool blocked = std::ranges::any_of(keys, [&](const auto& key) {
                return key.from == each.table && key.to != each.table && waiting.contains(key.to);
            });
            if (!blocked && waiting.contains(each.table)) {
                sorted.push_back(each);
                waiting.erase(each.table);
            }
        }
        if (sorted.size() == before) {
            problems.push_back("foreign keys of " + to_string(*waiting.begin()) +
                               " run in a circle, and session_replication_role may not be set");
            return;
        }
    }
    tasks = std::move(sorted);
}

}  // namespace

std::string names(const std::vector<task>& of) {
    std::string all;
    for (const auto& each : of) all += (all.empty() ? "" : ", ") + to_string(each.table);
    return all;
}

plan make_plan(const std::vector<catalog::table>& legacy, const std::vector<catalog::table>& modern,
               const std::vector<catalog::foreign_key>& modern_keys, order by, std::string_view follower) {
    const std::string on{follower};
    plan made;
    for (const auto& table : legacy) {
        const auto other = std::ranges::find_if(modern, [&](const auto& each) { return each.name == table.name; });
        if (other == modern.end()) {
            made.problems.push_back(to_string(table.name) + " is missing on " + on);
            continue;
        }
        task each{.table = table.name,
                  .kind = table.kind,
                  .modern_kind = other->kind,
                  .columns = {},
                  .format = copy_format::text,
                  .clear = clearing::truncate,
                  .estimated_rows = table.rows,
                  .bytes = table.bytes};
        plan_columns(table, *other, on, each, made.problems);
        // TRUNCATE is refused for a table that another one refers to, whatever the session's role.
        if (std::ranges::any_of(modern_keys,
                                [&](const auto& key) { return key.to == table.name && key.from != table.name; }))
            each.clear = clearing::remove;
        made.tasks.push_back(std::move(each));
    }
    std::ranges::stable_sort(made.tasks, std::greater{}, &task::bytes);
    if (by == order::by_foreign_keys) sort_by_foreign_keys(made.tasks, modern_keys, made.problems);
    return made;
}

}  // namespace crossfade::ctl::backfill
