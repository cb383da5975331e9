#include "ctl/verify/digest.hpp"

#include <algorithm>

#include "lib/pgclient/connection.hpp"

namespace crossfade::ctl::verify {

namespace {

// The text of a record tells NULL from an empty string and one column's end from the next one's start.
std::string row_text(const comparison& of) {
    std::string columns;
    for (const auto& column : of.columns) columns += (columns.empty() ? "" : ", ") + model::quote_identifier(column);
    return "(ROW(" + columns + ")::text) COLLATE \"C\"";
}

std::string source_of(const comparison& of, settings::side on) {
    const auto kind = on == settings::side::legacy ? of.kind : of.modern_kind;
    return (kind == catalog::table_kind::plain ? "ONLY " : "") + quoted(of.table);
}

std::string key_text(const comparison& of) {
    std::string parts;
    for (const auto& column : of.key)
        parts += (parts.empty() ? "" : ", ") + pgclient::quote_literal(column) + ", " +
                 model::quote_identifier(column) + "::text";
    return "jsonb_build_object(" + parts + ")::text";
}

}  // namespace

std::string_view to_string(difference_kind of) {
    switch (of) {
        case difference_kind::missing:
            return "missing";
        case difference_kind::extra:
            return "extra";
        case difference_kind::different:
            return "different";
    }
    return "?";
}

comparison compare(const catalog::table& legacy, const catalog::table* modern) {
    comparison made{.table = legacy.name,
                    .kind = legacy.kind,
                    .modern_kind = modern == nullptr ? legacy.kind : modern->kind,
                    .columns = {},
                    .key = legacy.key,
                    .problems = {}};
    if (modern == nullptr) {
        made.problems.push_back("the table is missing on modern");
        return made;
    }
    for (const auto& column : legacy.columns) {
        const bool there =
            std::ranges::any_of(modern->columns, [&](const auto& each) { return each.name == column.name; });
        if (there) {
            made.columns.push_back(column.name);
        } else if (!column.generated) {
            made.problems.push_back("column " + column.name + " is missing on modern");
        }
    }
    return made;
}

std::string aggregate_sql(const comparison& of, settings::side on) {
    return "SELECT count(*), coalesce(sum(hashtextextended(" + row_text(of) + ", 0)::numeric), 0)::text FROM " +
           source_of(of, on);
}

std::string digests_sql(const comparison& of, settings::side on) {
    if (of.key.empty())
        return "SELECT d, d, count(*) FROM (SELECT md5(" + row_text(of) + ") COLLATE \"C\" AS d FROM " +
               source_of(of, on) + ") AS rows GROUP BY d ORDER BY d";
    return "SELECT (" + key_text(of) + ") COLLATE \"C\" AS k, md5(" + row_text(of) + "), 1 FROM " + source_of(of, on) +
           " ORDER BY k";
}

merger::advance merger::step(const digest* legacy, const digest* modern) {
    if (modern == nullptr || (legacy != nullptr && legacy->key < modern->key)) {
        note(difference_kind::missing, legacy->key, legacy->copies);
        return advance::legacy;
    }
    if (legacy == nullptr || modern->key < legacy->key) {
        note(difference_kind::extra, modern->key, modern->copies);
        return advance::modern;
    }
    if (legacy->md5 != modern->md5) note(difference_kind::different, legacy->key, 1);
    if (legacy->copies > modern->copies) note(difference_kind::missing, legacy->key, legacy->copies - modern->copies);
    if (modern->copies > legacy->copies) note(difference_kind::extra, legacy->key, modern->copies - legacy->copies);
    return advance::both;
}

void merger::note(difference_kind kind, const std::string& key, std::int64_t copies) {
    counts_[static_cast<std::size_t>(kind)] += copies;
    if (kept_.size() < most_) kept_.push_back({kind, key, copies});
}

}  // namespace crossfade::ctl::verify
