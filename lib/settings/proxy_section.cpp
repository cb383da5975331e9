#include "lib/settings/proxy_section.hpp"

#include <algorithm>

#include "lib/settings/access.hpp"
#include "lib/settings/console_reader.hpp"
#include "lib/settings/field_reader.hpp"
#include "lib/settings/values.hpp"

namespace crossfade::settings {
namespace {

using namespace std::chrono_literals;

constexpr std::size_t most_reserved_users = 100;
constexpr std::size_t most_host_names = 1000;

// A name as it may stand in SNI (RFC 6066: a DNS name, no address), or one with a star for its first label.
bool may_stand_in_sni(std::string_view name) {
    if (name.starts_with("*.")) name.remove_prefix(2);
    const bool address = name.find_first_not_of("0123456789.") == std::string_view::npos;
    return is_host_name(name) && !address && !name.ends_with('.') && name.find("..") == std::string_view::npos;
}

host_certificate read_host(const section& from, std::vector<std::string>& known) {
    host_certificate read;
    const field_reader fields(from);
    fields.text("cert_file", read.cert_file);
    fields.text("key_file", read.key_file);
    for (const auto* key : {"names", "cert_file", "key_file"})
        if (!from.has(key)) from.out().add(from.at(key), "nothing", "names, cert_file and key_file of a host");
    for (const auto& item : from.texts("names").value_or(std::vector<scalar>{})) {
        auto name = lower_case(item.text);
        if (!may_stand_in_sni(name)) {
            from.out().add(item.at, quote_found(item.text), "a DNS name, or one whose first label is a star");
        } else if (std::find(known.begin(), known.end(), name) != known.end()) {
            from.out().add(item.at, quote_found(item.text) + ", which has a certificate already", "each name once");
        } else {
            known.push_back(name);
            read.names.push_back(std::move(name));
        }
    }
    return read;
}

void read_hosts(const section& from, listener_tls& into) {
    const auto hosts = from.items("hosts");
    if (!hosts) return;
    std::vector<std::string> known;
    for (const auto& host : *hosts) {
        into.hosts.push_back(read_host(host, known));
        if (known.size() <= most_host_names) continue;
        from.out().add(from.at("hosts"), "too many names", "at most " + std::to_string(most_host_names) + " in all");
        return;
    }
}

void read_tls(const section& from, listener_tls& into) {
    const field_reader fields(from);
    std::string mode{to_string(into.mode)};
    fields.one_of("mode", mode, {"disable", "prefer", "require", "verify-ca"});
    for (const auto each : {tls_mode::disable, tls_mode::prefer, tls_mode::require, tls_mode::verify_ca})
        if (mode == to_string(each)) into.mode = each;
    fields.text("cert_file", into.cert_file);
    fields.text("key_file", into.key_file);
    fields.text("ca_file", into.ca_file);
    fields.text("crl_file", into.crl_file);
    fields.one_of("min_version", into.min_version, {"1.2", "1.3"});
    fields.text("ciphers", into.ciphers);
    read_hosts(from, into);
    if (into.mode == tls_mode::disable) return;
    for (const auto& [key, value] : {std::pair{"cert_file", &into.cert_file}, std::pair{"key_file", &into.key_file}})
        if (value->empty() && !from.has(key)) from.out().add(from.at(key), "nothing", "a PEM file");
    if (into.mode == tls_mode::verify_ca && into.ca_file.empty() && !from.has("ca_file"))
        from.out().add(from.at("ca_file"), "nothing",
                       "a PEM file with the authorities whose client certificates are believed");
    if (!into.crl_file.empty() && into.ca_file.empty())
        from.out().add(from.at("crl_file"), quote_found(into.crl_file), "proxy.tls.ca_file with it");
}

void read_limits(const section& from, const field_reader& fields, proxy& into) {
    fields.number("max_sessions", into.max_sessions, 1, 100000);
    fields.number("max_sessions_per_user", into.max_sessions_per_user, 0, 100000);
    fields.number("max_sessions_per_database", into.max_sessions_per_database, 0, 100000);
    fields.number("reserved_sessions", into.reserved_sessions, 0, 1000);
    if (const auto users = from.list("reserved_users")) {
        if (users->size() > most_reserved_users)
            from.out().add(from.at("reserved_users"), std::to_string(users->size()) + " users",
                           "at most " + std::to_string(most_reserved_users));
        for (const auto& each : *users) into.reserved_users.push_back(each.text);
    }
    if (into.reserved_sessions >= into.max_sessions)
        from.out().add(from.at("reserved_sessions"), quote_found(std::to_string(into.reserved_sessions)),
                       "less than proxy.max_sessions");
    fields.size("max_message_bytes", into.max_message_bytes, std::size_t{64} << 10, std::size_t{1} << 30);
    fields.size("max_session_memory", into.max_session_memory, std::size_t{256} << 10, std::size_t{1} << 30);
    fields.size("max_memory", into.max_memory, std::size_t{16} << 20, std::size_t{1} << 40);
}

void read_timeouts(const field_reader& fields, proxy& into) {
    fields.duration("connect_timeout", into.connect_timeout, 100ms, 10min);
    fields.duration("login_timeout", into.login_timeout, 100ms, 10min);
    fields.duration("drain_timeout", into.drain_timeout, 0ms, 1h);
    fields.duration("idle_timeout", into.idle_timeout, 0ms, 24h * 7);
    fields.duration("idle_in_transaction_timeout", into.idle_in_transaction_timeout, 0ms, 24h * 7);
    fields.duration("query_timeout", into.query_timeout, 0ms, 24h * 7);
    fields.duration("tcp_keepalive_idle", into.tcp_keepalive_idle, 0ms, 9h);
    fields.duration("tcp_keepalive_interval", into.tcp_keepalive_interval, 0ms, 9h);
    fields.number("tcp_keepalive_count", into.tcp_keepalive_count, 0, 127);
    fields.duration("tcp_user_timeout", into.tcp_user_timeout, 0ms, 24h);
}

void read_pauses(const section& from, const field_reader& fields, proxy& into) {
    fields.duration("pause_max", into.pause_max, 1s, 1h);
    const auto console = from.below("console");
    read_console(console, into.console);
    if (into.console.pause_wait >= into.pause_max)
        from.out().add(console.at("pause_wait"), duration_text(into.console.pause_wait),
                       "less than proxy.pause_max, which is " + duration_text(into.pause_max));
}

}  // namespace

void read_proxy(const section& from, proxy& into) {
    const field_reader fields(from);
    fields.listener("listen", into.listen);
    fields.listener("admin", into.admin);
    read_tls(from.below("tls"), into.tls);
    fields.number("threads", into.threads, 0, 256);
    read_limits(from, fields, into);
    read_timeouts(fields, into);
    read_pauses(from, fields, into);
    fields.boolean("reuse_port", into.reuse_port);
    fields.boolean("io_uring", into.io_uring);
    fields.number("busy_poll_us", into.busy_poll_us, 0, 1000);
    fields.boolean("replication_sessions", into.replication_sessions);
    fields.number("statement_cache_entries", into.statement_cache_entries, 0, 1'000'000);
    fields.size("statement_cache_bytes", into.statement_cache_bytes, std::size_t{64} << 10, std::size_t{1} << 30);
    fields.duration("mirror_timeout", into.mirror_timeout, 1ms, 1min);
    fields.number("mirror_connections", into.mirror_connections, 0, 1000);
    fields.duration("mirror_ahead", into.mirror_ahead, 0ms, 1min);
    fields.duration("max_read_lag", into.max_read_lag, 50ms, 1h);
    fields.boolean("capture", into.capture);
    fields.number("max_unacknowledged_events", into.max_unacknowledged_events, 1, 1'000'000);
    read_authentication(from.below("auth"), into.auth);
    read_access(from, into);
    if (into.listen.port != 0 && into.listen == into.admin)
        from.out().add(from.at("admin"), quote_found(to_string(into.admin)), "another address than proxy.listen");
}

}  // namespace crossfade::settings
