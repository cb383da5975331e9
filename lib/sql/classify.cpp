#include "lib/sql/classify.hpp"

#include <strings.h>

#include <algorithm>

#include "lib/sql/effects.hpp"
#include "lib/sql/survey.hpp"

namespace crossfade::sql {
namespace {

using role = survey::role;

// Kinds that the node's type alone decides.
struct sort {
    statement_kind kind = statement_kind::other;
    role outside_queries = role::read;
};

bool begins_with_any(std::string_view name, std::initializer_list<std::string_view> beginnings) {
    return std::ranges::any_of(beginnings, [&](auto beginning) { return name.starts_with(beginning); });
}

sort sort_of(const PgQuery__Node& node) {
    switch (node.node_case) {
        case PG_QUERY__NODE__NODE_SELECT_STMT:
            return {statement_kind::read};
        case PG_QUERY__NODE__NODE_INSERT_STMT:
        case PG_QUERY__NODE__NODE_UPDATE_STMT:
        case PG_QUERY__NODE__NODE_DELETE_STMT:
        case PG_QUERY__NODE__NODE_MERGE_STMT:
        case PG_QUERY__NODE__NODE_CALL_STMT:
        case PG_QUERY__NODE__NODE_DO_STMT:
            return {statement_kind::write};
        case PG_QUERY__NODE__NODE_TRUNCATE_STMT:
            return {statement_kind::write, role::written};
        case PG_QUERY__NODE__NODE_COPY_STMT:
            return {statement_kind::copy};
        case PG_QUERY__NODE__NODE_LOCK_STMT:
            return {statement_kind::lock, role::locked};
        case PG_QUERY__NODE__NODE_EXECUTE_STMT:
            return {statement_kind::execute};
        case PG_QUERY__NODE__NODE_TRANSACTION_STMT:
            return {statement_kind::transaction_control};
        case PG_QUERY__NODE__NODE_VARIABLE_SET_STMT: {
            const bool of_transaction = text_of(node.variable_set_stmt->name).starts_with("TRANSACTION");
            return {of_transaction && node.variable_set_stmt->kind == PG_QUERY__VARIABLE_SET_KIND__VAR_SET_MULTI
                        ? statement_kind::transaction_control
                        : statement_kind::session};
        }
        case PG_QUERY__NODE__NODE_VARIABLE_SHOW_STMT:
        case PG_QUERY__NODE__NODE_DISCARD_STMT:
        case PG_QUERY__NODE__NODE_PREPARE_STMT:
        case PG_QUERY__NODE__NODE_DEALLOCATE_STMT:
        case PG_QUERY__NODE__NODE_DECLARE_CURSOR_STMT:
        case PG_QUERY__NODE__NODE_CLOSE_PORTAL_STMT:
        case PG_QUERY__NODE__NODE_FETCH_STMT:
        case PG_QUERY__NODE__NODE_LISTEN_STMT:
        case PG_QUERY__NODE__NODE_UNLISTEN_STMT:
        case PG_QUERY__NODE__NODE_NOTIFY_STMT:
        case PG_QUERY__NODE__NODE_LOAD_STMT:
        case PG_QUERY__NODE__NODE_CONSTRAINTS_SET_STMT:
            return {statement_kind::session};
        case PG_QUERY__NODE__NODE_VACUUM_STMT:
        case PG_QUERY__NODE__NODE_CLUSTER_STMT:
        case PG_QUERY__NODE__NODE_REINDEX_STMT:
        case PG_QUERY__NODE__NODE_CHECK_POINT_STMT:
            return {statement_kind::maintenance, role::defined};
        // The server's settings rather than the database's.
        case PG_QUERY__NODE__NODE_ALTER_SYSTEM_STMT:
            return {statement_kind::other};
        case PG_QUERY__NODE__NODE_INDEX_STMT:
        case PG_QUERY__NODE__NODE_VIEW_STMT:
        case PG_QUERY__NODE__NODE_RULE_STMT:
        case PG_QUERY__NODE__NODE_RENAME_STMT:
        case PG_QUERY__NODE__NODE_COMMENT_STMT:
        case PG_QUERY__NODE__NODE_SEC_LABEL_STMT:
        case PG_QUERY__NODE__NODE_GRANT_STMT:
        case PG_QUERY__NODE__NODE_GRANT_ROLE_STMT:
        case PG_QUERY__NODE__NODE_DEFINE_STMT:
        case PG_QUERY__NODE__NODE_COMPOSITE_TYPE_STMT:
        case PG_QUERY__NODE__NODE_IMPORT_FOREIGN_SCHEMA_STMT:
        case PG_QUERY__NODE__NODE_REASSIGN_OWNED_STMT:
        case PG_QUERY__NODE__NODE_REFRESH_MAT_VIEW_STMT:
            return {statement_kind::ddl, role::defined};
        default:
            break;
    }
    const auto* message = message_of(node);
    if (message != nullptr && begins_with_any(message->descriptor->short_name, {"Create", "Alter", "Drop"}))
        return {statement_kind::ddl, role::defined};
    return {statement_kind::other};
}

bool has_tables(PgQuery__ObjectType type) {
    switch (type) {
        case PG_QUERY__OBJECT_TYPE__OBJECT_INDEX:
        case PG_QUERY__OBJECT_TYPE__OBJECT_SEQUENCE:
        case PG_QUERY__OBJECT_TYPE__OBJECT_TYPE:
        case PG_QUERY__OBJECT_TYPE__OBJECT_ATTRIBUTE:
            return false;
        default:
            return true;
    }
}

// Whether the RangeVars of the statement are tables, and the statement runs no further than to them.
bool names_tables(const PgQuery__Node& node) {
    switch (node.node_case) {
        case PG_QUERY__NODE__NODE_CREATE_SEQ_STMT:
        case PG_QUERY__NODE__NODE_ALTER_SEQ_STMT:
        case PG_QUERY__NODE__NODE_COMPOSITE_TYPE_STMT:
        case PG_QUERY__NODE__NODE_CREATE_FUNCTION_STMT:
            return false;
        case PG_QUERY__NODE__NODE_ALTER_TABLE_STMT:
            return has_tables(node.alter_table_stmt->objtype);
        case PG_QUERY__NODE__NODE_RENAME_STMT:
            return has_tables(node.rename_stmt->rename_type);
        case PG_QUERY__NODE__NODE_ALTER_OBJECT_SCHEMA_STMT:
            return has_tables(node.alter_object_schema_stmt->object_type);
        case PG_QUERY__NODE__NODE_ALTER_OBJECT_DEPENDS_STMT:
            return has_tables(node.alter_object_depends_stmt->object_type);
        case PG_QUERY__NODE__NODE_GRANT_STMT:
            return has_tables(node.grant_stmt->objtype);
        case PG_QUERY__NODE__NODE_REINDEX_STMT:
            return node.reindex_stmt->kind == PG_QUERY__REINDEX_OBJECT_TYPE__REINDEX_OBJECT_TABLE;
        default:
            return true;
    }
}

// DROP TABLE has a list of names for each table, DROP TRIGGER the table's and then the trigger's.
void dropped_tables(const PgQuery__DropStmt& drop, survey& found) {
    std::size_t behind_table = 0;
    switch (drop.remove_type) {
        case PG_QUERY__OBJECT_TYPE__OBJECT_TABLE:
        case PG_QUERY__OBJECT_TYPE__OBJECT_FOREIGN_TABLE:
        case PG_QUERY__OBJECT_TYPE__OBJECT_VIEW:
        case PG_QUERY__OBJECT_TYPE__OBJECT_MATVIEW:
            break;
        case PG_QUERY__OBJECT_TYPE__OBJECT_TRIGGER:
        case PG_QUERY__OBJECT_TYPE__OBJECT_RULE:
        case PG_QUERY__OBJECT_TYPE__OBJECT_POLICY:
            behind_table = 1;
            break;
        default:
            return;
    }
    for (const auto* object : list(drop.n_objects, drop.objects)) {
        if (object->node_case != PG_QUERY__NODE__NODE_LIST) continue;
        auto names = list(object->list->n_items, object->list->items);
        if (names.size() <= behind_table) continue;
        names = names.first(names.size() - behind_table);
        found.table(names.size() > 1 ? name_of(names[names.size() - 2]) : std::string_view{}, name_of(names.back()));
    }
}

bool is_in_pg_temp(const PgQuery__Node& node) {
    if (node.node_case == PG_QUERY__NODE__NODE_CREATE_SEQ_STMT) {
        const auto& sequence = *node.create_seq_stmt->sequence;
        return text_of(sequence.relpersistence) == "t" || text_of(sequence.schemaname) == "pg_temp";
    }
    if (node.node_case != PG_QUERY__NODE__NODE_CREATE_FUNCTION_STMT) return false;
    const auto names = list(node.create_function_stmt->n_funcname, node.create_function_stmt->funcname);
    return names.size() > 1 && name_of(names.front()) == "pg_temp";
}

bool creates(const PgQuery__Node& node) {
    switch (node.node_case) {
        case PG_QUERY__NODE__NODE_CREATE_STMT:
        case PG_QUERY__NODE__NODE_CREATE_TABLE_AS_STMT:
        case PG_QUERY__NODE__NODE_VIEW_STMT:
        case PG_QUERY__NODE__NODE_SELECT_STMT:
            return true;
        default:
            return false;
    }
}

// What the tree's walk doesn't tell of the statement that is not inside another one.
void particulars(const PgQuery__Node& node, statement& it) {
    switch (node.node_case) {
        case PG_QUERY__NODE__NODE_INSERT_STMT:
            it.has_returning = node.insert_stmt->n_returning_list > 0;
            it.has_on_conflict = node.insert_stmt->on_conflict_clause != nullptr;
            break;
        case PG_QUERY__NODE__NODE_UPDATE_STMT:
            it.has_returning = node.update_stmt->n_returning_list > 0;
            break;
        case PG_QUERY__NODE__NODE_DELETE_STMT:
            it.has_returning = node.delete_stmt->n_returning_list > 0;
            break;
        case PG_QUERY__NODE__NODE_TRUNCATE_STMT:
            it.writes_rows = true;
            it.unknown_tables = node.truncate_stmt->behavior == PG_QUERY__DROP_BEHAVIOR__DROP_CASCADE;
            break;
        case PG_QUERY__NODE__NODE_GRANT_STMT:
            it.alters_any_table = node.grant_stmt->is_grant == 0 && it.tables.empty();
            break;
        case PG_QUERY__NODE__NODE_GRANT_ROLE_STMT:
            it.alters_any_table = node.grant_role_stmt->is_grant == 0;
            break;
        case PG_QUERY__NODE__NODE_DROP_OWNED_STMT:
        case PG_QUERY__NODE__NODE_REASSIGN_OWNED_STMT:
        case PG_QUERY__NODE__NODE_IMPORT_FOREIGN_SCHEMA_STMT:
            it.alters_any_table = true;
            break;
        case PG_QUERY__NODE__NODE_CALL_STMT:
        case PG_QUERY__NODE__NODE_DO_STMT:
            it.writes_rows = it.unknown_tables = true;
            it.calls = volatility::unknown;
            break;
        case PG_QUERY__NODE__NODE_CREATE_TABLE_AS_STMT: {
            const auto* query = node.create_table_as_stmt->query;
            it.writes_rows = true;
            it.unknown_tables = query != nullptr && query->node_case == PG_QUERY__NODE__NODE_EXECUTE_STMT;
            break;
        }
        case PG_QUERY__NODE__NODE_EXECUTE_STMT:
            std::get<effect::execute>(it.effect).calm_arguments = it.calls <= volatility::stable;
            it.unknown_tables = true;
            it.calls = volatility::unknown;
            break;
        default:
            if (it.kind != statement_kind::other) break;
            it.writes_rows = it.unknown_tables = true;
            it.calls = volatility::unknown;
    }
}

// As PostgreSQL's defGetBoolean: no value is true.
bool is_off(const PgQuery__Node* value) {
    if (value == nullptr) return false;
    if (value->node_case == PG_QUERY__NODE__NODE_INTEGER) return value->integer->ival == 0;
    const std::string name{name_of(value)};
    return strcasecmp(name.c_str(), "false") == 0 || strcasecmp(name.c_str(), "off") == 0;
}

statement explained(const PgQuery__ExplainStmt& explain) {
    if (explain.query == nullptr) return {};
    auto it = classify(*explain.query);
    bool runs = false;
    for (const auto* option : list(explain.n_options, explain.options))
        if (option->node_case == PG_QUERY__NODE__NODE_DEF_ELEM && text_of(option->def_elem->defname) == "analyze")
            runs = !is_off(option->def_elem->arg);
    it.has_returning = it.has_on_conflict = false;
    // The answer is a plan: EXPLAIN DECLARE leaves no cursor.
    if (std::holds_alternative<effect::declare_cursor>(it.effect)) {
        it.effect = {};
        it.kind = statement_kind::read;
    }
    if (runs || it.kind == statement_kind::execute) return it;
    it.kind = statement_kind::read;
    it.effect = {};
    it.writes_rows = it.modifying_cte = false;
    for (auto& table : it.tables)
        table = {.schema = std::move(table.schema), .name = std::move(table.name), .read = true};
    it.read_only = it.calls <= volatility::stable;
    it.place_bound = true;
    it.copies_to_client = false;
    return it;
}

statement prepared(const PgQuery__PrepareStmt& prepare) {
    statement it;
    it.kind = statement_kind::session;
    auto inner = prepare.query == nullptr ? statement{} : classify(*prepare.query);
    it.effect =
        effect::prepare{std::string{text_of(prepare.name)}, std::make_shared<const statement>(std::move(inner))};
    return it;
}

role role_in_copy(const PgQuery__CopyStmt& copy) {
    return copy.is_from != 0 ? role::written : role::read;
}

// And not to a file or a program of the server's.
bool goes_to_client(const PgQuery__CopyStmt& copy) {
    return copy.is_from == 0 && copy.is_program == 0 && text_of(copy.filename).empty();
}

void survey_of(const PgQuery__Node& node, survey& found) {
    switch (node.node_case) {
        case PG_QUERY__NODE__NODE_DROP_STMT:
            return dropped_tables(*node.drop_stmt, found);
        // What a rule does, it does when it fires.
        case PG_QUERY__NODE__NODE_RULE_STMT:
            return found.walk(&node.rule_stmt->relation->base);
        default:
            if (names_tables(node)) found.walk(&node);
    }
}

}  // namespace

statement classify(const PgQuery__Node& node) {
    if (node.node_case == PG_QUERY__NODE__NODE_EXPLAIN_STMT) return explained(*node.explain_stmt);
    if (node.node_case == PG_QUERY__NODE__NODE_PREPARE_STMT) return prepared(*node.prepare_stmt);

    statement it;
    auto [kind, outside_queries] = sort_of(node);
    it.kind = kind;
    if (node.node_case == PG_QUERY__NODE__NODE_COPY_STMT) outside_queries = role_in_copy(*node.copy_stmt);
    survey found(it, outside_queries);
    survey_of(node, found);

    it.writes_rows =
        found.writes() || found.makes_table() || (kind == statement_kind::copy && node.copy_stmt->is_from != 0);
    if (kind == statement_kind::read) {
        if (found.makes_table())
            it.kind = statement_kind::ddl;
        else if (found.writes())
            it.kind = statement_kind::write;
    }
    it.effect = effect_of(node);
    if ((found.makes_temporary() && creates(node)) || is_in_pg_temp(node)) it.effect = effect::create_temporary{};
    particulars(node, it);
    if (it.calls == volatility::unknown) it.calls_may_write = true;
    it.read_only = it.kind == statement_kind::read && !found.locks() && it.calls <= volatility::stable;
    it.copies_to_client = kind == statement_kind::copy && goes_to_client(*node.copy_stmt) && !found.writes() &&
                          !found.locks() && it.calls <= volatility::stable;
    return it;
}

}  // namespace crossfade::sql
