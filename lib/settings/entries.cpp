#include "lib/settings/entries.hpp"

#include <string_view>

#include "lib/settings/flag_text.hpp"
#include "lib/settings/values.hpp"

namespace crossfade::settings {
namespace {

std::string list_text(const std::vector<std::string>& items) {
    std::string text = "[";
    for (const auto& item : items) text += (text.size() > 1 ? ", " : "") + item;
    return text + "]";
}

std::string names_text(const auth::names& of) {
    return of.all ? "all" : list_text(of.exact);
}
std::string origins_text(const auth::origins& of) {
    if (of.all) return "all";
    std::vector<std::string> all;
    for (const auto& each : of.ranges) all.push_back(to_string(each));
    if (of.local) all.emplace_back("local");
    return list_text(all);
}

class collector {
  public:
    // `name` is the key's name in keys(); `path` the same with the operator's names in it.
    void add(std::string_view name, const std::string& path, std::string text) {
        const auto* known = find_key(name);
        // A key that isn't in the list counts as what does least harm: a secret that needs a restart.
        const key like = known != nullptr ? *known : key{name, takes_effect::at_start, shown::never};
        all_[path] = {std::move(text), like.when, like.value};
    }
    void add(std::string_view name, std::string text) { add(name, std::string(name), std::move(text)); }

    void add_flags(std::string_view name, const std::string& path, const flag_overrides& of) {
        for (const auto flag : flag_names)
            if (auto text = flag_text(of, flag)) add(name, path + '.' + std::string(flag), std::move(*text));
    }

    entries take() { return std::move(all_); }

  private:
    entries all_;
};

std::string session_text(const tenancy& of) {
    switch (of.session) {
        case tenant_source::none:
            return "none";
        case tenant_source::parameter:
            return "parameter:" + of.parameter;
        case tenant_source::user:
            return "user";
        case tenant_source::database:
            return "database";
    }
    return "";
}

void add_flag_set(collector& to, const flag_set& of) {
    const auto top = as_overrides(of.defaults());
    for (const auto flag : flag_names) {
        const auto name = "flags." + std::string(flag);
        to.add(name, name, flag_text(top, flag).value_or(""));
    }
    for (const auto& [name, group] : of.groups()) {
        to.add("groups.<group>.tables", "groups." + name + ".tables", list_text(group.tables));
        to.add_flags("groups.<group>.flags", "groups." + name + ".flags", group.overrides);
    }
    for (const auto& [name, tenant] : of.tenants()) {
        const auto path = "tenants.overrides." + name;
        to.add_flags("tenants.overrides.<tenant>.flags", path + ".flags", tenant.overrides);
        for (const auto& [group, overrides] : tenant.groups) {
            auto key = path;
            key.append(".groups.").append(group).append(".flags");
            to.add_flags("tenants.overrides.<tenant>.groups.<group>.flags", key, overrides);
        }
    }
}

void add_tls(collector& to, const listener_tls& of) {
    to.add("proxy.tls.mode", std::string(to_string(of.mode)));
    to.add("proxy.tls.cert_file", of.cert_file);
    to.add("proxy.tls.key_file", of.key_file);
    to.add("proxy.tls.ca_file", of.ca_file);
    to.add("proxy.tls.crl_file", of.crl_file);
    to.add("proxy.tls.min_version", of.min_version);
    to.add("proxy.tls.ciphers", of.ciphers);
    for (std::size_t i = 0; i < of.hosts.size(); ++i) {
        const auto add = [&](const std::string& key, std::string text) {
            to.add("proxy.tls.hosts.<host>." + key, "proxy.tls.hosts." + std::to_string(i + 1) + '.' + key,
                   std::move(text));
        };
        add("names", list_text(of.hosts[i].names));
        add("cert_file", of.hosts[i].cert_file);
        add("key_file", of.hosts[i].key_file);
    }
}

void add_authentication(collector& to, const authentication& of) {
    to.add("proxy.auth.mode", std::string(to_string(of.mode)));
    to.add("proxy.auth.users_file", of.users_file + ' ' + of.users.digest());
    to.add("proxy.auth.query", of.query);
    to.add("proxy.auth.scram_iterations", std::to_string(of.scram_iterations));
    to.add("proxy.auth.max_attempts", std::to_string(of.attempts.most));
    to.add("proxy.auth.attempt_window", duration_text(of.attempts.window));
}

void add_access(collector& to, const access_rules& of) {
    for (std::size_t i = 0; i < of.size(); ++i) {
        const auto add = [&](const std::string& key, std::string text) {
            to.add("proxy.access.<rule>." + key, "proxy.access." + std::to_string(i + 1) + '.' + key, std::move(text));
        };
        add("from", origins_text(of[i].from));
        add("users", names_text(of[i].users));
        add("databases", names_text(of[i].databases));
        add("tls", std::string(to_string(of[i].tls)));
        add("method", std::string(to_string(of[i].method)));
    }
}

void add_console(collector& to, const console& of) {
    to.add("proxy.console.database", of.database);
    to.add("proxy.console.admins", list_text(of.admins));
    to.add("proxy.console.viewers", list_text(of.viewers));
    to.add("proxy.console.trust_local", boolean_text(of.trust_local));
    to.add("proxy.console.max_sessions", std::to_string(of.max_sessions));
    to.add("proxy.console.max_rows", std::to_string(of.max_rows));
    to.add("proxy.console.pause_wait", duration_text(of.pause_wait));
    to.add("proxy.console.query_timeout", duration_text(of.query_timeout));
}

}  // namespace

entries entries_of(const configuration& of) {
    collector to;
    // Where a dsn came from (file, environment) is not kept: the dsn itself is what counts.
    to.add("legacy.dsn", of.legacy.dsn);
    to.add("modern.dsn", of.modern.dsn);
    to.add("kafka.brokers", of.kafka.brokers);
    for (const auto& [name, value] : of.kafka.properties)
        to.add("kafka.properties.<property>", "kafka.properties." + name, value);
    to.add("stream.name", of.stream.name);
    to.add("stream.tables", list_text(of.stream.tables));
    to.add("stream.heartbeat_interval", duration_text(of.stream.heartbeat_interval));
    to.add("stream.ordering", std::string(to_string(of.stream.ordering)));
    to.add("stream.partitions", std::to_string(of.stream.topic_partitions()));
    to.add("stream.both_ways", boolean_text(of.stream.both_ways));
    to.add("stream.json_events", boolean_text(of.stream.json_events));
    to.add("stream.json_cleanup", std::string(to_string(of.stream.json_cleanup)));
    to.add("stream.ddl", std::string(to_string(of.stream.ddl)));
    to.add("stream.silence_timeout", duration_text(of.stream.silence_timeout));
    to.add("stream.retained_wal_budget", size_text(of.stream.retained_wal_budget));
    to.add("stream.retained_wal_action", std::string(to_string(of.stream.retained_wal_action)));
    to.add("proxy.listen", to_string(of.proxy.listen));
    to.add("proxy.admin", to_string(of.proxy.admin));
    add_tls(to, of.proxy.tls);
    to.add("proxy.threads", std::to_string(of.proxy.threads));
    to.add("proxy.max_sessions", std::to_string(of.proxy.max_sessions));
    to.add("proxy.max_sessions_per_user", std::to_string(of.proxy.max_sessions_per_user));
    to.add("proxy.max_sessions_per_database", std::to_string(of.proxy.max_sessions_per_database));
    to.add("proxy.reserved_sessions", std::to_string(of.proxy.reserved_sessions));
    to.add("proxy.reserved_users", list_text(of.proxy.reserved_users));
    to.add("proxy.max_message_bytes", size_text(of.proxy.max_message_bytes));
    to.add("proxy.max_session_memory", size_text(of.proxy.max_session_memory));
    to.add("proxy.max_memory", size_text(of.proxy.max_memory));
    to.add("proxy.connect_timeout", duration_text(of.proxy.connect_timeout));
    to.add("proxy.login_timeout", duration_text(of.proxy.login_timeout));
    to.add("proxy.drain_timeout", duration_text(of.proxy.drain_timeout));
    to.add("proxy.idle_timeout", duration_text(of.proxy.idle_timeout));
    to.add("proxy.idle_in_transaction_timeout", duration_text(of.proxy.idle_in_transaction_timeout));
    to.add("proxy.query_timeout", duration_text(of.proxy.query_timeout));
    to.add("proxy.tcp_keepalive_idle", duration_text(of.proxy.tcp_keepalive_idle));
    to.add("proxy.tcp_keepalive_interval", duration_text(of.proxy.tcp_keepalive_interval));
    to.add("proxy.tcp_keepalive_count", std::to_string(of.proxy.tcp_keepalive_count));
    to.add("proxy.tcp_user_timeout", duration_text(of.proxy.tcp_user_timeout));
    to.add("proxy.reuse_port", boolean_text(of.proxy.reuse_port));
    to.add("proxy.io_uring", boolean_text(of.proxy.io_uring));
    to.add("proxy.busy_poll_us", std::to_string(of.proxy.busy_poll_us));
    to.add("proxy.replication_sessions", boolean_text(of.proxy.replication_sessions));
    to.add("proxy.pause_max", duration_text(of.proxy.pause_max));
    add_console(to, of.proxy.console);
    to.add("proxy.statement_cache_entries", std::to_string(of.proxy.statement_cache_entries));
    to.add("proxy.statement_cache_bytes", size_text(of.proxy.statement_cache_bytes));
    to.add("proxy.mirror_timeout", duration_text(of.proxy.mirror_timeout));
    to.add("proxy.mirror_connections", std::to_string(of.proxy.mirror_connections));
    to.add("proxy.mirror_ahead", duration_text(of.proxy.mirror_ahead));
    to.add("proxy.max_read_lag", duration_text(of.proxy.max_read_lag));
    to.add("proxy.capture", boolean_text(of.proxy.capture));
    to.add("proxy.max_unacknowledged_events", std::to_string(of.proxy.max_unacknowledged_events));
    add_authentication(to, of.proxy.auth);
    add_access(to, of.proxy.access);
    to.add("cdc.admin", to_string(of.cdc.admin));
    to.add("cdc.apply_connections", std::to_string(of.cdc.apply_connections));
    to.add("cdc.batch_rows", std::to_string(of.cdc.batch_rows));
    to.add("cdc.batch_bytes", size_text(of.cdc.batch_bytes));
    to.add("cdc.ddl_waiting_changes", std::to_string(of.cdc.ddl_waiting_changes));
    to.add("cdc.verify_mirrored_percent", std::to_string(of.cdc.verify_mirrored_percent));
    to.add("cdc.retry_max", duration_text(of.cdc.retry_max));
    to.add("log.format", of.log.format == log_format::json ? "json" : "text");
    to.add("log.level", of.log.level);
    to.add("tenants.session", session_text(of.tenants));
    to.add("tenants.column", of.tenants.column);
    add_flag_set(to, of.flags);
    return to.take();
}

std::vector<difference> differences(const configuration& from, const configuration& to) {
    const auto before = entries_of(from);
    const auto after = entries_of(to);
    const auto show = [](const configured* of) {
        return of == nullptr ? std::string("(not set)") : of->text.empty() ? std::string("(empty)") : of->text;
    };
    std::vector<difference> found;
    const auto note = [&](const std::string& key, const configured* old, const configured* now) {
        const auto& either = old != nullptr ? *old : *now;
        const bool secret = either.value == shown::never;
        found.push_back({key, key + ": " + (secret ? "changed" : show(old) + " -> " + show(now)), either.when});
    };
    for (const auto& [key, old] : before) {
        const auto now = after.find(key);
        if (now == after.end())
            note(key, &old, nullptr);
        else if (now->second != old)
            note(key, &old, &now->second);
    }
    for (const auto& [key, now] : after)
        if (!before.contains(key)) note(key, nullptr, &now);
    return found;
}

}  // namespace crossfade::settings
