#include "lib/sql/effects.hpp"

#include <algorithm>
#include <string>

namespace crossfade::sql {
namespace {

std::string text(const char* value) {
    return std::string{text_of(value)};
}

std::optional<std::string> text_if_any(const char* value) {
    const auto found = text_of(value);
    return found.empty() ? std::nullopt : std::optional<std::string>(found);
}

std::string lower(const char* value) {
    return lower_case(text_of(value));
}

std::string value_of(const PgQuery__AConst& constant) {
    switch (constant.val_case) {
        case PG_QUERY__A__CONST__VAL_IVAL:
            return std::to_string(constant.ival->ival);
        case PG_QUERY__A__CONST__VAL_FVAL:
            return text(constant.fval->fval);
        case PG_QUERY__A__CONST__VAL_BOOLVAL:
            return constant.boolval->boolval != 0 ? "true" : "false";
        case PG_QUERY__A__CONST__VAL_SVAL:
            return text(constant.sval->sval);
        case PG_QUERY__A__CONST__VAL_BSVAL:
            return text(constant.bsval->bsval);
        default:
            return {};
    }
}

std::string value_of(const PgQuery__Node& node) {
    if (node.node_case == PG_QUERY__NODE__NODE_A_CONST) return value_of(*node.a_const);
    // SET TIME ZONE INTERVAL '…', the one cast that the grammar has here.
    if (node.node_case == PG_QUERY__NODE__NODE_TYPE_CAST && node.type_cast->arg != nullptr)
        return "INTERVAL '" + value_of(*node.type_cast->arg) + "'";
    return {};
}

std::optional<isolation_level> isolation_named(std::string_view name) {
    if (name == "serializable") return isolation_level::serializable;
    if (name == "repeatable read") return isolation_level::repeatable_read;
    if (name == "read committed") return isolation_level::read_committed;
    if (name == "read uncommitted") return isolation_level::read_uncommitted;
    return std::nullopt;
}

transaction_modes modes_of(std::span<PgQuery__Node* const> options) {
    transaction_modes modes;
    for (const auto* option : options) {
        if (option->node_case != PG_QUERY__NODE__NODE_DEF_ELEM || option->def_elem->arg == nullptr ||
            option->def_elem->arg->node_case != PG_QUERY__NODE__NODE_A_CONST)
            continue;
        const auto name = text_of(option->def_elem->defname);
        const auto value = value_of(*option->def_elem->arg->a_const);
        if (name == "transaction_isolation") modes.isolation = isolation_named(value);
        if (name == "transaction_read_only") modes.read_only = value != "0";
        if (name == "transaction_deferrable") modes.deferrable = value != "0";
    }
    return modes;
}

session_effect of(const PgQuery__TransactionStmt& it) {
    const bool chain = it.chain != 0;
    switch (it.kind) {
        case PG_QUERY__TRANSACTION_STMT_KIND__TRANS_STMT_BEGIN:
        case PG_QUERY__TRANSACTION_STMT_KIND__TRANS_STMT_START:
            return effect::begin{modes_of(list(it.n_options, it.options))};
        case PG_QUERY__TRANSACTION_STMT_KIND__TRANS_STMT_COMMIT:
            return effect::commit{chain};
        case PG_QUERY__TRANSACTION_STMT_KIND__TRANS_STMT_ROLLBACK:
            return effect::rollback{chain};
        case PG_QUERY__TRANSACTION_STMT_KIND__TRANS_STMT_SAVEPOINT:
            return effect::savepoint{text(it.savepoint_name)};
        case PG_QUERY__TRANSACTION_STMT_KIND__TRANS_STMT_RELEASE:
            return effect::release_savepoint{text(it.savepoint_name)};
        case PG_QUERY__TRANSACTION_STMT_KIND__TRANS_STMT_ROLLBACK_TO:
            return effect::rollback_to_savepoint{text(it.savepoint_name)};
        case PG_QUERY__TRANSACTION_STMT_KIND__TRANS_STMT_PREPARE:
            return effect::prepare_transaction{};
        case PG_QUERY__TRANSACTION_STMT_KIND__TRANS_STMT_COMMIT_PREPARED:
            return effect::commit_prepared{};
        case PG_QUERY__TRANSACTION_STMT_KIND__TRANS_STMT_ROLLBACK_PREPARED:
            return effect::rollback_prepared{};
        default:
            return {};
    }
}

session_effect of(const PgQuery__VariableSetStmt& it) {
    const auto arguments = list(it.n_args, it.args);
    switch (it.kind) {
        case PG_QUERY__VARIABLE_SET_KIND__VAR_SET_VALUE: {
            effect::set_parameter set{.name = lower(it.name), .values = {}, .local = it.is_local != 0};
            std::ranges::transform(arguments, std::back_inserter(set.values),
                                   [](const auto* argument) { return value_of(*argument); });
            return set;
        }
        case PG_QUERY__VARIABLE_SET_KIND__VAR_SET_DEFAULT:
            return effect::set_parameter{.name = lower(it.name), .values = {}, .local = it.is_local != 0};
        case PG_QUERY__VARIABLE_SET_KIND__VAR_SET_MULTI:
            if (text_of(it.name) == "TRANSACTION") return effect::set_transaction{modes_of(arguments)};
            if (text_of(it.name) == "SESSION CHARACTERISTICS")
                return effect::set_transaction_defaults{modes_of(arguments)};
            return effect::import_snapshot{};
        case PG_QUERY__VARIABLE_SET_KIND__VAR_RESET:
            return effect::reset_parameter{lower(it.name)};
        case PG_QUERY__VARIABLE_SET_KIND__VAR_RESET_ALL:
            return effect::reset_all{};
        // FROM CURRENT keeps the value as it is.
        default:
            return {};
    }
}

session_effect of(const PgQuery__DiscardStmt& it) {
    switch (it.target) {
        case PG_QUERY__DISCARD_MODE__DISCARD_PLANS:
            return effect::discard{effect::discarded::plans};
        case PG_QUERY__DISCARD_MODE__DISCARD_SEQUENCES:
            return effect::discard{effect::discarded::sequences};
        case PG_QUERY__DISCARD_MODE__DISCARD_TEMP:
            return effect::discard{effect::discarded::temporary};
        default:
            return effect::discard{effect::discarded::all};
    }
}

// CURSOR_OPT_HOLD of PostgreSQL's parsenodes.h.
constexpr int with_hold = 0x0020;

}  // namespace

session_effect effect_of(const PgQuery__Node& node) {
    switch (node.node_case) {
        case PG_QUERY__NODE__NODE_TRANSACTION_STMT:
            return of(*node.transaction_stmt);
        case PG_QUERY__NODE__NODE_VARIABLE_SET_STMT:
            return of(*node.variable_set_stmt);
        case PG_QUERY__NODE__NODE_DISCARD_STMT:
            return of(*node.discard_stmt);
        case PG_QUERY__NODE__NODE_EXECUTE_STMT:
            return effect::execute{text(node.execute_stmt->name)};
        case PG_QUERY__NODE__NODE_DEALLOCATE_STMT:
            return effect::deallocate{text_if_any(node.deallocate_stmt->name)};
        case PG_QUERY__NODE__NODE_DECLARE_CURSOR_STMT: {
            const auto& cursor = *node.declare_cursor_stmt;
            return effect::declare_cursor{text(cursor.portalname), (cursor.options & with_hold) != 0};
        }
        case PG_QUERY__NODE__NODE_CLOSE_PORTAL_STMT:
            return effect::close_cursor{text_if_any(node.close_portal_stmt->portalname)};
        case PG_QUERY__NODE__NODE_FETCH_STMT:
            return effect::fetch{text(node.fetch_stmt->portalname)};
        case PG_QUERY__NODE__NODE_LISTEN_STMT:
            return effect::listen{text(node.listen_stmt->conditionname)};
        case PG_QUERY__NODE__NODE_UNLISTEN_STMT:
            return effect::unlisten{text_if_any(node.unlisten_stmt->conditionname)};
        case PG_QUERY__NODE__NODE_NOTIFY_STMT:
            return effect::notify{text(node.notify_stmt->conditionname)};
        default:
            return {};
    }
}

}  // namespace crossfade::sql
