#include "lib/sql/unbounded_writes.hpp"

#include <algorithm>
#include <array>
#include <map>
#include <string_view>

namespace crossfade::sql {
namespace {

constexpr std::size_t most_values = 500;
constexpr std::size_t most_digits = 3;
constexpr std::string_view series = "generate_series";

template <class Is>
bool holds(const ProtobufCMessage& of, Is is) {
    if (of.descriptor == &pg_query__node__descriptor) {
        const auto* inner = message_of(reinterpret_cast<const PgQuery__Node&>(of));
        return inner != nullptr && holds(*inner, is);
    }
    if (is(of)) return true;
    bool found = false;
    for_each_child(of, [&](const ProtobufCMessage& child, std::size_t) { found = found || holds(child, is); });
    return found;
}

template <class Is>
bool holds(const PgQuery__Node* node, Is is) {
    return node != nullptr && holds(node->base, is);
}

bool holds_column(const PgQuery__Node* node) {
    return holds(node, [](const auto& each) { return each.descriptor == &pg_query__column_ref__descriptor; });
}

bool holds_query(const PgQuery__Node* node) {
    return holds(node, [](const auto& each) { return each.descriptor == &pg_query__sub_link__descriptor; });
}

std::string_view name_of_call(const PgQuery__FuncCall& call) {
    return call.n_funcname == 0 ? std::string_view{} : name_of(call.funcname[call.n_funcname - 1]);
}

template <class Is>
bool holds_call(const PgQuery__Node* node, Is is) {
    return holds(node, [&](const ProtobufCMessage& each) {
        return each.descriptor == &pg_query__func_call__descriptor &&
               is(reinterpret_cast<const PgQuery__FuncCall&>(each));
    });
}

bool is_aggregate(const PgQuery__FuncCall& call) {
    constexpr auto names = std::to_array<std::string_view>({"count", "max", "min", "sum", "avg", "bool_and", "bool_or",
                                                            "array_agg", "string_agg", "json_agg", "jsonb_agg"});
    return call.over == nullptr && std::ranges::find(names, name_of_call(call)) != names.end();
}

bool is_equality(std::span<PgQuery__Node* const> name) {
    return !name.empty() && name_of(name.back()) == "=";
}

class judge {
  public:
    explicit judge(std::string_view text) : text_(text) {}

    bool bounds(const PgQuery__InsertStmt& it) {
        note(it.with_clause);
        return it.select_stmt == nullptr || bounds_query(it.select_stmt);
    }
    bool bounds(const PgQuery__UpdateStmt& it) {
        note(it.with_clause);
        return bounds_rows(it.where_clause);
    }
    bool bounds(const PgQuery__DeleteStmt& it) {
        note(it.with_clause);
        return bounds_rows(it.where_clause);
    }

  private:
    // In the text's order, in which they may name each other.
    void note(const PgQuery__WithClause* with) {
        if (with == nullptr) return;
        for (const auto* each : list(with->n_ctes, with->ctes)) {
            if (each->node_case != PG_QUERY__NODE__NODE_COMMON_TABLE_EXPR) continue;
            const auto& cte = *each->common_table_expr;
            ctes_[text_of(cte.ctename)] = with->recursive == 0 && bounds_query(cte.ctequery);
        }
    }

    bool bounds_query(const PgQuery__Node* node) {
        return node != nullptr && node->node_case == PG_QUERY__NODE__NODE_SELECT_STMT && bounds(*node->select_stmt);
    }

    bool bounds(const PgQuery__SelectStmt& it) {
        note(it.with_clause);
        if (it.n_values_lists > 0) return it.n_values_lists <= most_values;
        if (is_small(it.limit_count)) return true;
        if (it.larg != nullptr && it.rarg != nullptr) return bounds(*it.larg) && bounds(*it.rarg);
        const auto targets = list(it.n_target_list, it.target_list);
        const auto grows = [this](const auto* each) { return holds_long_series(each); };
        if (std::ranges::any_of(targets, grows)) return false;
        const auto from = list(it.n_from_clause, it.from_clause);
        const auto gives_few = [this](const auto* each) { return bounds_source(each); };
        const auto aggregates = [](const auto* each) { return holds_call(each, is_aggregate); };
        return std::ranges::all_of(from, gives_few) || bounds_rows(it.where_clause) ||
               (it.n_group_clause == 0 && std::ranges::any_of(targets, aggregates));
    }

    bool bounds_source(const PgQuery__Node* node) {
        switch (node->node_case) {
            case PG_QUERY__NODE__NODE_RANGE_VAR: {
                const auto found = ctes_.find(text_of(node->range_var->relname));
                return text_of(node->range_var->schemaname).empty() && found != ctes_.end() && found->second;
            }
            case PG_QUERY__NODE__NODE_RANGE_SUBSELECT:
                return bounds_query(node->range_subselect->subquery);
            case PG_QUERY__NODE__NODE_JOIN_EXPR:
                return bounds_source(node->join_expr->larg) && bounds_source(node->join_expr->rarg);
            case PG_QUERY__NODE__NODE_RANGE_FUNCTION:
                // unnest($1) and its like give what they are given, which is no longer than a message.
                return !holds_query(node) && !holds_long_series(node);
            default:
                return false;
        }
    }

    bool holds_long_series(const PgQuery__Node* node) {
        return holds_call(node, [this](const PgQuery__FuncCall& call) {
            const auto given = list(call.n_args, call.args);
            const auto is_number = [this](const auto* each) { return digits_of(each) > 0; };
            return name_of_call(call) == series &&
                   !(given.size() >= 2 && std::ranges::all_of(given, is_number) && is_small(given[1]));
        });
    }

    // That is what a parameter is taken for: who has one for his LIMIT works by the batch.
    bool is_small(const PgQuery__Node* number) {
        if (number == nullptr) return false;
        if (number->node_case == PG_QUERY__NODE__NODE_TYPE_CAST) return is_small(number->type_cast->arg);
        const auto digits = digits_of(number);
        return number->node_case == PG_QUERY__NODE__NODE_PARAM_REF || (digits > 0 && digits <= most_digits);
    }

    // Of an integer; 0: it is something else.
    std::size_t digits_of(const PgQuery__Node* node) {
        if (node->node_case != PG_QUERY__NODE__NODE_A_CONST || node->a_const->location < 0) return 0;
        if (node->a_const->isnull != 0 || node->a_const->val_case != PG_QUERY__A__CONST__VAL_IVAL) return 0;
        const auto from = text_.substr(std::min(static_cast<std::size_t>(node->a_const->location), text_.size()));
        return std::min(from.find_first_not_of("0123456789"), from.size());
    }

    // Whether the condition lets no row through of which a column isn't equal to something.
    bool bounds_rows(const PgQuery__Node* condition) {
        if (condition == nullptr) return false;
        const auto bounds_them = [this](const auto* each) { return bounds_rows(each); };
        switch (condition->node_case) {
            case PG_QUERY__NODE__NODE_BOOL_EXPR: {
                const auto parts = list(condition->bool_expr->n_args, condition->bool_expr->args);
                if (condition->bool_expr->boolop == PG_QUERY__BOOL_EXPR_TYPE__AND_EXPR)
                    return std::ranges::any_of(parts, bounds_them);
                return condition->bool_expr->boolop == PG_QUERY__BOOL_EXPR_TYPE__OR_EXPR &&
                       std::ranges::all_of(parts, bounds_them);
            }
            case PG_QUERY__NODE__NODE_A_EXPR: {
                const auto& it = *condition->a_expr;
                const bool by_one = it.kind == PG_QUERY__A__EXPR__KIND__AEXPR_OP;
                const bool by_list =
                    it.kind == PG_QUERY__A__EXPR__KIND__AEXPR_OP_ANY || it.kind == PG_QUERY__A__EXPR__KIND__AEXPR_IN;
                return is_equality(list(it.n_name, it.name)) &&
                       (((by_one || by_list) && holds_column(it.lexpr)) || (by_one && holds_column(it.rexpr)));
            }
            case PG_QUERY__NODE__NODE_SUB_LINK: {
                const auto& it = *condition->sub_link;
                const auto name = list(it.n_oper_name, it.oper_name);
                return it.sub_link_type == PG_QUERY__SUB_LINK_TYPE__ANY_SUBLINK && holds_column(it.testexpr) &&
                       (name.empty() || is_equality(name)) && bounds_query(it.subselect);
            }
            case PG_QUERY__NODE__NODE_CURRENT_OF_EXPR:
                return true;
            default:
                return false;
        }
    }

    std::string_view text_;
    std::map<std::string_view, bool> ctes_;
};

}  // namespace

bool is_unbounded_write(const PgQuery__Node& statement, const std::string& text) {
    judge by{text};
    switch (statement.node_case) {
        case PG_QUERY__NODE__NODE_INSERT_STMT:
            return !by.bounds(*statement.insert_stmt);
        case PG_QUERY__NODE__NODE_UPDATE_STMT:
            return !by.bounds(*statement.update_stmt);
        case PG_QUERY__NODE__NODE_DELETE_STMT:
            return !by.bounds(*statement.delete_stmt);
        default:
            return false;
    }
}

}  // namespace crossfade::sql
