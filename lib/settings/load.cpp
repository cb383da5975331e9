#include "lib/settings/load.hpp"

#include <yaml-cpp/yaml.h>

#include <algorithm>
#include <set>

#include "lib/settings/clashes.hpp"
#include "lib/settings/documents.hpp"
#include "lib/settings/dsn.hpp"
#include "lib/settings/field_reader.hpp"
#include "lib/settings/flag_reader.hpp"
#include "lib/settings/kafka_properties.hpp"
#include "lib/settings/proxy_section.hpp"
#include "lib/settings/section.hpp"
#include "lib/settings/suggest.hpp"

namespace crossfade::settings {
namespace {

constexpr std::size_t most_bytes = 4 * 1024 * 1024;
constexpr std::size_t most_patterns = 10000;
constexpr std::size_t most_groups = 1000;
constexpr unsigned most_partitions = 128;  // each takes a connection of modern's
constexpr std::size_t most_tenants = 10000;
constexpr std::size_t most_tenant_groups = 20000;  // of all tenants: YAML's aliases could make 10^7 of a small file

using namespace std::chrono_literals;

std::string hidden() {
    return "a value (not shown)";
}

// A secret stands in the file, with ${NAME} for parts from the environment, or in a file of its own.
std::optional<scalar> secret(const section& from, std::string_view key, const environment& env) {
    const std::string file_key = std::string(key) + "_file";
    const auto text = from.text(key);
    const auto path = from.text(file_key);
    if (text && path) {
        from.out().add(path->at, "both " + std::string(key) + " and " + file_key, "one of them");
        return std::nullopt;
    }
    if (text) {
        const auto expanded = expand(text->text, env);
        if (expanded) return scalar{*expanded, text->at};
        from.out().add(text->at, hidden(), expanded.error().text);
    }
    if (path) {
        const auto content = read_secret(path->text, from.out().file());
        if (content) return scalar{*content, path->at};
        from.out().add(path->at, quote_found(path->text), content.error().text);
    }
    return std::nullopt;
}

void read_database(const section& from, const environment& env, database& into) {
    const auto dsn = secret(from, "dsn", env);
    if (!dsn) {
        if (!from.has("dsn") && !from.has("dsn_file"))
            from.out().add(from.at("dsn"), "nothing", "dsn or dsn_file: postgresql://user@host:5432/dbname");
        return;
    }
    auto read = read_dsn(dsn->text);
    if (read)
        into = std::move(*read);
    else
        from.out().add(dsn->at, hidden(), read.error().text);
}

bool is_broker(std::string_view text) {
    if (const auto scheme = text.find("://"); scheme != std::string_view::npos) text.remove_prefix(scheme + 3);
    const auto at = read_endpoint(text);
    return at && at->port != 0;
}

void read_kafka(const section& from, const environment& env, kafka& into) {
    auto& out = from.out();
    if (const auto brokers = from.text("brokers")) {
        into.brokers = brokers->text;
        std::string_view rest = brokers->text;
        bool sound = brokers->text.size() <= 4096;
        while (sound) {
            const auto comma = rest.find(',');
            auto one = rest.substr(0, comma);
            while (one.starts_with(' ')) one.remove_prefix(1);
            while (one.ends_with(' ')) one.remove_suffix(1);
            sound = is_broker(one);
            if (comma == std::string_view::npos) break;
            rest.remove_prefix(comma + 1);
        }
        if (!sound) out.add(brokers->at, quote_found(brokers->text), "host:port, several with commas between them");
    } else if (!from.has("brokers")) {
        out.add(from.at("brokers"), "nothing", "host:port, several with commas between them");
    }

    const auto take = [&](const std::string& name, const place& at, const or_objection<std::string>& value,
                          const std::string& shown) {
        if (const auto reason = reserved_property(name)) {
            out.add(at, "a property that is Crossfade's own", "everything but this one; " + std::string(*reason));
        } else if (!value) {
            out.add(at, shown, value.error().text);
        } else if (const auto objected = property_objection(name, *value)) {
            out.add(at, shown, *objected);
        } else if (!into.properties.emplace(name, *value).second) {
            out.add(at, "the property in properties as well", "one of them");
        }
    };
    const auto properties = from.below("properties");
    for (const auto& name : properties.names())
        if (const auto value = properties.text(name)) take(name, value->at, expand(value->text, env), hidden());
    const auto files = from.below("properties_files");
    for (const auto& name : files.names())
        if (const auto path = files.text(name))
            take(name, path->at, read_secret(path->text, out.file()), quote_found(path->text));
}

bool only_of(std::string_view text, std::string_view letters) {
    return text.find_first_not_of(letters) == std::string_view::npos;
}

// Names that go into logs and metrics as they stand.
bool is_plain(std::string_view name, std::size_t most) {
    return !name.empty() && name.size() <= most &&
           std::none_of(name.begin(), name.end(), [](unsigned char c) { return c < ' ' || c == 0x7f; });
}

// "schema.table" with stars; the tables that belong to the server or to Crossfade can't be moved.
std::optional<std::string> pattern_objection(std::string_view pattern) {
    const auto dot = pattern.find('.');
    const bool whole = dot != std::string_view::npos && dot > 0 && dot + 1 < pattern.size() && pattern.size() <= 130 &&
                       std::all_of(pattern.begin(), pattern.end(), [](char c) { return c > ' ' || (c & '\x80'); });
    if (!whole) return "schema.table, unquoted and in the catalog's case; a star for any run of characters";
    const auto schema = pattern.substr(0, dot);
    if (schema == "crossfade" || schema == "information_schema" || schema.starts_with("pg_"))
        return "tables of the application";
    return std::nullopt;
}

std::vector<std::string> read_patterns(const section& from) {
    std::vector<std::string> patterns;
    if (!from.has("tables")) {
        from.out().add(from.at("tables"), "nothing", "a list of schema.table, such as [\"public.*\"]");
        return patterns;
    }
    const auto items = from.list("tables");
    if (!items) return patterns;
    if (items->empty() || items->size() > most_patterns)
        from.out().add(from.at("tables"), std::to_string(items->size()) + " patterns",
                       "1 to " + std::to_string(most_patterns));
    std::set<std::string_view> seen;
    for (const auto& item : *items) {
        if (const auto objected = pattern_objection(item.text))
            from.out().add(item.at, quote_found(item.text), *objected);
        else if (!seen.insert(item.text).second)
            from.out().add(item.at, quote_found(item.text) + " a second time", "each pattern once");
        else
            patterns.push_back(item.text);
    }
    return patterns;
}

void read_stream(const section& from, stream& into) {
    constexpr std::string_view allowed =
        "a lower-case letter, then up to 39 lower-case letters, digits and underscores";
    if (const auto name = from.text("name")) {
        constexpr std::string_view letters = "abcdefghijklmnopqrstuvwxyz";
        const bool sound = !name->text.empty() && name->text.size() <= 40 &&
                           letters.find(name->text.front()) != std::string_view::npos &&
                           only_of(name->text, "abcdefghijklmnopqrstuvwxyz0123456789_");
        if (!sound) from.out().add(name->at, quote_found(name->text), std::string(allowed));
        into.name = name->text;
    } else if (!from.has("name")) {
        from.out().add(from.at("name"), "nothing", std::string(allowed));
    }
    into.tables = read_patterns(from);
    const field_reader fields(from);
    fields.duration("heartbeat_interval", into.heartbeat_interval, 100ms, 60s);
    std::string order{to_string(into.ordering)};
    fields.one_of("ordering", order, {to_string(event_ordering::transaction), to_string(event_ordering::key)});
    into.ordering = order == to_string(event_ordering::key) ? event_ordering::key : event_ordering::transaction;
    fields.number("partitions", into.partitions, 1, most_partitions);
    if (from.has("partitions") && !into.by_key())
        from.out().add(from.at("partitions"), "a number of partitions with stream.ordering: transaction",
                       "leave it out, as commit order needs one partition, or stream.ordering: key");
    fields.boolean("both_ways", into.both_ways);
    fields.boolean("json_events", into.json_events);
    std::string cleanup{to_string(into.json_cleanup)};
    fields.one_of("json_cleanup", cleanup, {to_string(cleanup_policy::remove), to_string(cleanup_policy::compact)});
    into.json_cleanup =
        cleanup == to_string(cleanup_policy::compact) ? cleanup_policy::compact : cleanup_policy::remove;
    std::string ddl;
    fields.one_of("ddl", ddl, {"note", "pause", "pass", "refuse"});
    for (const auto policy : {ddl_policy::pause, ddl_policy::pass, ddl_policy::refuse})
        if (ddl == to_string(policy)) into.ddl = policy;
    fields.duration("silence_timeout", into.silence_timeout, 1s, 1h);
    // A segment is 16 MiB, and a slot always keeps the one that is written.
    fields.size("retained_wal_budget", into.retained_wal_budget, std::size_t{32} << 20, std::size_t{1} << 50);
    std::string action{to_string(into.retained_wal_action)};
    fields.one_of("retained_wal_action", action, {to_string(wal_action::alert), to_string(wal_action::drop_slot)});
    into.retained_wal_action = action == to_string(wal_action::alert) ? wal_action::alert : wal_action::drop_slot;
}

void read_cdc(const section& from, cdc& into) {
    const field_reader fields(from);
    fields.listener("admin", into.admin);
    fields.number("apply_connections", into.apply_connections, 1, 16);
    fields.number("batch_rows", into.batch_rows, 1, 100000);
    fields.size("batch_bytes", into.batch_bytes, std::size_t{64} << 10, std::size_t{1} << 30);
    fields.number<std::size_t>("ddl_waiting_changes", into.ddl_waiting_changes, 1, 1'000'000'000);
    fields.number("verify_mirrored_percent", into.verify_mirrored_percent, 0, 100);
    fields.duration("retry_max", into.retry_max, 10ms, 5min);
}

void read_log(const section& from, log& into) {
    if (const auto format = from.text("format")) {
        into.format = format->text == "json" ? log_format::json : log_format::text;
        if (format->text != "json" && format->text != "text")
            from.out().add(format->at, quote_found(format->text), "text or json");
    }
    field_reader(from).one_of("level", into.level, {"trace", "debug", "info", "warn", "error", "critical"});
}

void read_tenancy(const section& from, tenancy& into) {
    if (const auto session = from.text("session")) {
        constexpr std::string_view prefix = "parameter:";
        constexpr std::string_view letters = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_.$";
        const std::string_view text = session->text;
        if (text == "user") {
            into.session = tenant_source::user;
        } else if (text == "database") {
            into.session = tenant_source::database;
        } else if (text.starts_with(prefix) && text.size() > prefix.size() && text.size() <= prefix.size() + 127 &&
                   only_of(text.substr(prefix.size()), letters)) {
            into.session = tenant_source::parameter;
            into.parameter = text.substr(prefix.size());
        } else if (text != "none") {
            from.out().add(session->at, quote_found(text),
                           "none, user, database, or parameter:NAME as in parameter:app.tenant");
        }
    }
    if (const auto column = from.text("column")) {
        into.column = column->text;
        if (!is_plain(column->text, 63))
            from.out().add(column->at, quote_found(column->text),
                           "the name of a column, 1 to 63 bytes without control characters");
    }
}

std::map<std::string, table_group, std::less<>> read_groups(const section& from, flag_reader& flags) {
    constexpr std::string_view letters = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-";
    std::map<std::string, table_group, std::less<>> groups;
    std::map<std::string, std::string> owners;  // pattern -> group
    const auto all = from.named();
    if (all.size() > most_groups)
        from.out().add(from.at(), std::to_string(all.size()) + " groups", "at most " + std::to_string(most_groups));
    for (const auto& [name, group] : all) {
        if (name.empty() || name.size() > 63 || !only_of(name, letters))
            from.out().add(group.at(), "a group of this name", "1 to 63 letters, digits, _ and -");
        auto& read = groups[name];
        read.tables = read_patterns(group);
        read.overrides = flags.read(group.below("flags"), {name, ""});
        for (const auto& pattern : read.tables) {
            const auto [owner, first] = owners.emplace(pattern, name);
            if (!first)
                from.out().add(group.at("tables"),
                               quote_found(pattern) + ", which is in group " + owner->second + " too",
                               "a table in one group at most");
        }
    }
    return groups;
}

std::map<std::string, tenant_overrides, std::less<>> read_tenants(
    const section& from, const std::map<std::string, table_group, std::less<>>& groups, flag_reader& flags) {
    std::map<std::string, tenant_overrides, std::less<>> tenants;
    std::vector<std::string_view> known;
    known.reserve(groups.size());
    for (const auto& [name, ignored] : groups) known.push_back(name);

    const auto all = from.named();
    if (all.size() > most_tenants)
        from.out().add(from.at(), std::to_string(all.size()) + " tenants", "at most " + std::to_string(most_tenants));
    std::size_t tenant_groups = 0;
    for (const auto& [name, tenant] : all) {
        if (!is_plain(name, 255))
            from.out().add(tenant.at(), "a tenant of this name", "1 to 255 bytes without control characters");
        auto& read = tenants[name];
        read.overrides = flags.read(tenant.below("flags"), {"", name});
        for (const auto& [group, within] : tenant.below("groups").named()) {
            if (!groups.contains(group)) {
                const auto meant = nearest(group, known);
                within.out().add(
                    within.at(), "a group that is not there",
                    known.empty()
                        ? "groups that are in groups: none is"
                        : (meant.empty() ? "" : "did you mean " + std::string(meant) + "? Groups: ") + join(known));
                continue;
            }
            if (++tenant_groups > most_tenant_groups) break;
            read.groups[group] = flags.read(within.below("flags"), {group, name});
        }
        if (tenant_groups > most_tenant_groups) {
            from.out().add(from.at(), "too many groups of tenants", "at most " + std::to_string(most_tenant_groups));
            break;
        }
    }
    return tenants;
}

flag_set read_flags(const section& root, const environment& env, bool both_ways, findings& out) {
    flag_reader reader(env, out);
    const auto defaults = apply(reader.read(root.below("flags"), {}), flags{});
    auto groups = read_groups(root.below("groups"), reader);
    auto tenants = read_tenants(root.below("tenants").below("overrides"), groups, reader);
    flag_set read(defaults, std::move(groups), std::move(tenants));
    reader.check(read, both_ways);
    return read;
}

place place_of(const section& root, std::string_view key) {
    const auto dot = key.find('.');
    if (dot == std::string_view::npos) return root.at(key);
    return place_of(root.below(key.substr(0, dot)), key.substr(dot + 1));
}

configuration read_all(const section& root, const environment& env, findings& out) {
    configuration read;
    read_database(root.below("legacy"), env, read.legacy);
    read_database(root.below("modern"), env, read.modern);
    if (!read.legacy.dbname.empty() && read.legacy.server == read.modern.server &&
        read.legacy.dbname == read.modern.dbname)
        out.add(root.below("modern").at(), "the database that legacy names", "another one");
    read_kafka(root.below("kafka"), env, read.kafka);
    read_stream(root.below("stream"), read.stream);
    read_proxy(root.below("proxy"), read.proxy);
    read_cdc(root.below("cdc"), read.cdc);
    read_log(root.below("log"), read.log);
    read_tenancy(root.below("tenants"), read.tenants);
    read.flags = read_flags(root, env, read.stream.both_ways, out);
    for (auto& each : clashes(read)) out.add(place_of(root, each.key), std::move(each.found), std::move(each.allowed));
    return read;
}

// yaml-cpp's message without what follows a colon, which repeats the text at hand.
std::string syntax(const YAML::Exception& error) {
    return error.msg.substr(0, error.msg.find(": "));
}

refusal all_of(findings& out) {
    auto problems = out.take();
    std::stable_sort(problems.begin(), problems.end(),
                     [](const problem& left, const problem& right) { return left.line < right.line; });
    return {std::move(problems)};
}

}  // namespace

boost::system::result<configuration, refusal> parse(std::string_view text, const std::string& file,
                                                    const environment& env) {
    findings out(file);
    try {
        const std::string whole(text);
        const auto document = YAML::Load(whole);
        if (const auto line = second_document(whole)) out.add({*line, ""}, "a second document", "one");
        const section root(document, {1, ""}, "", out);
        auto read = read_all(root, env, out);
        if (out.problems().empty()) return read;
    } catch (const YAML::Exception& error) {
        out.add({std::max(0, error.mark.line + 1), ""}, "no valid YAML", "YAML (" + syntax(error) + ")");
    }
    return all_of(out);
}

boost::system::result<configuration, refusal> load(const std::string& path, const environment& env) {
    const auto text = read_file(path, most_bytes);
    if (text) return parse(*text, path, env);
    return refusal{{{path, 0, "", "a file that can't be read (" + text.error().text + ")", "a YAML file"}}};
}

}  // namespace crossfade::settings
