#include "lib/sql/row_writes.hpp"

#include <algorithm>
#include <unordered_set>

#include "lib/sql/parse_tree.hpp"
#include "lib/sql/unbounded_writes.hpp"

namespace crossfade::sql {
namespace {

// What the three statements have in common.
struct clauses {
    row_write::operation what;
    const PgQuery__RangeVar* target;
    std::span<PgQuery__Node* const> set;
    std::span<PgQuery__Node* const> returning;
};

std::optional<clauses> clauses_of(const PgQuery__Node& node) {
    switch (node.node_case) {
        case PG_QUERY__NODE__NODE_INSERT_STMT: {
            const auto& it = *node.insert_stmt;
            clauses found{row_write::operation::insert, it.relation, {}, list(it.n_returning_list, it.returning_list)};
            if (const auto* conflict = it.on_conflict_clause)
                found.set = list(conflict->n_target_list, conflict->target_list);
            return found;
        }
        case PG_QUERY__NODE__NODE_UPDATE_STMT: {
            const auto& it = *node.update_stmt;
            return clauses{row_write::operation::update, it.relation, list(it.n_target_list, it.target_list),
                           list(it.n_returning_list, it.returning_list)};
        }
        case PG_QUERY__NODE__NODE_DELETE_STMT: {
            const auto& it = *node.delete_stmt;
            return clauses{row_write::operation::remove, it.relation, {}, list(it.n_returning_list, it.returning_list)};
        }
        default:
            return std::nullopt;
    }
}

std::string quoted(std::string_view name) {
    std::string all = "\"";
    for (const char byte : name) {
        if (byte == '"') all += '"';
        all += byte;
    }
    return all + '"';
}

// (a, b) = (...) comes as one target for each column; what is behind the name in a[1] or c.f is the target's
// indirection.
std::vector<std::string> columns_of(std::span<PgQuery__Node* const> set) {
    std::vector<std::string> columns;
    std::unordered_set<std::string_view> seen;
    for (const auto* each : set) {
        if (each->node_case != PG_QUERY__NODE__NODE_RES_TARGET) continue;
        const auto name = text_of(each->res_target->name);
        if (seen.insert(name).second) columns.emplace_back(name);
    }
    return columns;
}

// Only a table of another schema may be called as the target is, and RETURNING sees it beside an UPDATE or a DELETE.
bool may_be_taken_for_another(const PgQuery__RangeVar& target, const statement& known) {
    return std::ranges::any_of(known.tables, [&](const table_use& table) {
        return table.name == text_of(target.relname) && table.schema != text_of(target.schemaname);
    });
}

bool is_comment(const PgQuery__ScanToken* token) {
    return token->token == PG_QUERY__TOKEN__SQL_COMMENT || token->token == PG_QUERY__TOKEN__C_COMMENT;
}

// Both in bytes from the text's beginning; 0 if unknown.
std::size_t in_front_of(const PgQuery__Node& first_item) {
    if (first_item.node_case != PG_QUERY__NODE__NODE_RES_TARGET) return 0;
    return static_cast<std::size_t>(std::max(first_item.res_target->location, 0));
}

// A token's end is not used: libpg_query doesn't know it of U&'x'.
std::size_t behind_last_token(const statement& known, const std::string& text) {
    const auto part = text.substr(known.offset, known.length);
    const token_list scanned(part.c_str());
    const auto tokens = scanned.tokens();
    const auto last = std::find_if_not(tokens.rbegin(), tokens.rend(), is_comment);
    if (last == tokens.rend()) return 0;
    const auto next = last.base();
    const auto rest = next == tokens.end() ? part.size() : static_cast<std::size_t>(std::max((*next)->start, 0));
    return known.offset + std::string_view{part}.substr(0, rest).find_last_not_of(" \t\n\r\f") + 1;
}

}  // namespace

std::optional<row_write> row_write_of(const PgQuery__Node& node, const statement& known, const std::string& text) {
    const auto found = clauses_of(node);
    if (!found || found->target == nullptr || known.modifying_cte) return std::nullopt;
    const auto& target = *found->target;
    if (target.alias == nullptr && found->what != row_write::operation::insert &&
        may_be_taken_for_another(target, known))
        return std::nullopt;

    row_write it;
    it.what = found->what;
    it.schema = text_of(target.schemaname);
    it.name = text_of(target.relname);
    it.reference = quoted(target.alias == nullptr ? it.name : text_of(target.alias->aliasname));
    it.set_columns = columns_of(found->set);
    it.unbounded = is_unbounded_write(node, text);
    it.returning_at =
        found->returning.empty() ? behind_last_token(known, text) : in_front_of(*found->returning.front());
    if (it.returning_at <= known.offset || it.returning_at > known.offset + known.length) return std::nullopt;
    return it;
}

}  // namespace crossfade::sql
