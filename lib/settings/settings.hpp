#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "lib/auth/access.hpp"
#include "lib/auth/attempt_limiter.hpp"
#include "lib/auth/credential.hpp"
#include "lib/auth/user_list.hpp"
#include "lib/settings/console.hpp"
#include "lib/settings/flags.hpp"

namespace crossfade::settings {

// host:port of a listener or a server; a host that begins with '/' is a directory with a Unix socket.
struct endpoint {
    std::string host;
    std::uint16_t port = 0;

    friend bool operator==(const endpoint&, const endpoint&) = default;
};
std::string to_string(const endpoint& at);

// As libpq's sslmode; allow, which only a client that can start over can heed, counts as disable.
enum class tls_mode { disable, prefer, require, verify_ca, verify_full };
std::string_view to_string(tls_mode mode);

// TLS from the proxy to a database: what the dsn says of it.
struct server_tls {
    tls_mode mode = tls_mode::disable;
    std::string ca_file;  // "system" for the operating system's
    std::string cert_file;
    std::string key_file;
    bool sni = true;
    std::string crl_file{};  // what was revoked, PEM
    std::string crl_dir{};   // the same, by OpenSSL's names
    std::string min_version = "1.2";

    // libpq's rule: a root certificate that is named is heeded under require too.
    bool verifies_authority() const {
        return mode >= tls_mode::verify_ca || (mode == tls_mode::require && !ca_file.empty());
    }
    friend bool operator==(const server_tls&, const server_tls&) = default;
};

// The certificate for clients that ask for one of these names, by SNI.
struct host_certificate {
    std::vector<std::string> names;  // lower case; "*.example.com" for what has one label more
    std::string cert_file;           // PEM, with the chain
    std::string key_file;

    friend bool operator==(const host_certificate&, const host_certificate&) = default;
};

// TLS from clients to the proxy.
struct listener_tls {
    tls_mode mode = tls_mode::disable;  // prefer: who asks for it gets it; verify_ca: and shows a certificate
    std::string cert_file;              // PEM, with the chain
    std::string key_file;
    std::string ca_file;  // whom client certificates are believed
    std::string min_version = "1.2";
    std::string ciphers;                    // OpenSSL's list for TLS 1.2; empty: its default
    std::vector<host_certificate> hosts{};  // who asks for none of their names gets cert_file
    std::string crl_file{};                 // of those that ca_file vouches for, the revoked ones

    friend bool operator==(const listener_tls&, const listener_tls&) = default;
};

struct database {
    std::string dsn;     // libpq conninfo or URI, secrets resolved. Never logged.
    endpoint server;     // what the relay of client sessions connects to, from the dsn
    std::string dbname;  // from the dsn
    server_tls tls{};    // from the dsn
    std::string host{};  // as the dsn names it, for verification: hostaddr may be what is connected to

    friend bool operator==(const database&, const database&) = default;
};

struct kafka {
    std::string brokers;
    std::map<std::string, std::string>
        properties;  // handed to librdkafka as they stand. May hold secrets: never logged.

    friend bool operator==(const kafka&, const kafka&) = default;
};

// What is done when the stream's slot keeps more WAL than its budget.
enum class wal_action {
    alert,     // it is said
    drop_slot  // and the slot is dropped: legacy's disk goes before the stream
};
std::string_view to_string(wal_action action);

// cleanup.policy of json_topic(): what its messages' keys have to be good for (docs/events.md).
enum class cleanup_policy { remove, compact };
std::string_view to_string(cleanup_policy policy);  // "delete", "compact"

// What order the stream's topic keeps (docs/adr/0020).
enum class event_ordering {
    transaction,  // commit order, whole transactions: one partition
    key           // that of each row: many partitions, for several crossfade-cdc
};
std::string_view to_string(event_ordering order);

// What is done about DDL of legacy's captured tables (docs/adr/0016).
enum class ddl_policy {
    note,    // recorded; the stream goes on
    pause,   // a table whose rows can't go on being applied waits for an operator
    pass,    // run on modern, too, where that is known to come out the same; otherwise as `pause`
    refuse,  // legacy refuses it
};
std::string_view to_string(ddl_policy policy);

struct stream {
    std::string name;                 // [a-z][a-z0-9_]{0,39}: part of slot, publication and topic
    std::vector<std::string> tables;  // patterns of model::matches
    std::chrono::milliseconds heartbeat_interval{1000};
    event_ordering ordering = event_ordering::transaction;
    unsigned partitions = 8;   // of topic(), where it is ordered by key
    bool json_events = false;  // published to json_topic() as well, in Debezium's shape
    cleanup_policy json_cleanup = cleanup_policy::remove;
    ddl_policy ddl = ddl_policy::note;  // in force since the last `crossfade init`
    // Whether modern's changes are carried to legacy, too, by a stream of their own (turned.hpp), and the databases
    // themselves say which of them is the authority (docs/adr/0024).
    bool both_ways = false;
    // Of a database that owes the stream an answer; then its connection counts as broken.
    std::chrono::milliseconds silence_timeout{60000};
    std::size_t retained_wal_budget = std::size_t{50} << 30;  // bytes that the slot may keep on legacy
    wal_action retained_wal_action = wal_action::alert;

    std::string slot() const { return "crossfade_" + name; }
    std::string publication() const { return "crossfade_" + name; }
    std::string topic() const { return "crossfade." + name + ".changes"; }
    std::string json_topic() const { return "crossfade." + name + ".json"; }
    std::string dead_letter_topic() const { return "crossfade." + name + ".deadletters"; }
    bool by_key() const { return ordering == event_ordering::key; }
    int topic_partitions() const { return by_key() ? static_cast<int>(partitions) : 1; }

    friend bool operator==(const stream&, const stream&) = default;
};

enum class auth_mode {
    relay,     // the database authenticates the client, the proxy passes their messages on
    terminate  // the proxy authenticates the client, and logs in to the database itself
};
std::string_view to_string(auth_mode mode);

// How clients show who they are. Users and query count under auth_mode::terminate.
struct authentication {
    auth_mode mode = auth_mode::relay;
    std::string users_file;                             // as the file names it; empty: none
    auth::user_list users;                              // its content. Secret: never logged.
    std::string query{auth::default_credential_query};  // for users who aren't in the list; empty: nobody is asked
    unsigned scram_iterations = auth::default_scram_iterations;
    auth::attempt_limit attempts;

    friend bool operator==(const authentication&, const authentication&) = default;
};

// Never empty: without rules in the file there is one that lets everybody in by the mode's own method.
using access_rules = auth::access_rules;

struct proxy {
    endpoint listen{"127.0.0.1", 6432};
    endpoint admin{"127.0.0.1", 9630};
    listener_tls tls;
    unsigned threads = 0;  // event loops; 0: one per core
    unsigned max_sessions = 1000;
    unsigned max_sessions_per_user = 0;      // 0: no other limit
    unsigned max_sessions_per_database = 0;  // likewise
    unsigned reserved_sessions = 0;          // of max_sessions, for reserved_users alone
    std::vector<std::string> reserved_users;
    std::size_t max_message_bytes = std::size_t{1} << 30;
    std::size_t max_session_memory = std::size_t{16} << 20;  // of ours, that one session may take
    std::size_t max_memory = std::size_t{1} << 30;           // and all of them
    std::chrono::milliseconds connect_timeout{5000};
    std::chrono::milliseconds login_timeout{60000};
    std::chrono::milliseconds drain_timeout{30000};  // on SIGTERM, for transactions in flight
    std::chrono::milliseconds idle_timeout{0};       // 0, here and below: none
    std::chrono::milliseconds idle_in_transaction_timeout{0};
    std::chrono::milliseconds query_timeout{0};
    std::chrono::milliseconds tcp_keepalive_idle{0};  // 0: the system's
    std::chrono::milliseconds tcp_keepalive_interval{0};
    unsigned tcp_keepalive_count = 0;
    std::chrono::milliseconds tcp_user_timeout{0};
    bool reuse_port = false;           // SO_REUSEPORT: another process may listen beside this one
    bool io_uring = true;              // what a loop sends in one round goes to the kernel in one call
    unsigned busy_poll_us = 0;         // how long a loop of one session asks for what comes next, before it sleeps
    bool replication_sessions = true;  // relayed to legacy, or refused
    std::chrono::milliseconds pause_max{300000};     // how long a PAUSE holds, if nobody resumes
    std::chrono::milliseconds mirror_timeout{1000};  // an answer under `mirror` waits for the follower so long at most
    unsigned mirror_connections = 16;  // to modern, for rows that are written there before legacy commits; 0: none
    // For how long a transaction that has not ended may have rows there, locked; 0: they are sent when it ends.
    std::chrono::milliseconds mirror_ahead{100};
    // Reads under `prefer-modern` go to modern while it lacks nothing that is older than this.
    std::chrono::milliseconds max_read_lag{1000};
    struct console console;
    bool capture = true;                      // whether this proxy takes part in publishing
    unsigned statement_cache_entries = 5000;  // of each event loop, here and below
    std::size_t statement_cache_bytes = std::size_t{16} << 20;
    unsigned max_unacknowledged_events = 100000;  // given to librdkafka and not yet acknowledged
    access_rules access{auth::access_rule{}};
    authentication auth;

    friend bool operator==(const proxy&, const proxy&) = default;
};

struct cdc {
    endpoint admin{"127.0.0.1", 9631};
    unsigned batch_rows = 2000;                       // rows in one transaction on the follower, at most
    std::size_t batch_bytes = std::size_t{16} << 20;  // bytes of events held for one batch, at most
    unsigned apply_connections = 2;                   // that write batches side by side while behind; 1: none does
    std::size_t ddl_waiting_changes = 1'000'000;      // of tables that wait for DDL, at most; beyond it all wait
    unsigned verify_mirrored_percent = 100;           // of the transactions that proxies have written to modern
    std::chrono::milliseconds retry_max{5000};        // backoff's upper bound

    friend bool operator==(const cdc&, const cdc&) = default;
};

enum class log_format { text, json };

struct log {
    log_format format = log_format::text;
    std::string level = "info";

    friend bool operator==(const log&, const log&) = default;
};

// Where a session's and a row's tenant come from.
enum class tenant_source { none, parameter, user, database };

struct tenancy {
    tenant_source session = tenant_source::none;
    std::string parameter;  // for tenant_source::parameter: a start-up parameter or GUC, "app.tenant"
    std::string column;     // of a row; empty: rows have no tenant

    friend bool operator==(const tenancy&, const tenancy&) = default;
};

// One whole configuration file, checked.
struct configuration {
    database legacy;
    database modern;
    struct kafka kafka;
    struct stream stream;
    struct proxy proxy;
    struct cdc cdc;
    struct log log;
    tenancy tenants;
    flag_set flags;
    // The side in whose place `legacy` stands: legacy itself but for the way back (turned.hpp), whose changes come from
    // modern. For messages.
    side source = side::legacy;

    std::string_view source_name() const { return to_string(source); }
    std::string_view follower_name() const { return to_string(source == side::legacy ? side::modern : side::legacy); }
    const database& database_of(side which) const { return which == side::modern ? modern : legacy; }
    // Of whatever has no word of its own.
    side authority() const { return settings::authority(flags.defaults()); }
    // Of a session's statements whose tables aren't known.
    side authority_of(std::string_view tenant) const { return settings::authority(flags.resolve({}, tenant)); }

    friend bool operator==(const configuration&, const configuration&) = default;
};

}  // namespace crossfade::settings
