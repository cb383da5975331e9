#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "ctl/catalog/progress.hpp"
#include "lib/model/lsn.hpp"
#include "lib/model/table_name.hpp"
#include "lib/model/tie.hpp"
#include "lib/store/rights.hpp"

// What was found in a database, as data alone: check judges it, init and backfill plan with it.
namespace crossfade::ctl::catalog {

// pgoutput's option `messages`, without which no stream begins, and pg_xact_commit_timestamp_origin() came with 14.
inline constexpr int oldest_server = 140000;

struct column {
    std::string name;
    std::string type;  // as format_type() prints it, user types with their schema: "numeric(10,2)", "public.mood"
    std::uint32_t type_oid = 0;
    bool not_null = false;
    bool generated = false;  // GENERATED ALWAYS AS (...) STORED
    bool identity = false;
    bool filled = false;  // by a default, an identity or a generation expression when an INSERT leaves it out
};

enum class table_kind { plain, partitioned };
enum class replica_identity : char { key = 'd', nothing = 'n', full = 'f', index = 'i' };

struct table {
    std::uint32_t oid = 0;
    model::table_name name;
    table_kind kind = table_kind::plain;
    bool unlogged = false;
    replica_identity identity = replica_identity::key;
    bool row_security = false;
    bool owned = false;  // by the connecting role or one it belongs to
    bool readable = false;
    bool writable = false;  // INSERT, UPDATE, DELETE and TRUNCATE
    std::int64_t rows = 0;  // as ANALYZE saw it; partitions included
    std::int64_t bytes = 0;
    std::vector<column> columns;
    std::vector<std::string> key;  // primary key, in its order; empty: none
    // Of the replica identity by which the stream knows rows: of a partitioned table its own, whatever its leaves
    // write. Empty: FULL, NOTHING, or none.
    std::vector<std::string> identity_columns;
    // Partitions that write less of a row than the identity of a table takes for granted that is FULL or USING INDEX.
    std::vector<model::table_name> unlike_parts;
    std::vector<model::tie> ties;
    std::vector<std::string> firing_triggers;  // that fire during apply: ENABLE ALWAYS or ENABLE REPLICA
    std::vector<std::string> ordinary_triggers;

    // PostgreSQL refuses UPDATE and DELETE on a published table of this kind: the application would fail. A DEFERRABLE
    // primary key identifies no row.
    bool mute() const {
        return identity == replica_identity::nothing ||
               (identity != replica_identity::full && identity_columns.empty());
    }
};

struct foreign_key {
    std::string name;
    model::table_name from;
    model::table_name to;

    friend bool operator==(const foreign_key&, const foreign_key&) = default;
};

struct slot {
    std::string plugin;
    std::string database;
    bool active = false;
    std::string wal_status;  // reserved, extended, unreserved, lost
    std::int64_t retained_bytes = 0;
    std::optional<model::lsn> confirmed;
    std::string invalidation{};      // why it is lost (PostgreSQL 17)
    std::optional<bool> failover{};  // whether standbys take it over; empty: the server doesn't know such slots
};

// A slot of a physical standby.
struct standby_slot {
    std::string name;
    bool active = false;
};

struct publication {
    bool all_tables = false;
    bool via_root = false;
    bool every_operation = false;  // insert, update, delete, truncate
    bool filtered = false;         // has row filters or column lists
    std::vector<model::table_name> tables;
};

struct role {
    std::string name;
    bool superuser = false;
    bool replication = false;
    bool bypass_row_security = false;
    bool create_in_database = false;
    bool replica_role = false;  // may set session_replication_role
    bool origins = false;       // may create and use replication origins
};

struct store_facts {
    bool present = false;
    bool usable = false;  // the role may write to it
    std::optional<int> version;
    std::optional<catalog::progress> progress;
    std::map<std::string, std::string> table_states;  // "public.orders" -> live
};

// What notices DDL on legacy (lib/store/ddl_watch.hpp).
struct ddl_watch {
    std::int64_t watches = 0;  // event triggers that are there and enabled
    std::string policy;        // in force for the stream; empty: none, or not to be read by this role
    // Partitions, and what has some, whose TRUNCATE is not noticed.
    std::vector<std::string> unwatched = {};
};

struct database {
    int version = 0;  // 150018
    std::string version_text;
    std::string system_identifier;
    std::int64_t database_oid = 0;
    std::string name;
    bool in_recovery = false;
    std::map<std::string, std::string> settings;
    std::string encoding;
    std::string collation;
    std::string time_zone;
    std::int64_t slots_used = 0;
    std::int64_t senders_used = 0;
    std::int64_t large_objects = 0;
    catalog::role role;
    std::optional<catalog::slot> slot;
    std::vector<std::string> origins;  // replication origins of the whole cluster
    std::vector<standby_slot> standby_slots;
    std::int64_t standbys_without_slot = 0;  // servers that stream from it without one
    std::optional<catalog::publication> publication;
    store_facts store;
    ddl_watch ddl;
    std::vector<table> tables;      // that the patterns name, partitions left out where their root is in; sorted
    store::rights_by_table rights;  // of all tables and views
    std::vector<foreign_key> foreign_keys;                         // with either end among the tables
    std::map<std::string, std::optional<std::int64_t>> sequences;  // last values; nullopt: never used
    model::lsn current_wal;

    const table* find(const model::table_name& name) const;
    std::string setting(const std::string& key) const;
};

}  // namespace crossfade::ctl::catalog
