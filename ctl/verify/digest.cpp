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

text_bytes bytes_of(const comparison& of, settings::side on) {
    return on == settings::side::legacy ? of.legacy_bytes : of.modern_bytes;
}

bool stored_alike(const comparison& of) {
    return of.legacy_bytes == text_bytes::as_stored && of.modern_bytes == text_bytes::as_stored;
}

std::string md5_of(const comparison& of, settings::side on) {
    if (bytes_of(of, on) == text_bytes::converted) return "md5(convert_to(" + row_text(of) + ", 'UTF8'))";
    return "md5(" + row_text(of) + ')';
}

// jsonb sorts keys by their length in the server's encoding: where that isn't UTF-8 on both sides what looks like it is
// made by hand.
std::string key_text(const comparison& of) {
    std::string parts;
    if (!stored_alike(of)) {
        for (const auto& column : of.key)
            parts += (parts.empty() ? "'{' || " : " || ', ' || ") + std::string{"to_json("} +
                     pgclient::quote_literal(column) + "::text)::text || ': ' || to_json(" +
                     model::quote_identifier(column) + "::text)::text";
        return parts + " || '}'";
    }
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

text_bytes bytes_of(std::string_view server_encoding) {
    return server_encoding == "UTF8" || server_encoding == "SQL_ASCII" ? text_bytes::as_stored : text_bytes::converted;
}

std::string aggregate_sql(const comparison& of, settings::side on) {
    // hashtextextended() is the quickest, and has no like for bytes that all servers know.
    const std::string hash = stored_alike(of) ? "hashtextextended(" + row_text(of) + ", 0)"
                                              : "('x' || left(" + md5_of(of, on) + ", 16))::bit(64)::bigint";
    return "SELECT count(*), coalesce(sum(" + hash + "::numeric), 0)::text FROM " + source_of(of, on);
}

std::string digests_sql(const comparison& of, settings::side on) {
    if (of.key.empty())
        return "SELECT d, d, count(*) FROM (SELECT " + md5_of(of, on) + " COLLATE \"C\" AS d FROM " +
               source_of(of, on) + ") AS rows GROUP BY d ORDER BY d";
    const std::string key = '(' + key_text(of) + ") COLLATE \"C\"";
    return "SELECT " + key + " AS k, " + md5_of(of, on) + ", 1 FROM " + source_of(of, on) + " ORDER BY " +
           (bytes_of(of, on) == text_bytes::converted ? "convert_to(" + key + ", 'UTF8')" : "k");
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
