#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <variant>
#include <vector>

namespace crossfade::sql {

struct statement;

enum class isolation_level : std::uint8_t { read_uncommitted, read_committed, repeatable_read, serializable };

// What BEGIN, START TRANSACTION and SET TRANSACTION say; absent is what they leave as it is.
struct transaction_modes {
    std::optional<isolation_level> isolation;
    std::optional<bool> read_only;
    std::optional<bool> deferrable;

    friend bool operator==(const transaction_modes&, const transaction_modes&) = default;
};

// What a statement that succeeds leaves behind in its session or transaction, a type for each kind. Names are as the
// catalog spells them; those of settings are in lower case, as PostgreSQL compares them without case.
namespace effect {

struct begin {
    transaction_modes modes;
};
struct commit {
    bool chain;
};
struct rollback {
    bool chain;
};
struct savepoint {
    std::string name;
};
struct release_savepoint {
    std::string name;
};
struct rollback_to_savepoint {
    std::string name;
};
struct prepare_transaction {};
struct commit_prepared {};
struct rollback_prepared {};
struct set_transaction {
    transaction_modes modes;
};
// SET TRANSACTION SNAPSHOT.
struct import_snapshot {};
// SET SESSION CHARACTERISTICS AS TRANSACTION.
struct set_transaction_defaults {
    transaction_modes modes;
};

// SET. TIME ZONE, NAMES, SCHEMA, ROLE and SESSION AUTHORIZATION come under the setting's own name: "timezone",
// "client_encoding", "search_path", "role", "session_authorization".
struct set_parameter {
    std::string name;
    // More than one for a list as in search_path; none for DEFAULT. An interval is one value, "INTERVAL '-08:00'".
    std::vector<std::string> values;
    bool local;
};
struct reset_parameter {
    std::string name;
};
struct reset_all {};

enum class discarded : std::uint8_t { all, plans, sequences, temporary };
struct discard {
    discarded what;
};

// PREPARE. The statement is never null; what it does, it does at EXECUTE.
struct prepare {
    std::string name;
    std::shared_ptr<const statement> prepared;
};
struct execute {
    std::string name;
    bool calm_arguments = true;  // what they call is stable or calmer
};
// Without a name: ALL.
struct deallocate {
    std::optional<std::string> name;
};

struct declare_cursor {
    std::string name;
    bool with_hold;
};
struct close_cursor {
    std::optional<std::string> name;
};
// FETCH and MOVE.
struct fetch {
    std::string cursor;
};

struct listen {
    std::string channel;
};
// Without a channel: "*".
struct unlisten {
    std::optional<std::string> channel;
};
struct notify {
    std::string channel;
};

// CREATE TEMP TABLE, VIEW or SEQUENCE, SELECT INTO TEMP, and what is created in pg_temp by name.
struct create_temporary {};

}  // namespace effect

using session_effect =
    std::variant<std::monostate, effect::begin, effect::commit, effect::rollback, effect::savepoint,
                 effect::release_savepoint, effect::rollback_to_savepoint, effect::prepare_transaction,
                 effect::commit_prepared, effect::rollback_prepared, effect::set_transaction, effect::import_snapshot,
                 effect::set_transaction_defaults, effect::set_parameter, effect::reset_parameter, effect::reset_all,
                 effect::discard, effect::prepare, effect::execute, effect::deallocate, effect::declare_cursor,
                 effect::close_cursor, effect::fetch, effect::listen, effect::unlisten, effect::notify,
                 effect::create_temporary>;

}  // namespace crossfade::sql
