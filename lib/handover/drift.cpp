#include "lib/handover/drift.hpp"

#include <algorithm>
#include <string_view>
#include <utility>

#include "lib/preflight/listing.hpp"
#include "lib/settings/flag_text.hpp"

namespace crossfade::handover {
namespace {

using preflight::verdict;

struct excess {
    std::string table;
    std::int64_t differ = 0;
    std::int64_t rows = 0;
    double tolerance = 0;

    bool is_too_much() const { return static_cast<double>(differ) > tolerance * static_cast<double>(rows); }
    double share() const { return static_cast<double>(differ) / static_cast<double>(std::max<std::int64_t>(rows, 1)); }
};

bool concerns(const recorded_drift& each, const store::fenced_table& table, std::string_view group,
              const settings::flag_set& flags, const intent& what) {
    if (each.tenant.empty() || !table.by_tenant) return moves(what, flags, table);
    return what.before.of(group, each.tenant) != what.after.of(group, each.tenant);
}

std::string text_of(double tolerance) {
    settings::flag_overrides one;
    one.migration_drift_tolerance = tolerance;
    return settings::flag_text(one, "migration_drift_tolerance").value_or("");
}

preflight::finding too_much(const excess& worst, std::size_t others) {
    auto found = std::to_string(worst.differ) + " of about " + std::to_string(worst.rows) + " rows of " + worst.table +
                 " differ, and its migration_drift_tolerance is " + text_of(worst.tolerance);
    if (others > 0) found += "; too many of " + std::to_string(others) + " more tables, too";
    // What was never analysed counts as empty.
    const auto analyse = worst.rows == 0 ? "ANALYZE " + worst.table + ", if it has rows; " : std::string{};
    return {"drift", verdict::warn, std::move(found),
            analyse + "crossfade drift list; crossfade backfill --live --again --tables " + worst.table};
}

}  // namespace

preflight::finding judge(const std::vector<recorded_drift>& drift, const std::map<std::string, std::int64_t>& rows,
                         const std::vector<store::fenced_table>& tables, const settings::flag_set& flags,
                         const intent& what) {
    std::map<std::string, const store::fenced_table*> by_name;
    for (const auto& each : tables)
        if (!each.is_part) by_name[to_string(each.stream)] = &each;
    // Tenants of one tolerance are held to it together, however many have a word of their own.
    std::map<std::pair<std::string, double>, std::int64_t> confirmed;
    std::map<std::string, std::int64_t> suspected;
    std::int64_t all = 0;
    for (const auto& each : drift) {
        const auto table = by_name.find(each.table);
        if (table == by_name.end()) continue;
        const auto group = flags.group_of(table->second->stream);
        if (!concerns(each, *table->second, group, flags, what)) continue;
        if (each.suspected > 0) suspected[each.table] += each.suspected;
        if (each.confirmed == 0) continue;
        confirmed[{each.table, flags.resolve(group, each.tenant).migration_drift_tolerance}] += each.confirmed;
        all += each.confirmed;
    }
    std::map<std::string, excess> beyond;
    for (const auto& [of, differ] : confirmed) {
        const auto has = rows.find(of.first);
        const excess one{of.first, differ, has == rows.end() ? 0 : has->second, of.second};
        if (!one.is_too_much()) continue;
        const auto [known, added] = beyond.emplace(of.first, one);
        if (!added && one.share() > known->second.share()) known->second = one;
    }
    if (!beyond.empty()) {
        const auto worst = std::ranges::max_element(
            beyond, {}, [](const std::pair<const std::string, excess>& each) { return each.second.share(); });
        return too_much(worst->second, beyond.size() - 1);
    }
    if (!suspected.empty()) {
        std::vector<std::string> texts;
        for (const auto& [table, count] : suspected) texts.push_back(std::to_string(count) + " of " + table);
        return {"drift", verdict::warn, "rows are suspected to differ: " + preflight::listing(texts),
                "crossfade verify"};
    }
    return {"drift", verdict::ok, all == 0 ? "none" : std::to_string(all) + " rows, which is tolerated", {}};
}

}  // namespace crossfade::handover
