#include <gmock/gmock.h>

#include <set>

#include "lib/settings/entries.hpp"
#include "lib/settings/keys.hpp"
#include "lib/settings/turned.hpp"
#include "tests/unit/settings/sample.hpp"

namespace crossfade::settings {
namespace {

using namespace std::chrono_literals;

configuration taken(const std::string& text, const environment& env = variables({})) {
    auto read = parse(text, "f.yaml", env);
    EXPECT_THAT(messages(text, env), testing::IsEmpty());
    return read ? std::move(*read) : configuration{};
}

TEST(good_files, need_little) {
    const auto read = taken(required);
    EXPECT_EQ(read.legacy.server, (endpoint{"127.0.0.1", 5432}));
    EXPECT_EQ(read.legacy.dbname, "app");
    EXPECT_EQ(read.modern.server, (endpoint{"127.0.0.1", 5433}));
    EXPECT_EQ(read.stream.slot(), "crossfade_app");
    EXPECT_EQ(read.stream.ordering, event_ordering::transaction);
    EXPECT_EQ(read.stream.topic_partitions(), 1);
    EXPECT_EQ(read.flags.defaults(), flags{});
    EXPECT_EQ(read.proxy, proxy{});
    EXPECT_EQ(read.cdc, cdc{});
}

// Every key, each with another value than its default.
const char* const whole = R"(
legacy: { dsn: "postgresql:///shop?host=/run/postgresql&port=5430&user=crossfade" }
modern: { dsn: "host=[::1] hostaddr=::1 dbname=shop2 user=crossfade password='${MODERN_PASSWORD}'" }
kafka:
  brokers: "a:9092, SSL://b:9093"
  properties: { compression.type: lz4, sasl.password: "${KAFKA_PASSWORD}" }
stream: { name: shop, tables: ["public.*", "sales.*"], heartbeat_interval: 250ms, ordering: key, partitions: 128, json_events: true, json_cleanup: compact, ddl: pause, silence_timeout: 90s,
          retained_wal_budget: 2GiB, retained_wal_action: drop-slot }
proxy:
  listen: "[::]:7000"
  admin: "0.0.0.0:0"
  threads: 4
  max_sessions: 50
  tls:
    mode: verify-ca
    cert_file: /etc/crossfade/proxy.crt
    key_file: /etc/crossfade/proxy.key
    ca_file: /etc/crossfade/clients.crt
    min_version: "1.3"
    ciphers: HIGH
    hosts:
      - { names: [Shop.example, "*.shop.example"], cert_file: /etc/crossfade/shop.crt, key_file: /etc/crossfade/shop.key }
  max_sessions_per_user: 20
  max_sessions_per_database: 30
  reserved_sessions: 3
  reserved_users: [postgres]
  max_message_bytes: 16MiB
  max_session_memory: 1MiB
  max_memory: 64MiB
  connect_timeout: 2s
  login_timeout: 2m
  drain_timeout: 0s
  idle_timeout: 1h
  idle_in_transaction_timeout: 1m
  query_timeout: 30s
  tcp_keepalive_idle: 1m
  tcp_keepalive_interval: 10s
  tcp_keepalive_count: 3
  tcp_user_timeout: 30s
  reuse_port: true
  io_uring: false
  busy_poll_us: 100
  replication_sessions: false
  pause_max: 2m
  console:
    database: admin
    admins: [root, "Über"]
    viewers: [nagios]
    trust_local: true
    max_sessions: 2
    max_rows: 500
    pause_wait: 3s
    query_timeout: 1s
  statement_cache_entries: 100
  statement_cache_bytes: 2MiB
  mirror_timeout: 250ms
  mirror_connections: 3
  mirror_ahead: 40ms
  max_read_lag: 70ms
  capture: no
  max_unacknowledged_events: 500
  auth: { mode: terminate, query: SELECT * FROM f($1), scram_iterations: 10000, max_attempts: 3, attempt_window: 5m }
cdc: { admin: "127.0.0.1:1", apply_connections: 3, batch_rows: 10, batch_bytes: 1MiB, ddl_waiting_changes: 7, verify_mirrored_percent: 20, retry_max: 100ms }
log: { format: json, level: debug }
flags:
  hybrid_mode_enabled: false
  dual_write_strategy: legacy-only
  hybrid_read_strategy: legacy
  migration_drift_tolerance: 0.25
  cutover_completed: false
  cutover_guardrail_enabled: false
  canary_percent: 100
  on_mirror_failure: fail
groups:
  orders: { tables: [public.orders, "public.order_*"], flags: { migration_drift_tolerance: 0.5 } }
tenants:
  session: "parameter:app.tenant"
  column: tenant_id
  overrides:
    acme:
      flags: { migration_drift_tolerance: 0.75 }
      groups: { orders: { flags: { migration_drift_tolerance: 1 } } }
)";

TEST(good_files, hold_every_key) {
    const auto read = taken(whole, variables({{"MODERN_PASSWORD", "p w"}, {"KAFKA_PASSWORD", "k"}}));
    EXPECT_EQ(read.legacy.server, (endpoint{"/run/postgresql", 5430}));
    EXPECT_EQ(read.modern.server, (endpoint{"::1", 5432}));
    EXPECT_THAT(read.modern.dsn, testing::HasSubstr("password='p w'"));
    EXPECT_THAT(read.kafka.properties,
                testing::ElementsAre(testing::Pair("compression.type", "lz4"), testing::Pair("sasl.password", "k")));
    EXPECT_EQ(read.stream.heartbeat_interval, 250ms);
    EXPECT_EQ(read.stream.ordering, event_ordering::key);
    EXPECT_EQ(read.stream.topic_partitions(), 128);
    EXPECT_TRUE(read.stream.json_events);
    EXPECT_EQ(read.stream.json_cleanup, cleanup_policy::compact);
    EXPECT_EQ(read.cdc.ddl_waiting_changes, 7U);
    EXPECT_EQ(read.cdc.verify_mirrored_percent, 20U);
    EXPECT_EQ(read.stream.ddl, ddl_policy::pause);
    EXPECT_EQ(read.stream.json_topic(), "crossfade.shop.json");
    EXPECT_EQ(read.stream.silence_timeout, 90s);
    EXPECT_EQ(read.stream.retained_wal_budget, std::size_t{2} << 30);
    EXPECT_EQ(read.stream.retained_wal_action, wal_action::drop_slot);
    EXPECT_EQ(read.proxy.listen, (endpoint{"::", 7000}));
    EXPECT_EQ(read.proxy.drain_timeout, 0ms);
    EXPECT_EQ(
        read.proxy.tls,
        (listener_tls{tls_mode::verify_ca,
                      "/etc/crossfade/proxy.crt",
                      "/etc/crossfade/proxy.key",
                      "/etc/crossfade/clients.crt",
                      "1.3",
                      "HIGH",
                      {{{"shop.example", "*.shop.example"}, "/etc/crossfade/shop.crt", "/etc/crossfade/shop.key"}}}));
    EXPECT_EQ(read.tenants, (tenancy{tenant_source::parameter, "app.tenant", "tenant_id"}));
    EXPECT_EQ(read.flags.resolve("", "").migration_drift_tolerance, 0.25);
    EXPECT_EQ(read.flags.resolve("orders", "").migration_drift_tolerance, 0.5);
    EXPECT_EQ(read.flags.resolve("", "acme").migration_drift_tolerance, 0.75);
    EXPECT_EQ(read.flags.resolve("orders", "acme").migration_drift_tolerance, 1);
}

// A key that is known but read by nothing would leave its default here. The flags of scopes are covered above; secrets
// of files, in secrets_test.
TEST(good_files, have_no_key_that_nothing_reads) {
    const auto before = entries_of(taken(required));
    const auto after = entries_of(taken(whole, variables({{"MODERN_PASSWORD", "p"}, {"KAFKA_PASSWORD", "k"}})));
    // stream.both_ways doesn't go with ordering: key; there is a test of its own.
    const std::set<std::string_view> one_value_only{"flags.hybrid_read_strategy", "flags.cutover_completed",
                                                    "flags.canary_percent", "stream.both_ways"};
    for (const auto& each : keys()) {
        const std::string name(each.name);
        if (name.find('<') != std::string::npos || name.ends_with("_file") || one_value_only.contains(name)) continue;
        ASSERT_TRUE(before.contains(name)) << name << " is missing from entries_of()";
        EXPECT_NE(before.at(name).text, after.at(name).text) << name;
    }
}

TEST(good_files, say_in_the_dsn_how_the_database_is_reached) {
    const auto reached = [](const std::string& options) {
        return taken("legacy: { dsn: \"postgresql://h/app" + options + "\" }\n" +
                     required.substr(required.find('\n') + 1))
            .legacy;
    };
    EXPECT_EQ(reached("").tls, server_tls(server_tls{tls_mode::prefer, "", "", "", true}));
    EXPECT_EQ(reached("").host, "h");
    EXPECT_EQ(reached("?sslmode=allow").tls, server_tls{});
    EXPECT_EQ(reached("?sslmode=verify-full&sslrootcert=/r&sslcert=/c&sslkey=/k&sslsni=0&hostaddr=10.0.0.1").tls,
              (server_tls{tls_mode::verify_full, "/r", "/c", "/k", false}));
    EXPECT_EQ(reached("?sslmode=require&sslrootcert=/r&sslcrl=/l&sslcrldir=/d&ssl_min_protocol_version=tlsv1.3").tls,
              (server_tls{.mode = tls_mode::require,
                          .ca_file = "/r",
                          .cert_file = {},
                          .key_file = {},
                          .crl_file = "/l",
                          .crl_dir = "/d",
                          .min_version = "1.3"}));
    EXPECT_EQ(reached("?ssl_min_protocol_version=TLSv1.1").tls.min_version, "1.2");
    EXPECT_EQ(reached("?hostaddr=10.0.0.1").host, "h");
    EXPECT_EQ(reached("?host=/run/postgresql").tls, server_tls{});
    EXPECT_TRUE(reached("?sslmode=require&sslrootcert=/r").tls.verifies_authority());
    EXPECT_FALSE(reached("?sslmode=require").tls.verifies_authority());
}

TEST(good_files, take_flags_from_the_environment) {
    const auto read = taken(required + "flags: { dual_write_strategy: legacy-primary, hybrid_mode_enabled: true }\n",
                            variables({{"DUAL_WRITE_STRATEGY", "modern-only"},
                                       {"HYBRID_READ_STRATEGY", "modern"},
                                       {"CUTOVER_COMPLETED", "true"},
                                       {"HYBRID_MODE_ENABLED", ""},  // empty counts as unset
                                       {"MIGRATION_DRIFT_TOLERANCE", "1e-3"}}));
    EXPECT_EQ(read.flags.defaults(),
              (flags{true, write_strategy::modern_only, read_strategy::modern, 0.001, true, true, 100}));
}

TEST(good_files, order_by_key_in_eight_partitions_unless_they_say) {
    const auto stream = [](const std::string& more) {
        return taken(required.substr(0, required.find(" }\n", required.find("stream"))) + more + " }\n").stream;
    };
    EXPECT_EQ(stream(", ordering: key").topic_partitions(), 8);
    EXPECT_EQ(stream(", ordering: key, partitions: 1").topic_partitions(), 1);
    EXPECT_EQ(stream(", ordering: transaction").topic_partitions(), 1);
}

TEST(good_files, go_both_ways_if_they_say) {
    EXPECT_FALSE(taken(required).stream.both_ways);
    EXPECT_EQ(entries_of(taken(required)).at("stream.both_ways").text, "false");
    const std::string longest(longest_name_both_ways, 'a');
    const auto read = taken(required.substr(0, required.find("stream")) + "stream: { name: " + longest +
                            ", tables: ['public.*'], both_ways: true }\n");
    EXPECT_TRUE(read.stream.both_ways);
    EXPECT_EQ(entries_of(read).at("stream.both_ways").text, "true");
}

TEST(good_files, may_read_from_a_modern_that_follows) {
    for (const std::string writes : {"legacy-primary", "mirror"})
        for (const std::string reads : {"legacy", "prefer-modern", "modern"}) {
            SCOPED_TRACE(writes + ' ' + reads);
            const auto read = taken(required + "flags: { dual_write_strategy: " + writes +
                                    ", hybrid_read_strategy: " + reads + " }\n");
            EXPECT_EQ(read.flags.may_read_at_follower(), reads != "legacy");
            EXPECT_EQ(read.proxy.max_read_lag, 1s);
        }
    EXPECT_FALSE(taken(required + "flags: { dual_write_strategy: modern-only, hybrid_read_strategy: prefer-modern }\n")
                     .flags.may_read_at_follower())
        << "what is in charge is no follower";
}

TEST(good_files, may_leave_sections_empty) {
    EXPECT_EQ(taken(required + "proxy:\nflags:\ngroups:\ntenants:\n"), taken(required));
}

TEST(good_files, may_keep_other_flags_while_hybrid_mode_is_off) {
    const auto read = taken(required +
                            "flags: { hybrid_mode_enabled: false, dual_write_strategy: modern-only, "
                            "hybrid_read_strategy: modern }\n");
    EXPECT_EQ(authority(read.flags.defaults()), side::legacy);
}

}  // namespace
}  // namespace crossfade::settings
