#include <gmock/gmock.h>
#include <librdkafka/rdkafka.h>

#include "tests/unit/settings/sample.hpp"

namespace crossfade::settings {
namespace {

struct bad_file {
    const char* name;
    std::string text;
    std::vector<std::string> expected;
    std::map<std::string, std::string> env = {};

    friend void PrintTo(const bad_file& of, std::ostream* to) { *to << of.name; }
};

class bad_files : public testing::TestWithParam<bad_file> {};

TEST_P(bad_files, are_refused_with_every_problem) {
    EXPECT_THAT(messages(GetParam().text, variables(GetParam().env)), testing::ElementsAreArray(GetParam().expected));
}

std::string dsn_of_legacy(const std::string& dsn) {
    return "legacy: { dsn: \"" + dsn + "\" }\n" + required.substr(required.find('\n') + 1);
}
std::string properties(const std::string& text) {
    auto whole = required;
    return whole.replace(whole.find("9092' }"), 7, "9092', properties: { " + text + " } }");
}
std::string stream_with(const std::string& more) {
    auto whole = required;
    return whole.insert(whole.find(" }\n", whole.find("stream")), ", " + more);
}
std::string unhappy(const std::string& allowed) {
    return "f.yaml:1: legacy.dsn: found a value (not shown); allowed: " + allowed;
}
std::string reserved(const std::string& name, const std::string& why) {
    return "f.yaml:3: kafka.properties." + name +
           ": found a property that is Crossfade's own; allowed: everything but this one; " + why;
}

const std::string sections = "legacy, modern, kafka, stream, proxy, cdc, log, flags, groups, tenants";
const std::string uri = "postgresql://user@host:5432/dbname";
const std::string connection_string =
    "a libpq connection string: postgresql://user@host:5432/dbname (characters such as @ : / % in a password written "
    "as %40 and so on), or host=… port=… dbname=… user=…";
const std::string one_hand =
    "a value that keeps legacy in charge, as the flags at the top do: scopes change hands by themselves with "
    "stream.both_ways";
const std::string pattern = "schema.table, unquoted and in the catalog's case; a star for any run of characters";

INSTANTIATE_TEST_SUITE_P(
    shape, bad_files,
    testing::Values(
        bad_file{"empty",
                 "",
                 {"f.yaml:1: legacy.dsn: found nothing; allowed: dsn or dsn_file: " + uri,
                  "f.yaml:1: modern.dsn: found nothing; allowed: dsn or dsn_file: " + uri,
                  "f.yaml:1: kafka.brokers: found nothing; allowed: host:port, several with commas between them",
                  "f.yaml:1: stream.name: found nothing; allowed: a lower-case letter, then up to 39 lower-case "
                  "letters, digits and underscores",
                  "f.yaml:1: stream.tables: found nothing; allowed: a list of schema.table, such as [\"public.*\"]"}},
        bad_file{"no_mapping", "[a, b]",
                 [] {
                     auto all = messages("");
                     all.insert(all.begin(), "f.yaml:1: found a list; allowed: a mapping of " + sections);
                     return all;
                 }()},
        bad_file{"no_yaml",
                 required + "flags: [\n",
                 {"f.yaml:6: found no valid YAML; allowed: YAML (end of sequence flow not found)"}},
        bad_file{"unknown_anchor_is_not_repeated",
                 required + "log: { level: *hunter2 }\n",
                 {"f.yaml:5: found no valid YAML; allowed: YAML (the referenced anchor is not defined)"}},
        bad_file{"bad_escapes_are_not_repeated",
                 required + "log: { level: \"\\q\" }\n",
                 {"f.yaml:5: found no valid YAML; allowed: YAML (unknown escape character)"}},
        bad_file{"two_documents", required + "---\nlog: {}\n", {"f.yaml:6: found a second document; allowed: one"}},
        bad_file{"unknown_section_with_a_neighbour",
                 required + "flag: {}\n",
                 {"f.yaml:5: flag: found an unknown key; allowed: did you mean flags? Known here: " + sections}},
        bad_file{"unknown_key",
                 required + "log: { colour: red }\n",
                 {"f.yaml:5: log.colour: found an unknown key; allowed: format, level"}},
        bad_file{"unknown_flag",
                 required + "flags:\n  hybrid_mode_enabled: true\n  dual_write_stategy: legacy-only\n",
                 {"f.yaml:7: flags.dual_write_stategy: found an unknown key; allowed: did you mean "
                  "dual_write_strategy? Known here: hybrid_mode_enabled, dual_write_strategy, hybrid_read_strategy, "
                  "migration_drift_tolerance, cutover_completed, cutover_guardrail_enabled, canary_percent, "
                  "on_mirror_failure"}},
        bad_file{"twice",
                 required + "log: { level: info }\nproxy: {}\nlog: { level: warn }\n",
                 {"f.yaml:7: log: found the key a second time; allowed: each key once; the first is in line 5"}},
        bad_file{"wrong_shapes",
                 required + "log: { level: [info] }\nproxy: 6432\ngroups: { g: { tables: public.a } }\n",
                 {"f.yaml:5: log.level: found a list; allowed: a single value",
                  "f.yaml:6: proxy: found a text; allowed: a mapping of listen, admin, tls, threads, "
                  "max_sessions, max_sessions_per_user, max_sessions_per_database, reserved_sessions, reserved_users, "
                  "max_message_bytes, max_session_memory, max_memory, connect_timeout, login_timeout, drain_timeout, "
                  "idle_timeout, "
                  "idle_in_transaction_timeout, query_timeout, tcp_keepalive_idle, tcp_keepalive_interval, "
                  "tcp_keepalive_count, tcp_user_timeout, reuse_port, io_uring, busy_poll_us, replication_sessions, "
                  "pause_max, "
                  "console, "
                  "statement_cache_entries, statement_cache_bytes, mirror_timeout, mirror_connections, mirror_ahead, "
                  "max_read_lag, capture, "
                  "max_unacknowledged_events, "
                  "auth, access",
                  "f.yaml:7: groups.g.tables: found a text; allowed: a list"}},
        bad_file{"a_dsn_as_a_key_is_not_repeated",
                 required + "log: { 'postgresql://app:hunter2@h/app': x }\n",
                 {"f.yaml:5: log.(not shown): found an unknown key; allowed: format, level"}}),
    [](const auto& each) { return each.param.name; });

INSTANTIATE_TEST_SUITE_P(
    values, bad_files,
    testing::Values(
        bad_file{"out_of_bounds",
                 required + "proxy:\n  threads: 257\n  max_sessions: 0\n  connect_timeout: 5\n  login_timeout: 1d\n"
                            "  max_message_bytes: 2GiB\n  capture: maybe\n  max_unacknowledged_events: -1\n"
                            "cdc:\n  batch_rows: 1e3\n  batch_bytes: 1KB\n  retry_max: 1ms\n  admin: ':9631'\n  "
                            "ddl_waiting_changes: 0\n  verify_mirrored_percent: 101\n",
                 {"f.yaml:6: proxy.threads: found '257'; allowed: 0 to 256",
                  "f.yaml:7: proxy.max_sessions: found '0'; allowed: 1 to 100000",
                  "f.yaml:8: proxy.connect_timeout: found '5'; allowed: 100ms to 10m",
                  "f.yaml:9: proxy.login_timeout: found '1d'; allowed: 100ms to 10m",
                  "f.yaml:10: proxy.max_message_bytes: found '2GiB'; allowed: 64KiB to 1GiB",
                  "f.yaml:11: proxy.capture: found 'maybe'; allowed: true or false",
                  "f.yaml:12: proxy.max_unacknowledged_events: found '-1'; allowed: 1 to 1000000",
                  "f.yaml:14: cdc.batch_rows: found '1e3'; allowed: 1 to 100000",
                  "f.yaml:15: cdc.batch_bytes: found '1KB'; allowed: 64KiB to 1GiB",
                  "f.yaml:16: cdc.retry_max: found '1ms'; allowed: 10ms to 5m",
                  "f.yaml:17: cdc.admin: found ':9631'; allowed: host:port such as 127.0.0.1:6432, 0.0.0.0:6432 or "
                  "[::1]:6432; port 0 takes a free one",
                  "f.yaml:18: cdc.ddl_waiting_changes: found '0'; allowed: 1 to 1000000000",
                  "f.yaml:19: cdc.verify_mirrored_percent: found '101'; allowed: 0 to 100"}},
        bad_file{"tls_without_files",
                 required + "proxy: { tls: { mode: verify-ca, min_version: 1.1 } }\n",
                 {"f.yaml:5: proxy.tls.min_version: found '1.1'; allowed: 1.2, 1.3",
                  "f.yaml:5: proxy.tls.cert_file: found nothing; allowed: a PEM file",
                  "f.yaml:5: proxy.tls.key_file: found nothing; allowed: a PEM file",
                  "f.yaml:5: proxy.tls.ca_file: found nothing; allowed: a PEM file with the authorities whose client "
                  "certificates are believed"}},
        bad_file{
            "tls_of_hosts",
            required +
                "proxy:\n  tls:\n    hosts:\n"
                "      - { names: [db.example, 10.0.0.1, DB.example, \"a.*.example\"], cert_file: /c, key_file: /k }\n"
                "      - { cert_file: /c }\n"
                "      - { names: db.example, cert_file: /c, key_file: /k, ca_file: /a }\n",
            {"f.yaml:8: proxy.tls.hosts.1.names: found '10.0.0.1'; allowed: a DNS name, or one whose first label is a "
             "star",
             "f.yaml:8: proxy.tls.hosts.1.names: found 'DB.example', which has a certificate already; allowed: each "
             "name once",
             "f.yaml:8: proxy.tls.hosts.1.names: found 'a.*.example'; allowed: a DNS name, or one whose first label "
             "is a star",
             "f.yaml:9: proxy.tls.hosts.2.names: found nothing; allowed: names, cert_file and key_file of a host",
             "f.yaml:9: proxy.tls.hosts.2.key_file: found nothing; allowed: names, cert_file and key_file of a host",
             "f.yaml:10: proxy.tls.hosts.3.ca_file: found an unknown key; allowed: names, cert_file, key_file",
             "f.yaml:10: proxy.tls.hosts.3.names: found 'db.example', which has a certificate already; allowed: "
             "each name once"}},
        bad_file{"limits",
                 required + "proxy: { max_sessions: 5, reserved_sessions: 5, idle_timeout: 169h }\n",
                 {"f.yaml:5: proxy.reserved_sessions: found '5'; allowed: less than proxy.max_sessions",
                  "f.yaml:5: proxy.idle_timeout: found '169h'; allowed: 0ms to 168h"}},
        bad_file{"log",
                 required + "log: { format: xml, level: verbose }\n",
                 {"f.yaml:5: log.format: found 'xml'; allowed: text or json",
                  "f.yaml:5: log.level: found 'verbose'; allowed: trace, debug, info, warn, error, critical"}},
        bad_file{"stream",
                 required.substr(0, required.find("stream")) +
                     "stream:\n  name: My-App\n  heartbeat_interval: 10ms\n  tables: [orders, pg_catalog.pg_class, "
                     "'crossfade.*', public.a, public.a]\n",
                 {"f.yaml:5: stream.name: found 'My-App'; allowed: a lower-case letter, then up to 39 lower-case "
                  "letters, digits and underscores",
                  "f.yaml:6: stream.heartbeat_interval: found '10ms'; allowed: 100ms to 1m",
                  "f.yaml:7: stream.tables: found 'orders'; allowed: " + pattern,
                  "f.yaml:7: stream.tables: found 'pg_catalog.pg_class'; allowed: tables of the application",
                  "f.yaml:7: stream.tables: found 'crossfade.*'; allowed: tables of the application",
                  "f.yaml:7: stream.tables: found 'public.a' a second time; allowed: each pattern once"}},
        bad_file{
            "both_ways_by_key",
            stream_with("ordering: key, both_ways: true"),
            {"f.yaml:4: stream.ordering: found 'key' with stream.both_ways; allowed: transaction (a flip waits for "
             "one place in commit order)"}},
        bad_file{"both_ways_with_a_long_name",
                 "legacy: { dsn: 'postgresql://app@127.0.0.1:5432/app' }\n"
                 "modern: { dsn: 'postgresql://app@127.0.0.1:5433/app' }\n"
                 "kafka: { brokers: '127.0.0.1:9092' }\n"
                 "stream: { name: a23456789_123456789_123456789_123456, tables: ['public.*'], both_ways: true }\n",
                 {"f.yaml:4: stream.name: found 'a23456789_123456789_123456789_123456' with stream.both_ways; allowed: "
                  "35 characters at most, as the way back's ends in _back"}},
        bad_file{"ordering",
                 stream_with("ordering: rows"),
                 {"f.yaml:4: stream.ordering: found 'rows'; allowed: transaction, key"}},
        bad_file{"too_many_partitions",
                 stream_with("ordering: key, partitions: 129"),
                 {"f.yaml:4: stream.partitions: found '129'; allowed: 1 to 128"}},
        bad_file{"no_partitions",
                 stream_with("ordering: key, partitions: 0"),
                 {"f.yaml:4: stream.partitions: found '0'; allowed: 1 to 128"}},
        bad_file{"partitions_of_commit_order",
                 stream_with("partitions: 4"),
                 {"f.yaml:4: stream.partitions: found a number of partitions with stream.ordering: transaction; "
                  "allowed: leave it out, as commit order needs one partition, or stream.ordering: key"}},
        bad_file{"one_address_for_both",
                 required + "proxy: { listen: '0.0.0.0:9630', admin: '0.0.0.0:9630' }\n",
                 {"f.yaml:5: proxy.admin: found '0.0.0.0:9630'; allowed: another address than proxy.listen"}},
        bad_file{"console",
                 required + "proxy:\n  pause_max: 5s\n  console:\n    database: app\n    admins: [ann, ann, \"\"]\n"
                            "    viewers: [bob, ann]\n    max_rows: 0\n    pause_wait: 5s\n",
                 {"f.yaml:8: proxy.console.database: found 'app'; allowed: another name than the application's "
                  "database has",
                  "f.yaml:9: proxy.console.admins: found 'ann' a second time; allowed: each user once",
                  "f.yaml:9: proxy.console.admins: found ''; allowed: names of 1 to 63 bytes without control "
                  "characters",
                  "f.yaml:10: proxy.console.viewers: found 'ann', who is in admins too; allowed: each user once",
                  "f.yaml:11: proxy.console.max_rows: found '0'; allowed: 1 to 100000",
                  "f.yaml:12: proxy.console.pause_wait: found 5s; allowed: less than proxy.pause_max, which is 5s"}},
        bad_file{"tenants",
                 required + "tenants: { session: app.tenant, column: '' }\n",
                 {"f.yaml:5: tenants.session: found 'app.tenant'; allowed: none, user, database, or parameter:NAME as "
                  "in parameter:app.tenant",
                  "f.yaml:5: tenants.column: found ''; allowed: the name of a column, 1 to 63 bytes without "
                  "control characters"}},
        bad_file{"overrides_that_nothing_reads",
                 required + "tenants:\n  overrides: { acme: {} }\n",
                 {"f.yaml:6: tenants.overrides: found overrides for tenants that nothing tells apart; allowed: "
                  "tenants.session or tenants.column beside them"}},
        bad_file{"names_that_would_break_a_log",
                 required + "tenants: { session: user, overrides: { \"a\\nb\": {} } }\n",
                 {"f.yaml:5: tenants.overrides.(not shown): found a tenant of this name; allowed: 1 to 255 bytes "
                  "without control characters"}},
        bad_file{"groups",
                 required + "groups:\n  orders: { tables: [public.orders] }\n  'or ders': { tables: [public.x] }\n"
                            "  late: { tables: [public.orders] }\n  none: {}\ntenants:\n  session: user\n"
                            "  overrides: { acme: { groups: { order: {} } } }\n",
                 {"f.yaml:7: groups.(not shown): found a group of this name; allowed: 1 to 63 letters, digits, _ and -",
                  "f.yaml:8: groups.late.tables: found 'public.orders', which is in group orders too; allowed: a table "
                  "in one group at most",
                  "f.yaml:9: groups.none.tables: found nothing; allowed: a list of schema.table, such as "
                  "[\"public.*\"]",
                  "f.yaml:12: tenants.overrides.acme.groups.order: found a group that is not there; allowed: did you "
                  "mean orders? Groups: late, none, or ders, orders"}}),
    [](const auto& each) { return each.param.name; });

INSTANTIATE_TEST_SUITE_P(
    secrets, bad_files,
    testing::Values(
        bad_file{"no_dsn_at_all", dsn_of_legacy("hunter2"), {unhappy(connection_string)}},
        bad_file{
            "broken_uri", dsn_of_legacy("postgresql://app:hunter2@h/app?sslmoode=x"), {unhappy(connection_string)}},
        bad_file{"no_host", dsn_of_legacy("dbname=app"), {unhappy("a dsn that names the host: " + uri)}},
        bad_file{"service",
                 dsn_of_legacy("service=app"),
                 {unhappy("host, port and dbname in the dsn itself instead of service=")}},
        bad_file{"no_dbname", dsn_of_legacy("postgresql://app@h"), {unhappy("a dsn that names the database: " + uri)}},
        bad_file{"several_hosts",
                 dsn_of_legacy("postgresql://app@a,b/app"),
                 {unhappy("one host: sessions are relayed to a single server (put a load balancer or a virtual IP in "
                          "front of several)")}},
        bad_file{"abstract_socket",
                 dsn_of_legacy("host=@app dbname=app"),
                 {unhappy("a host name, an address, or a directory with a Unix socket that begins with /")}},
        bad_file{"bad_port", dsn_of_legacy("host=h port=70000 dbname=app"), {unhappy("a port from 1 to 65535")}},
        bad_file{
            "channel_binding",
            dsn_of_legacy("postgresql://app:hunter2@h/app?sslmode=require&channel_binding=require"),
            {unhappy("no gssencmode=require and no channel_binding=require: sessions are relayed, and neither goes "
                     "through a relay (sslmode=verify-full protects the way to the database)")}},
        bad_file{"newest_tls",
                 dsn_of_legacy("postgresql://app:hunter2@h/app?ssl_max_protocol_version=TLSv1.2"),
                 {unhappy("no ssl_max_protocol_version: the relay of sessions doesn't heed it")}},
        bad_file{"user_of_the_server",
                 dsn_of_legacy("host=/run/postgresql dbname=app requirepeer=postgres"),
                 {unhappy("no requirepeer: the relay of sessions doesn't heed it")}},
        bad_file{"oldest_tls",
                 dsn_of_legacy("postgresql://app:hunter2@h/app?ssl_min_protocol_version=TLSv2"),
                 {unhappy("ssl_min_protocol_version=TLSv1, TLSv1.1, TLSv1.2 or TLSv1.3")}},
        bad_file{"revoked_of_whom",
                 dsn_of_legacy("postgresql://app:hunter2@h/app?sslmode=require&sslcrl=/c.crl"),
                 {unhappy("sslrootcert and sslmode=require, verify-ca or verify-full beside sslcrl or sslcrldir: "
                          "otherwise no certificate is looked at")}},
        bad_file{"nobody_to_believe",
                 dsn_of_legacy("postgresql://app:hunter2@h/app?sslmode=verify-full"),
                 {unhappy("sslrootcert beside sslmode=verify-ca or verify-full: a file with the authorities to "
                          "believe")}},
        bad_file{"certificate_without_key",
                 dsn_of_legacy("postgresql://app:hunter2@h/app?sslcert=/c.pem"),
                 {unhappy("both sslcert and sslkey, or neither")}},
        bad_file{"ssl_mode",
                 dsn_of_legacy("postgresql://app:hunter2@h/app?sslmode=maybe"),
                 {unhappy("sslmode=disable, allow, prefer, require, verify-ca or verify-full")}},
        bad_file{"unset_variable",
                 dsn_of_legacy("postgresql://app:${PW}@h/app"),
                 {unhappy("the environment variable PW, which is not set")}},
        bad_file{"endless_variable",
                 dsn_of_legacy("postgresql://app:${PW@h/app"),
                 {unhappy("${NAME} with the name of an environment variable; $${ stands for ${")}},
        bad_file{"one_database_for_both",
                 dsn_of_legacy("host=127.0.0.1 port=5433 dbname=app"),
                 {"f.yaml:2: modern: found the database that legacy names; allowed: another one"}},
        bad_file{"missing_secret_file",
                 "legacy: { dsn_file: /no/such/file }\n" + required.substr(required.find('\n') + 1),
                 {"f.yaml:1: legacy.dsn_file: found '/no/such/file'; allowed: a file that can be read: No such file "
                  "or directory"}},
        bad_file{"both_ways",
                 "legacy: { dsn: x, dsn_file: y }\n" + required.substr(required.find('\n') + 1),
                 {"f.yaml:1: legacy.dsn_file: found both dsn and dsn_file; allowed: one of them"}},
        bad_file{"brokers_with_credentials",
                 "legacy: { dsn: 'host=a dbname=b' }\nmodern: { dsn: 'host=b dbname=b' }\n"
                 "kafka: { brokers: 'SASL_SSL://app:hunter2@h' }\nstream: { name: a, tables: ['*.*'] }\n",
                 {"f.yaml:3: kafka.brokers: found a text that may hold credentials (not shown); allowed: host:port, "
                  "several with commas between them"}},
        bad_file{"properties",
                 properties("sasl.pasword: hunter2, linger.ms: hunter2, acks: '0', group.id: mine, sasl.username: [x]"),
                 {"f.yaml:3: kafka.properties.sasl.pasword: found a value (not shown); allowed: a property of "
                  "librdkafka " +
                      std::string(rd_kafka_version_str()),
                  "f.yaml:3: kafka.properties.linger.ms: found a value (not shown); allowed: a value that librdkafka "
                  "takes for this property (see its CONFIGURATION.md)",
                  reserved("acks", "nothing may be lost: Crossfade sets it itself"),
                  reserved("group.id", "crossfade-cdc names its group after the stream"),
                  "f.yaml:3: kafka.properties.sasl.username: found a list; allowed: a single value"}}),
    [](const auto& each) { return each.param.name; });

INSTANTIATE_TEST_SUITE_P(
    flags, bad_files,
    testing::Values(
        bad_file{
            "values",
            required + "flags:\n  hybrid_mode_enabled: perhaps\n  dual_write_strategy: mirrored\n"
                       "  hybrid_read_strategy: both\n  migration_drift_tolerance: 1.5\n  canary_percent: 101\n  "
                       "on_mirror_failure: stop\n",
            {"f.yaml:6: flags.hybrid_mode_enabled: found 'perhaps'; allowed: true or false",
             "f.yaml:7: flags.dual_write_strategy: found 'mirrored'; allowed: legacy-only, legacy-primary, mirror, "
             "prefer-modern or modern-only",
             "f.yaml:8: flags.hybrid_read_strategy: found 'both'; allowed: legacy, prefer-modern or modern",
             "f.yaml:9: flags.migration_drift_tolerance: found '1.5'; allowed: a share of rows from 0 to 1, such "
             "as 0.0005",
             "f.yaml:10: flags.canary_percent: found '101'; allowed: a whole number from 0 to 100",
             "f.yaml:11: flags.on_mirror_failure: found 'stop'; allowed: stream or fail"}},
        bad_file{
            "not_built_yet",
            required +
                "flags: { dual_write_strategy: prefer-modern, hybrid_read_strategy: compare, canary_percent: 10 }\n"
                "groups:\n  g: { tables: [a.b], flags: { dual_write_strategy: prefer-modern, "
                "hybrid_read_strategy: compare } }\n",
            {"f.yaml:4: stream.both_ways: found 'false' with dual_write_strategy: prefer-modern; allowed: true "
             "(modern's changes go to legacy by a stream of their own)",
             "f.yaml:5: flags.hybrid_read_strategy: found 'compare'; allowed: legacy, prefer-modern or modern (compare "
             "is not built yet)",
             "f.yaml:5: flags.canary_percent: found '10'; allowed: 100 (a canary of less is not built yet)",
             "f.yaml:7: groups.g.flags.hybrid_read_strategy: found 'compare'; allowed: legacy, prefer-modern or "
             "modern (compare is not built yet)"}},
        bad_file{"reads_from_the_other_side",
                 required + "flags: { dual_write_strategy: legacy-only, hybrid_read_strategy: modern }\n",
                 {"f.yaml:5: flags.hybrid_read_strategy: found 'modern'; allowed: legacy under dual_write_strategy "
                  "legacy-only: nothing brings modern the rows"}},
        bad_file{"reads_from_the_other_side_in_a_tenant",
                 required + "flags: { dual_write_strategy: legacy-only }\ntenants:\n  session: user\n  overrides:\n"
                            "    t: { flags: { hybrid_read_strategy: prefer-modern } }\n",
                 {"f.yaml:9: tenants.overrides.t.flags.hybrid_read_strategy: found 'prefer-modern'; allowed: legacy "
                  "under dual_write_strategy legacy-only: nothing brings modern the rows"}},
        bad_file{"reads_of_a_follower_by_key",
                 std::string{required}.replace(required.find("stream: {"), 9, "stream: { ordering: key,") +
                     "flags: { hybrid_read_strategy: prefer-modern }\n",
                 {"f.yaml:4: stream.ordering: found 'key' with hybrid_read_strategy on modern under legacy; allowed: "
                  "transaction (how far modern is behind is told in commit order)"}},
        bad_file{"read_lag",
                 required + "proxy: { max_read_lag: 10ms }\n",
                 {"f.yaml:5: proxy.max_read_lag: found '10ms'; allowed: 50ms to 1h"}},
        bad_file{"default_reads_from_the_other_side",
                 required + "flags: { dual_write_strategy: modern-only }\n",
                 {"f.yaml:5: flags.hybrid_read_strategy: found its default, 'legacy'; allowed: modern or "
                  "prefer-modern under dual_write_strategy modern-only: what is in charge is read"}},
        bad_file{"completed_under_legacy",
                 required + "flags: { cutover_completed: true }\n",
                 {"f.yaml:5: flags.cutover_completed: found 'true'; allowed: false while legacy is in charge "
                  "(dual_write_strategy is legacy-primary); true goes with modern-only"}},
        bad_file{"completed_without_hybrid_mode",
                 required +
                     "flags: { hybrid_mode_enabled: false, dual_write_strategy: modern-only, cutover_completed: true "
                     "}\n",
                 {"f.yaml:5: flags.cutover_completed: found 'true'; allowed: false while legacy is in charge "
                  "(hybrid_mode_enabled is false)"}},
        bad_file{"another_hand_in_a_group",
                 required + "groups:\n  g: { tables: [a.b], flags: { dual_write_strategy: modern-only, "
                            "hybrid_read_strategy: modern } }\n",
                 {"f.yaml:6: groups.g.flags.dual_write_strategy: found 'modern-only'; allowed: " + one_hand}},
        bad_file{"another_hand_by_the_master_switch",
                 required + "flags: { hybrid_mode_enabled: false, dual_write_strategy: modern-only }\n"
                            "groups:\n  g: { tables: [a.b], flags: { hybrid_mode_enabled: true } }\n",
                 {"f.yaml:7: groups.g.flags.hybrid_mode_enabled: found 'true'; allowed: " + one_hand}},
        bad_file{"another_hand_in_a_tenant_and_its_group",
                 required + "groups:\n  g: { tables: [a.b] }\ntenants:\n  session: user\n  overrides:\n    t:\n"
                            "      flags: { dual_write_strategy: modern-only }\n    u:\n      groups:\n"
                            "        g: { flags: { dual_write_strategy: modern-only } }\n",
                 {"f.yaml:11: tenants.overrides.t.flags.dual_write_strategy: found 'modern-only'; allowed: " + one_hand,
                  "f.yaml:14: tenants.overrides.u.groups.g.flags.dual_write_strategy: found 'modern-only'; allowed: " +
                      one_hand}},
        bad_file{
            "failing_without_connections",
            required + "proxy: { mirror_connections: 0 }\nflags: { dual_write_strategy: mirror }\n"
                       "groups:\n  g: { tables: [a.b], flags: { on_mirror_failure: fail } }\n",
            {"f.yaml:5: proxy.mirror_connections: found '0' with on_mirror_failure: fail; allowed: 1 to 1000 (what "
             "the stream alone brings is committed on legacy already)"}},
        bad_file{"environment",
                 required + "flags: { canary_percent: 7 }\n",
                 {"environment: DUAL_WRITE_STRATEGY: found 'dual'; allowed: legacy-only, legacy-primary, mirror, "
                  "prefer-modern or modern-only",
                  "f.yaml:5: flags.canary_percent: found '7'; allowed: 100 (a canary of less is not built yet)"},
                 {{"DUAL_WRITE_STRATEGY", "dual"}, {"CANARY_PERCENT", "100"}}},
        bad_file{"environment_and_file_together",
                 required + "flags: { dual_write_strategy: legacy-only }\n",
                 {"environment: HYBRID_READ_STRATEGY: found 'modern'; allowed: legacy under dual_write_strategy "
                  "legacy-only: nothing brings modern the rows"},
                 {{"HYBRID_READ_STRATEGY", "modern"}}}),
    [](const auto& each) { return each.param.name; });

TEST(bad_files, that_are_not_there) {
    const auto read = load("/no/such/file.yaml", variables({}));
    ASSERT_FALSE(read);
    EXPECT_EQ(to_string(read.error().problems.at(0)),
              "/no/such/file.yaml: found a file that can't be read (No such file or directory); allowed: a YAML file");
}

}  // namespace
}  // namespace crossfade::settings
