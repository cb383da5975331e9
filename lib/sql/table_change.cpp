#include "lib/sql/table_change.hpp"

#include <algorithm>
#include <array>

#include "lib/sql/nesting.hpp"
#include "lib/sql/nodes.hpp"
#include "lib/sql/parse_tree.hpp"

namespace crossfade::sql {

namespace {

constexpr std::size_t most_bytes = std::size_t{64} << 10;

// The type's own name, without pg_catalog, which the grammar puts in front of its keywords.
std::string_view type_name(const PgQuery__TypeName* type) {
    return type == nullptr || type->n_names == 0 ? std::string_view{} : name_of(type->names[type->n_names - 1]);
}

template <std::size_t size>
bool among(std::string_view name, const std::array<std::string_view, size>& names) {
    return std::ranges::find(names, name) != names.end();
}

bool is_of_postgresql(const PgQuery__TypeName* type) {
    return type != nullptr && (type->n_names == 1 || (type->n_names == 2 && name_of(type->names[0]) == "pg_catalog"));
}

// Whose values a text or a number gives alike whatever a session's settings are. Not those of times, of intervals
// (IntervalStyle) and of money (lc_monetary), nor of names (search_path), nor any of one's own: a domain may be any of
// them.
bool reads_alike(const PgQuery__TypeName* type) {
    constexpr auto names = std::to_array<std::string_view>(
        {"bool",           "int2",         "int4",      "int8",      "float4",   "float8",
         "numeric",        "text",         "bpchar",    "varchar",   "char",     "name",
         "uuid",           "json",         "jsonb",     "bytea",     "bit",      "varbit",
         "inet",           "cidr",         "macaddr",   "macaddr8",  "oid",      "point",
         "tsquery",        "tsvector",     "int4range", "int8range", "numrange", "int4multirange",
         "int8multirange", "nummultirange"});
    return is_of_postgresql(type) && among(type_name(type), names);
}

// To which everything that is converted without USING is converted alike whatever a session's settings are. Not to
// texts, which are written as the session writes times, intervals, bytes and numbers; nor to numeric, for money's sake.
bool converts_alike(const PgQuery__TypeName* type) {
    constexpr auto names =
        std::to_array<std::string_view>({"int2", "int4", "int8", "float4", "float8", "json", "jsonb"});
    return is_of_postgresql(type) && among(type_name(type), names);
}

constexpr std::string_view no_constant = "a new column's default is no constant";
constexpr std::string_view a_time = "a new column's default is a time";
constexpr std::string_view read_by_settings =
    "what a new column's default is read as may depend on the session's settings";

// A value that both sides compute alike, whenever they do. 'now' is one for a text, and none for a time.
std::string_view default_objection(const PgQuery__Node* value, const PgQuery__TypeName* of) {
    constexpr auto times =
        std::to_array<std::string_view>({"date", "time", "timetz", "timestamp", "timestamptz", "interval", "daterange",
                                         "tsrange", "tstzrange", "datemultirange", "tsmultirange", "tstzmultirange"});
    if (value == nullptr) return {};
    if (value->node_case == PG_QUERY__NODE__NODE_TYPE_CAST) {
        if (const auto objection = default_objection(value->type_cast->arg, value->type_cast->type_name);
            !objection.empty())
            return objection;
        return default_objection(value->type_cast->arg, of);
    }
    if (value->node_case == PG_QUERY__NODE__NODE_A_ARRAY_EXPR) {
        for (const auto* each : list(value->a_array_expr->n_elements, value->a_array_expr->elements))
            if (const auto objection = default_objection(each, of); !objection.empty()) return objection;
        return reads_alike(of) ? std::string_view{} : read_by_settings;
    }
    if (value->node_case != PG_QUERY__NODE__NODE_A_CONST) return no_constant;
    if (value->a_const->isnull != 0) return {};
    if (among(type_name(of), times)) return a_time;
    const bool text = value->a_const->val_case == PG_QUERY__A__CONST__VAL_SVAL;
    // A backslash, by standard_conforming_strings.
    if (!reads_alike(of) || (text && text_of(value->a_const->sval->sval).find('\\') != std::string_view::npos))
        return read_by_settings;
    return {};
}

std::string_view new_column_objection(const PgQuery__Node* def) {
    constexpr std::array<std::string_view, 6> serials{"serial",  "bigserial", "smallserial",
                                                      "serial4", "serial8",   "serial2"};
    if (def == nullptr || def->node_case != PG_QUERY__NODE__NODE_COLUMN_DEF) return "a column that isn't understood";
    const auto& column = *def->column_def;
    if (among(type_name(column.type_name), serials)) return "a new column draws its values from a sequence";
    if (const auto objection = default_objection(column.raw_default, column.type_name); !objection.empty())
        return objection;
    for (const auto* each : list(column.n_constraints, column.constraints)) {
        if (each->node_case != PG_QUERY__NODE__NODE_CONSTRAINT) return "a column that isn't understood";
        switch (each->constraint->contype) {
            case PG_QUERY__CONSTR_TYPE__CONSTR_NULL:
            case PG_QUERY__CONSTR_TYPE__CONSTR_NOTNULL:
            case PG_QUERY__CONSTR_TYPE__CONSTR_CHECK:
                break;
            case PG_QUERY__CONSTR_TYPE__CONSTR_DEFAULT:
                if (const auto objection = default_objection(each->constraint->raw_expr, column.type_name);
                    !objection.empty())
                    return objection;
                break;
            default:
                return "a new column with a constraint of another kind than NOT NULL and CHECK";
        }
    }
    return {};
}

bool has_default(const PgQuery__ColumnDef& column) {
    return column.raw_default != nullptr ||
           std::ranges::any_of(list(column.n_constraints, column.constraints), [](const auto* each) {
               return each->node_case == PG_QUERY__NODE__NODE_CONSTRAINT &&
                      each->constraint->contype == PG_QUERY__CONSTR_TYPE__CONSTR_DEFAULT;
           });
}

std::string_view constraint_objection(const PgQuery__Node* def) {
    if (def == nullptr || def->node_case != PG_QUERY__NODE__NODE_CONSTRAINT)
        return "a constraint that isn't understood";
    switch (def->constraint->contype) {
        case PG_QUERY__CONSTR_TYPE__CONSTR_CHECK:
        case PG_QUERY__CONSTR_TYPE__CONSTR_PRIMARY:
        case PG_QUERY__CONSTR_TYPE__CONSTR_UNIQUE:
            return {};
        default:
            return "a constraint of another kind than CHECK, UNIQUE and PRIMARY KEY";
    }
}

// Of a type that is read alike rows are as they were, or else computed anew: those that converts_alike() doesn't know.
std::string_view type_objection(const PgQuery__Node* def) {
    if (def == nullptr || def->node_case != PG_QUERY__NODE__NODE_COLUMN_DEF) return "a column that isn't understood";
    if (def->column_def->raw_default != nullptr) return "USING may compute something else there";
    return reads_alike(def->column_def->type_name) ? std::string_view{}
                                                   : "the conversion may depend on the session's settings";
}

bool is_cosmetic(PgQuery__AlterTableType what) {
    switch (what) {
        case PG_QUERY__ALTER_TABLE_TYPE__AT_SetStatistics:
        case PG_QUERY__ALTER_TABLE_TYPE__AT_SetOptions:
        case PG_QUERY__ALTER_TABLE_TYPE__AT_ResetOptions:
        case PG_QUERY__ALTER_TABLE_TYPE__AT_SetStorage:
        case PG_QUERY__ALTER_TABLE_TYPE__AT_SetCompression:
        case PG_QUERY__ALTER_TABLE_TYPE__AT_ChangeOwner:
        case PG_QUERY__ALTER_TABLE_TYPE__AT_ClusterOn:
        case PG_QUERY__ALTER_TABLE_TYPE__AT_DropCluster:
        case PG_QUERY__ALTER_TABLE_TYPE__AT_SetTableSpace:
        case PG_QUERY__ALTER_TABLE_TYPE__AT_SetAccessMethod:
        case PG_QUERY__ALTER_TABLE_TYPE__AT_SetRelOptions:
        case PG_QUERY__ALTER_TABLE_TYPE__AT_ResetRelOptions:
        case PG_QUERY__ALTER_TABLE_TYPE__AT_ReplicaIdentity:
        case PG_QUERY__ALTER_TABLE_TYPE__AT_EnableRowSecurity:
        case PG_QUERY__ALTER_TABLE_TYPE__AT_DisableRowSecurity:
        case PG_QUERY__ALTER_TABLE_TYPE__AT_ForceRowSecurity:
        case PG_QUERY__ALTER_TABLE_TYPE__AT_NoForceRowSecurity:
            return true;
        default:
            return what >= PG_QUERY__ALTER_TABLE_TYPE__AT_EnableTrig &&
                   what <= PG_QUERY__ALTER_TABLE_TYPE__AT_DisableRule;
    }
}

std::string_view objection_to(const PgQuery__AlterTableCmd& command) {
    if (command.behavior == PG_QUERY__DROP_BEHAVIOR__DROP_CASCADE) return "CASCADE may drop what is not the same there";
    switch (command.subtype) {
        case PG_QUERY__ALTER_TABLE_TYPE__AT_AddColumn:
            return new_column_objection(command.def);
        case PG_QUERY__ALTER_TABLE_TYPE__AT_AddConstraint:
            return constraint_objection(command.def);
        case PG_QUERY__ALTER_TABLE_TYPE__AT_AlterColumnType:
            return type_objection(command.def);
        case PG_QUERY__ALTER_TABLE_TYPE__AT_ColumnDefault:  // of rows to come, which bring their values with them
        case PG_QUERY__ALTER_TABLE_TYPE__AT_DropColumn:
        case PG_QUERY__ALTER_TABLE_TYPE__AT_DropConstraint:
        case PG_QUERY__ALTER_TABLE_TYPE__AT_DropNotNull:
        case PG_QUERY__ALTER_TABLE_TYPE__AT_SetNotNull:
        case PG_QUERY__ALTER_TABLE_TYPE__AT_ValidateConstraint:
            return {};
        case PG_QUERY__ALTER_TABLE_TYPE__AT_AttachPartition:
        case PG_QUERY__ALTER_TABLE_TYPE__AT_DetachPartition:
        case PG_QUERY__ALTER_TABLE_TYPE__AT_DetachPartitionFinalize:
            return "the partition's rows are not in the stream";
        default:
            return "a kind of ALTER TABLE that is not known to be the same there";
    }
}

void read(const PgQuery__AlterTableStmt& statement, table_change& to) {
    if (statement.objtype != PG_QUERY__OBJECT_TYPE__OBJECT_TABLE || statement.relation == nullptr) {
        to.obstacle = "not an ALTER TABLE";
        return;
    }
    to.schema = text_of(statement.relation->schemaname);
    to.table = text_of(statement.relation->relname);
    to.cosmetic = to.converts = true;
    for (const auto* each : list(statement.n_cmds, statement.cmds)) {
        if (each->node_case != PG_QUERY__NODE__NODE_ALTER_TABLE_CMD) {
            to.obstacle = "a kind of ALTER TABLE that is not known to be the same there";
            to.cosmetic = to.converts = false;
            return;
        }
        const auto& command = *each->alter_table_cmd;
        const bool cosmetic = is_cosmetic(command.subtype);
        const bool retypes = command.subtype == PG_QUERY__ALTER_TABLE_TYPE__AT_AlterColumnType;
        if (retypes) to.retyped.emplace_back(text_of(command.name));
        if (command.subtype == PG_QUERY__ALTER_TABLE_TYPE__AT_AddColumn && command.def != nullptr &&
            command.def->node_case == PG_QUERY__NODE__NODE_COLUMN_DEF && !has_default(*command.def->column_def))
            to.added.emplace_back(text_of(command.def->column_def->colname));
        const auto objection = objection_to(command);
        if (to.obstacle.empty()) to.obstacle = objection;
        to.cosmetic = to.cosmetic && cosmetic;
        const bool alike = objection.empty() && (!retypes || converts_alike(command.def->column_def->type_name));
        to.converts = to.converts && (cosmetic || alike);
        if (objection == no_constant || objection == a_time) {
            if (command.missing_ok != 0)
                to.computes_if_new.emplace_back(text_of(command.def->column_def->colname));
            else
                to.computes = true;
        }
        to.brings_rows = to.brings_rows || command.subtype == PG_QUERY__ALTER_TABLE_TYPE__AT_AttachPartition;
    }
}

void read(const PgQuery__RenameStmt& statement, table_change& to) {
    const bool column = statement.rename_type == PG_QUERY__OBJECT_TYPE__OBJECT_COLUMN &&
                        statement.relation_type == PG_QUERY__OBJECT_TYPE__OBJECT_TABLE;
    const bool constraint = statement.rename_type == PG_QUERY__OBJECT_TYPE__OBJECT_TABCONSTRAINT;
    if (statement.relation == nullptr || !(column || constraint)) {
        to.obstacle = statement.rename_type == PG_QUERY__OBJECT_TYPE__OBJECT_TABLE
                          ? "what is known of a table is known by its name"
                          : "not an ALTER TABLE";
        return;
    }
    to.schema = text_of(statement.relation->schemaname);
    to.table = text_of(statement.relation->relname);
    to.cosmetic = constraint;
    to.converts = true;
    if (statement.behavior == PG_QUERY__DROP_BEHAVIOR__DROP_CASCADE)
        to.obstacle = "CASCADE may change what is not the same there";
}

}  // namespace

table_change read_table_change(std::string_view text) {
    table_change made;
    made.obstacle = "not an ALTER TABLE";
    if (text.size() > most_bytes) return made;
    const std::string ended{text};
    if (ended.find('\0') != std::string::npos || may_nest_too_deep(ended.c_str())) return made;
    const auto tree = parse_tree::of(ended.c_str(), ended.size());
    if (!tree) return made;
    const auto statements = tree->statements();
    if (statements.size() != 1) {
        made.obstacle = "one of several statements that were sent together";
        return made;
    }
    const auto* node = statements.front()->stmt;
    if (node == nullptr) return made;
    if (node->node_case == PG_QUERY__NODE__NODE_ALTER_TABLE_STMT) {
        made.obstacle.clear();
        read(*node->alter_table_stmt, made);
    } else if (node->node_case == PG_QUERY__NODE__NODE_RENAME_STMT) {
        made.obstacle.clear();
        read(*node->rename_stmt, made);
    }
    return made;
}

}  // namespace crossfade::sql
