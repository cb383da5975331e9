#include "lib/sql/survey.hpp"

#include <algorithm>

#include "lib/sql/builtins.hpp"

namespace crossfade::sql {
namespace {

template <class T>
const T& as(const ProtobufCMessage& message) {
    return reinterpret_cast<const T&>(message);
}

// While it lives, `where` holds `value`.
template <class T>
class held {
  public:
    held(T& where, T value) : where_(where), before_(std::exchange(where, value)) {}
    ~held() { where_ = before_; }
    held(const held&) = delete;
    held& operator=(const held&) = delete;

  private:
    T& where_;
    T before_;
};

constexpr std::string_view catalog = "pg_catalog";

}  // namespace

void survey::walk(const PgQuery__Node* node) {
    if (node != nullptr) walk(message_of(*node));
}

void survey::walk(const ProtobufCMessage* message) {
    if (message == nullptr) return;
    const auto* type = message->descriptor;
    if (type == &pg_query__node__descriptor) return walk(message_of(as<PgQuery__Node>(*message)));
    if (type == &pg_query__range_var__descriptor) return range_var(as<PgQuery__RangeVar>(*message));
    if (type == &pg_query__func_call__descriptor) return function(as<PgQuery__FuncCall>(*message));
    if (type == &pg_query__select_stmt__descriptor) return select(as<PgQuery__SelectStmt>(*message));
    if (type == &pg_query__insert_stmt__descriptor) return change(as<PgQuery__InsertStmt>(*message));
    if (type == &pg_query__update_stmt__descriptor) return change(as<PgQuery__UpdateStmt>(*message));
    if (type == &pg_query__delete_stmt__descriptor) return change(as<PgQuery__DeleteStmt>(*message));
    if (type == &pg_query__merge_stmt__descriptor) return change(as<PgQuery__MergeStmt>(*message));
    if (type == &pg_query__range_subselect__descriptor) return subquery_in_from(as<PgQuery__RangeSubselect>(*message));
    if (type == &pg_query__into_clause__descriptor) return into(as<PgQuery__IntoClause>(*message));
    // Its names are aliases; select() has seen it.
    if (type == &pg_query__locking_clause__descriptor) return;

    if (type == &pg_query__a__expr__descriptor) {
        expression(as<PgQuery__AExpr>(*message));
    } else if (type == &pg_query__sub_link__descriptor) {
        const auto& link = as<PgQuery__SubLink>(*message);
        operator_name(link.n_oper_name, link.oper_name);
        // In the condition of a JOIN, FOR UPDATE doesn't reach the tables of the query inside.
        const held unlocked(locking_, static_cast<const locking*>(nullptr));
        return children(*message);
    } else if (type == &pg_query__sort_by__descriptor) {
        const auto& order = as<PgQuery__SortBy>(*message);
        operator_name(order.n_use_op, order.use_op);
    } else if (type == &pg_query__type_cast__descriptor) {
        const auto* argument = as<PgQuery__TypeCast>(*message).arg;
        // TRUE and FALSE come as casts.
        const bool keyword = argument != nullptr && argument->node_case == PG_QUERY__NODE__NODE_A_CONST &&
                             argument->a_const->val_case == PG_QUERY__A__CONST__VAL_BOOLVAL;
        if (!keyword) at_least(volatility::stable);
        cast(as<PgQuery__TypeCast>(*message).type_name);
    } else if (type == &pg_query__column_ref__descriptor) {
        column(as<PgQuery__ColumnRef>(*message));
    } else if (type == &pg_query__sqlvalue_function__descriptor || type == &pg_query__xml_expr__descriptor ||
               type == &pg_query__range_table_func__descriptor) {
        at_least(volatility::stable);
        if (type == &pg_query__sqlvalue_function__descriptor &&
            as<PgQuery__SQLValueFunction>(*message).op == PG_QUERY__SQLVALUE_FUNCTION_OP__SVFOP_CURRENT_CATALOG)
            into_.place_bound = true;
    } else if (type == &pg_query__range_table_sample__descriptor) {
        // Random rows, and with REPEATABLE still others in a database that keeps the same rows in other places.
        at_least(volatility::volatile_);
    } else if (type == &pg_query__table_like_clause__descriptor) {
        const held reading(role_, role::read);
        return children(*message);
    }
    children(*message);
}

void survey::children(const ProtobufCMessage& message) {
    for_each_child(message, [this](const ProtobufCMessage& child, unsigned) { walk(&child); });
}

void survey::select(const PgQuery__SelectStmt& query) {
    // Only subquery_in_from leaves one set.
    const auto* outer = std::exchange(locking_, nullptr);
    const with_scope names(*this, query.with_clause);
    const held reading(role_, role::read);
    locking own;
    own.everything = outer != nullptr && outer->everything;
    for (const auto* clause : list(query.n_locking_clause, query.locking_clause)) {
        locks_ = true;
        const auto relations = list(clause->locking_clause->n_locked_rels, clause->locking_clause->locked_rels);
        own.everything = own.everything || relations.empty();
        for (const auto* relation : relations) own.names.insert(text_of(relation->range_var->relname));
    }
    for_each_child(query.base, [&](const ProtobufCMessage& child, unsigned field) {
        if (field == offsetof(PgQuery__SelectStmt, with_clause)) return;
        locking_ = field == offsetof(PgQuery__SelectStmt, from_clause) ? &own : nullptr;
        walk(&child);
    });
    locking_ = outer;
}

void survey::subquery_in_from(const PgQuery__RangeSubselect& from) {
    static const locking all{.everything = true, .names = {}};
    const auto alias = from.alias == nullptr ? std::string_view{} : text_of(from.alias->aliasname);
    const bool covered = locking_ != nullptr && locking_->covers(alias);
    const held inside(locking_, covered ? &all : nullptr);
    walk(from.subquery);
}

template <class Change>
void survey::change(const Change& statement) {
    writes_ = true;
    into_.modifying_cte = into_.modifying_cte || in_cte_;
    const with_scope names(*this, statement.with_clause);
    if (const auto* target = statement.relation)
        use_of(text_of(target->schemaname), text_of(target->relname)).written = true;
    const held reading(role_, role::read);
    for_each_child(statement.base, [&](const ProtobufCMessage& child, unsigned field) {
        if (field != offsetof(Change, with_clause) && field != offsetof(Change, relation)) walk(&child);
    });
}

void survey::into(const PgQuery__IntoClause& clause) {
    makes_table_ = true;
    const held making(role_, role::defined);
    children(clause.base);
    if (clause.rel != nullptr) use_of(text_of(clause.rel->schemaname), text_of(clause.rel->relname)).written = true;
}

void survey::range_var(const PgQuery__RangeVar& named) {
    const auto schema = text_of(named.schemaname);
    const auto name = text_of(named.relname);
    if (role_ == role::defined && (text_of(named.relpersistence) == "t" || schema == "pg_temp"))
        makes_temporary_ = true;
    if (role_ == role::read && schema.empty() && ctes_.contains(name)) return;
    table(schema, name);
    const auto called = named.alias == nullptr ? name : text_of(named.alias->aliasname);
    if (locking_ != nullptr && locking_->covers(called)) use_of(schema, name).locked = true;
}

void survey::table(std::string_view schema, std::string_view name) {
    auto& use = use_of(schema, name);
    switch (role_) {
        case role::read:
            use.read = true;
            break;
        case role::written:
            use.written = true;
            break;
        case role::locked:
            use.locked = true;
            break;
        case role::defined:
            use.defined = true;
            break;
    }
}

table_use& survey::use_of(std::string_view schema, std::string_view name) {
    const auto [place, is_new] = places_.try_emplace({schema, name}, into_.tables.size());
    if (is_new) into_.tables.push_back({.schema = std::string{schema}, .name = std::string{name}});
    return into_.tables[place->second];
}

// regclass and the like are OIDs, by names.
void survey::cast(const PgQuery__TypeName* to) {
    if (to == nullptr || to->n_names == 0) return;
    const auto name = name_of(to->names[to->n_names - 1]);
    if (name.starts_with("reg") || name == "oid" || name == "xid" || name == "tid") into_.place_bound = true;
}

void survey::column(const PgQuery__ColumnRef& named) {
    if (named.n_fields == 0) return;
    const auto name = name_of(named.fields[named.n_fields - 1]);
    for (const std::string_view of_the_row : {"xmin", "xmax", "cmin", "cmax", "ctid", "tableoid"})
        if (name == of_the_row) into_.place_bound = true;
}

void survey::function(const PgQuery__FuncCall& call) {
    const auto names = list(call.n_funcname, call.funcname);
    if (names.size() == 1 || (names.size() == 2 && name_of(names.front()) == catalog)) {
        const auto name = name_of(names.back());
        const auto how = function_volatility(name);
        at_least(how);
        if (tells_of_the_server(name)) into_.place_bound = true;
        if (how == volatility::volatile_ && !only_returns(name)) into_.has_side_effects = true;
        if (how == volatility::volatile_ && !writes_no_rows(name)) into_.calls_may_write = true;
        auto& called = into_.called;
        if (name == "set_config") set_config(call);
        if (name == "currval" || name == "lastval") called.sequence_value = true;
        // Those with "xact" in their name end with the transaction.
        if (name.starts_with("pg_advisory_lock") || name.starts_with("pg_try_advisory_lock"))
            called.advisory_lock = true;
        if (name.starts_with("pg_advisory_unlock")) called.advisory_unlock = true;
    } else {
        at_least(volatility::unknown);
    }
    children(call.base);
}

void survey::set_config(const PgQuery__FuncCall& call) {
    auto& called = into_.called;
    called.set_config = true;
    const auto arguments = list(call.n_args, call.args);
    const auto is_constant = [&](std::size_t index, decltype(PgQuery__AConst::val_case) of) {
        return index < arguments.size() && arguments[index]->node_case == PG_QUERY__NODE__NODE_A_CONST &&
               arguments[index]->a_const->val_case == of;
    };
    const bool known = is_constant(0, PG_QUERY__A__CONST__VAL_SVAL);
    auto name = known ? lower_case(text_of(arguments[0]->a_const->sval->sval)) : std::string{};
    if (!known || name == "synchronous_commit") called.commit_setting = true;
    if (is_constant(2, PG_QUERY__A__CONST__VAL_BOOLVAL) && arguments[2]->a_const->boolval->boolval != 0) return;
    if (!known) {
        called.unknown_setting = true;
        return;
    }
    if (std::ranges::find(called.settings, name) == called.settings.end()) called.settings.push_back(std::move(name));
}

void survey::expression(const PgQuery__AExpr& operation) {
    switch (operation.kind) {
        case PG_QUERY__A__EXPR__KIND__AEXPR_BETWEEN:
        case PG_QUERY__A__EXPR__KIND__AEXPR_NOT_BETWEEN:
        case PG_QUERY__A__EXPR__KIND__AEXPR_BETWEEN_SYM:
        case PG_QUERY__A__EXPR__KIND__AEXPR_NOT_BETWEEN_SYM:
            // Its name is BETWEEN, its operators are >= and <=.
            return at_least(operator_volatility("<="));
        default:
            operator_name(operation.n_name, operation.name);
    }
}

void survey::operator_name(std::size_t count, PgQuery__Node* const* names) {
    if (count == 0) return;
    const bool own = count == 1 || (count == 2 && name_of(names[0]) == catalog);
    at_least(own ? operator_volatility(name_of(names[count - 1])) : volatility::unknown);
}

survey::with_scope::with_scope(survey& owner, const PgQuery__WithClause* with) : owner_(owner) {
    if (with == nullptr) return;
    const auto queries = list(with->n_ctes, with->ctes);
    if (with->recursive != 0)
        for (const auto* query : queries) add(text_of(query->common_table_expr->ctename));
    const held inside(owner_.in_cte_, true);
    const held unlocked(owner_.locking_, static_cast<const locking*>(nullptr));
    for (const auto* query : queries) {
        owner_.walk(query->common_table_expr->ctequery);
        if (with->recursive == 0) add(text_of(query->common_table_expr->ctename));
    }
}

survey::with_scope::~with_scope() {
    for (const auto name : names_)
        if (const auto found = owner_.ctes_.find(name); --found->second == 0) owner_.ctes_.erase(found);
}

void survey::with_scope::add(std::string_view name) {
    ++owner_.ctes_[name];
    names_.push_back(name);
}

}  // namespace crossfade::sql
