#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "lib/sql/effect.hpp"

namespace crossfade::sql {

enum class statement_kind : std::uint8_t {
    read,                 // SELECT, VALUES, TABLE, and EXPLAIN of what it doesn't run
    write,                // INSERT, UPDATE, DELETE, MERGE, TRUNCATE, CALL, DO, and WITH that has one of the first four
    ddl,                  // CREATE TABLE AS, SELECT INTO and REFRESH MATERIALIZED VIEW among them
    transaction_control,  // BEGIN to ROLLBACK PREPARED, SET TRANSACTION
    session,              // SET, SHOW, DISCARD, LISTEN, NOTIFY, PREPARE, cursors, LOAD, SET CONSTRAINTS
    copy,                 // either way
    lock,                 // LOCK TABLE
    maintenance,          // VACUUM, ANALYZE, CLUSTER, REINDEX, CHECKPOINT
    execute,              // EXECUTE and EXPLAIN of one: what it does was said at PREPARE
    other,                // anything else: to be treated as a write of anything
};
std::string_view to_string(statement_kind kind);

// As pg_proc.provolatile has it, from calm to unpredictable; `unknown` is a function that isn't PostgreSQL's own.
enum class volatility : std::uint8_t { immutable, stable, volatile_, unknown };
std::string_view to_string(volatility how);

struct table_use {
    std::string schema;  // empty where the text has none: search_path decides
    std::string name;
    bool read = false;
    bool written = false;
    bool locked = false;   // FOR UPDATE and the like, LOCK TABLE
    bool defined = false;  // named by DDL or maintenance

    friend bool operator==(const table_use&, const table_use&) = default;
};

// Functions with an effect on the session that the text calls anywhere, whether or not it comes to the call.
struct session_calls {
    bool set_config = false;
    // Settings that set_config gives a value beyond the transaction, in lower case. An argument that isn't a literal
    // leaves the name unknown; a third that isn't TRUE itself counts as false.
    std::vector<std::string> settings;
    bool unknown_setting = false;
    bool commit_setting = false;  // set_config may set synchronous_commit, for the transaction alone, too
    bool sequence_value = false;  // currval, lastval: what the session drew before
    bool advisory_lock = false;   // those that outlive the transaction
    bool advisory_unlock = false;

    friend bool operator==(const session_calls&, const session_calls&) = default;
};

// An INSERT, UPDATE or DELETE of one table and not within a CTE, for who adds to its RETURNING.
struct row_write {
    enum class operation : std::uint8_t { insert, update, remove } what = operation::insert;
    std::string schema;  // as in table_use
    std::string name;
    std::string reference;  // what RETURNING calls the target by, its alias or its name, in double quotes
    // That UPDATE or ON CONFLICT DO UPDATE assigns, in the text's order, each once; of a[1] and c.f, a and c.
    std::vector<std::string> set_columns;
    bool unbounded = false;  // plainly may be any number of rows (unbounded_writes.hpp)
    // Where to put in " item," if the statement has RETURNING, and " RETURNING item" if not, in bytes of the whole
    // text: in front of RETURNING's first item, or behind the last token. The blank in front is needed: RETURNING* is
    // SQL.
    std::size_t returning_at = 0;
};

// What is known of a statement from its text alone. Of literals it keeps those of SET. What a catalog would add stays
// unseen: views, rules, triggers, row security, functions behind operators, casts and columns (docs/adr/0011).
struct statement {
    statement_kind kind = statement_kind::other;
    // The worst of its functions and operators; a cast or CURRENT_USER counts as stable, and so do comparisons, which
    // for some types depend on the time zone.
    volatility calls = volatility::immutable;
    // Whether what it calls may write rows of tables: a function that isn't PostgreSQL's own, or runs a query of its
    // own. nextval() and random() are volatile and don't.
    bool calls_may_write = false;
    // A `read` without locks, SELECT INTO or a CTE that writes, whose calls are stable or calmer.
    bool read_only = false;
    // What it looks for or returns is of this server and not of its tables' rows: OIDs, system columns as xmin and
    // ctid, the catalogs, activity, names of databases, plans. Another database with the same rows says something else.
    bool place_bound = false;
    // Calls a function of PostgreSQL's that does more than to return a value: locks, notifies, draws, ends others.
    bool has_side_effects = false;
    bool copies_to_client = false;  // COPY of what only reads, TO STDOUT
    bool writes_rows = false;       // `write`, COPY FROM, CREATE TABLE AS; never what is left to EXECUTE
    bool unknown_tables = false;    // may touch tables that aren't in `tables`: CALL, DO, EXECUTE, unknown statements
    // DDL that may leave other rights, or other relations, of any name: REVOKE without tables, IMPORT FOREIGN SCHEMA.
    bool alters_any_table = false;
    bool modifying_cte = false;
    bool has_returning = false;
    bool has_on_conflict = false;
    session_calls called;
    // Each once, in the order of the text's tree. Names of CTEs are none; sequences, indexes and types neither.
    std::vector<table_use> tables;
    // Empty too with a CTE that writes, for what EXPLAIN, PREPARE and COPY have inside, and where a table of another
    // schema may go by the target's name.
    std::optional<row_write> rows;
    session_effect effect;
    // libpg_query's, the same for statements that differ in literals alone. It is that library's version 3.
    std::uint64_t fingerprint = 0;
    // Where it is in the text, in bytes; comments and blanks in front of it belong to it, the semicolon doesn't.
    std::size_t offset = 0;
    std::size_t length = 0;
};

}  // namespace crossfade::sql
