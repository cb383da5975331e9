#include "lib/settings/access.hpp"

#include <algorithm>
#include <filesystem>

#include "lib/settings/field_reader.hpp"
#include "lib/settings/secrets.hpp"

namespace crossfade::settings {
namespace {

using namespace std::chrono_literals;
using auth::access_method;

constexpr std::size_t most_rules = 1000;
constexpr std::size_t most_names = 10000;  // of all rules: YAML's aliases could make 10^8 of a small file
constexpr std::size_t longest_query = 8192;

// What pg_hba.conf gives a meaning of its own to. Taken for a name it would fit nobody, and a rule that should refuse
// somebody would let him pass.
bool means_more_in_pg_hba(std::string_view name) {
    return name.starts_with('+') || name.starts_with('/') || name == "sameuser" || name == "samerole" ||
           name == "samegroup" || name == "replication";
}

// "all", alone, or a list with at least one item. Whether it is all; nullopt when there is none to go on with.
std::optional<std::vector<scalar>> read_list(const section& from, std::string_view key, bool& all) {
    auto items = from.texts(key);
    if (!items) return std::nullopt;
    all = items->size() == 1 && items->front().text == "all";
    if (all) return std::nullopt;
    if (items->empty()) from.out().add(from.at(key), "an empty list", "at least one, or all");
    for (const auto& item : *items)
        if (item.text == "all") from.out().add(item.at, "all among others", "all alone");
    return items;
}

void read_names(const section& from, std::string_view key, auth::names& into, std::size_t& count) {
    const auto items = read_list(from, key, into.all);
    if (!items) return;
    into.all = false;
    count += items->size();
    if (count > most_names) return;
    for (const auto& item : *items) {
        if (item.text.empty() || item.text.size() > auth::longest_name || means_more_in_pg_hba(item.text))
            from.out().add(
                item.at, quote_found(item.text),
                "exact names of 1 to 63 bytes, or all (no +group, /pattern, sameuser, samerole, replication)");
        else
            into.exact.push_back(item.text);
    }
}

void read_origins(const section& from, auth::origins& into, std::size_t& count) {
    const auto items = read_list(from, "from", into.all);
    if (!items) return;
    into.all = false;
    count += items->size();
    if (count > most_names) return;
    for (const auto& item : *items) {
        if (item.text == "local")
            into.local = true;
        else if (const auto range = auth::parse_address_range(item.text))
            into.ranges.push_back(*range);
        else
            from.out().add(
                item.at, quote_found(item.text),
                "an address, a range such as 10.0.0.0/8 or fd00::/8 without bits behind the prefix, local for "
                "Unix sockets, or all");
    }
}

template <class T, std::size_t n>
void read_word(const section& from, std::string_view key, T& into, const T (&values)[n]) {
    const auto text = from.text(key);
    if (!text) return;
    std::string allowed;
    for (const auto each : values) {
        if (to_string(each) == text->text) {
            into = each;
            return;
        }
        allowed.append(allowed.empty() ? "" : ", ").append(to_string(each));
    }
    from.out().add(text->at, quote_found(text->text), allowed);
}

// What is said of TLS here and of the listener's has to go together.
void check_tls(const section& from, const auth::access_rule& rule, const listener_tls& tls) {
    const bool never = rule.tls == auth::tls_demand::required && tls.mode == tls_mode::disable;
    const bool always = rule.tls == auth::tls_demand::forbidden && tls.mode >= tls_mode::require;
    if (never || always)
        from.out().add(from.at("tls"), quote_found(to_string(rule.tls)),
                       "what fits a connection while proxy.tls.mode is " + std::string(to_string(tls.mode)));
    if (rule.method != access_method::cert) return;
    if (rule.tls != auth::tls_demand::required)
        from.out().add(from.at("method"), "'cert' where TLS isn't required", "tls: required beside it");
    if (tls.ca_file.empty())
        from.out().add(from.at("method"), "'cert' where no client certificate is believed",
                       "proxy.tls.ca_file with it");
}

auth::access_rule read_rule(const section& from, const proxy& around, std::size_t& count) {
    constexpr access_method methods[] = {access_method::relay, access_method::scram, access_method::cert,
                                         access_method::reject};
    constexpr auth::tls_demand demands[] = {auth::tls_demand::any, auth::tls_demand::required,
                                            auth::tls_demand::forbidden};
    const auto mode = around.auth.mode;
    auth::access_rule read;
    read.method = mode == auth_mode::relay ? access_method::relay : access_method::scram;
    read_origins(from, read.from, count);
    read_names(from, "users", read.users, count);
    read_names(from, "databases", read.databases, count);
    read_word(from, "tls", read.tls, demands);
    read_word(from, "method", read.method, methods);

    const bool ours = read.method == access_method::scram || read.method == access_method::cert;
    if (ours && mode == auth_mode::relay)
        from.out().add(from.at("method"), quote_found(to_string(read.method)),
                       "relay or reject while proxy.auth.mode is relay");
    else
        check_tls(from, read, around.tls);
    return read;
}

void read_users(const section& from, authentication& into) {
    const auto path = from.text("users_file");
    if (!path) return;
    into.users_file = path->text;
    const auto whole = (std::filesystem::path(from.out().file()).parent_path() / path->text).string();
    const auto content = read_file(whole, auth::user_list::most_bytes);
    if (!content) {
        from.out().add(path->at, quote_found(path->text), "a file that can be read: " + content.error().text);
        return;
    }
    auto users = auth::parse_user_list(*content);
    if (users)
        into.users = std::move(*users);
    else
        from.out().add(problem{whole, users.error().line, "", users.error().what,
                               "\"user\" \"password or verifier\", one user a line"});
}

}  // namespace

void read_authentication(const section& from, authentication& into) {
    constexpr auth_mode modes[] = {auth_mode::relay, auth_mode::terminate};
    read_word(from, "mode", into.mode, modes);
    read_users(from, into);
    if (const auto query = from.text("query")) {
        into.query = query->text == "none" ? "" : query->text;
        const bool sound = query->text.size() <= longest_query && query->text.find('\0') == std::string::npos &&
                           (into.query.empty() || into.query.find("$1") != std::string::npos);
        if (query->text.empty() || !sound)
            from.out().add(query->at, "a query (not shown)",
                           "up to 8 KiB of SQL with $1 for the user's name, that gives name, password and VALID UNTIL; "
                           "or none");
    }
    const field_reader fields(from);
    fields.number("scram_iterations", into.scram_iterations, 4096, 100000);
    fields.number("max_attempts", into.attempts.most, 0, 1000);
    fields.duration("attempt_window", into.attempts.window, 1s, 1h);
    if (into.mode == auth_mode::terminate && into.query.empty() && !from.has("users_file"))
        from.out().add(from.at("mode"), "'terminate' where no users are known", "users_file or a query beside it");
}

void read_access(const section& from, proxy& into) {
    into.access.front().method = into.auth.mode == auth_mode::relay ? access_method::relay : access_method::scram;
    const auto rules = from.items("access");
    if (!rules) return;
    if (rules->empty() || rules->size() > most_rules) {
        from.out().add(from.at("access"), std::to_string(rules->size()) + " rules",
                       "1 to " + std::to_string(most_rules) + "; without any everybody may come in");
        return;
    }
    into.access.clear();
    std::size_t count = 0;
    for (const auto& rule : *rules) {
        into.access.push_back(read_rule(rule, into, count));
        if (count <= most_names) continue;
        from.out().add(rule.at(), "too many names and addresses", "at most " + std::to_string(most_names) + " in all");
        return;
    }
}

}  // namespace crossfade::settings
