#include "proxy/console/command.hpp"

#include <algorithm>
#include <array>
#include <charconv>
#include <span>

#include "lib/pgwire/ascii.hpp"

namespace crossfade::proxy::console {
namespace {

using boost::system::result;
using enum commands::accepted::effect;
using words = std::span<const word>;
using parsed = result<command, syntax_fault>;

constexpr std::array<std::string_view, subjects> subject_names{
    "HELP",   "VERSION", "SESSIONS",     "CLIENTS",        "SERVERS", "POOLS",  "DATABASES",
    "LISTS",  "STATS",   "STATS_TOTALS", "STATS_AVERAGES", "FLAGS",   "STREAM", "DRIFT",
    "CONFIG", "LIMITS",  "PAUSES",       "USERS",          "MEM"};

syntax_fault unexpected(words left, const word& last) {
    if (left.empty()) return {"syntax error at end of input after \"" + clipped(last.text) + "\"", last.position};
    return {"syntax error at or near \"" + clipped(left[0].text) + "\"", left[0].position};
}

parsed parse_show(const word& verb, words rest) {
    if (rest.empty()) return unexpected(rest, verb);
    if (rest.size() == 1 && rest[0].what == word::kind::plain) {
        for (std::size_t each = 0; each < subject_names.size(); ++each)
            if (rest[0].text == pgwire::lower_case(subject_names[each]))
                return commands::show{static_cast<subject>(each)};
    }
    // SHOW TIME ZONE and SHOW TRANSACTION ISOLATION LEVEL are PostgreSQL's own spellings of two settings.
    std::string name;
    for (const auto& each : rest) {
        if (!each.is_name() && !each.is_symbol('.')) return unexpected(rest, verb);
        if (!name.empty() && !each.is_symbol('.') && !name.ends_with('.')) name.push_back('_');
        name.append(pgwire::lower_case(each.text));
    }
    if (name == "time_zone") name = "timezone";
    if (name == "transaction_isolation_level") name = "transaction_isolation";
    return commands::show_parameter{std::move(name)};
}

struct known_function {
    std::string_view name;
    known_value what;
    bool needs_brackets = true;
};
constexpr std::array functions{
    known_function{"version", known_value::version},
    known_function{"current_database", known_value::database},
    known_function{"current_catalog", known_value::database, false},
    known_function{"current_schema", known_value::schema, false},
    known_function{"current_user", known_value::user, false},
    known_function{"session_user", known_value::user, false},
    known_function{"user", known_value::user, false},
    known_function{"pg_backend_pid", known_value::pid},
    known_function{"pg_is_in_recovery", known_value::in_recovery},
    known_function{"pg_advisory_unlock_all", known_value::nothing},
};

// One expression of a SELECT; takes what it understands off `rest`.
result<selected, syntax_fault> take_selected(const word& before, words& rest) {
    if (rest.empty()) return unexpected(rest, before);
    selected made{"?column?", known_value::number, rest[0].text};
    if (rest[0].what == word::kind::number) {
        // int4, as PostgreSQL has it.
        if (made.literal.size() > 9) return unexpected(rest, before);
        rest = rest.subspan(1);
    } else if (rest[0].what == word::kind::text) {
        made.what = known_value::text;
        rest = rest.subspan(1);
    } else {
        auto name = rest;
        if (name.size() > 2 && name[0].is("pg_catalog") && name[1].is_symbol('.')) name = name.subspan(2);
        const auto found = std::find_if(functions.begin(), functions.end(),
                                        [&](const known_function& each) { return name[0].is(each.name); });
        const bool brackets = name.size() > 2 && name[1].is_symbol('(') && name[2].is_symbol(')');
        if (found == functions.end() || (found->needs_brackets && !brackets)) return unexpected(rest, before);
        made = {std::string{found->name}, found->what, ""};
        rest = name.subspan(brackets ? 3 : 1);
    }
    if (rest.size() > 1 && rest[0].is("as") && rest[1].is_name()) {
        made.column = rest[1].text;
        rest = rest.subspan(2);
    }
    return made;
}

parsed parse_select(const word& verb, words rest) {
    constexpr std::size_t most_values = 64;
    commands::select made;
    while (made.values.size() < most_values) {
        auto value = take_selected(verb, rest);
        if (!value) return value.error();
        made.values.push_back(std::move(*value));
        if (rest.empty()) return made;
        if (!rest[0].is_symbol(',')) break;
        rest = rest.subspan(1);
    }
    return unexpected(rest, verb);
}

// GROUP, TENANT and DATABASE in any order, each once; a bare name is a database's, as it is for PgBouncer.
result<scope, syntax_fault> parse_scope(const word& verb, words rest) {
    scope made;
    if (rest.size() == 1 && rest[0].is_name() && !rest[0].is("group") && !rest[0].is("tenant") &&
        !rest[0].is("database")) {
        made.database = rest[0].text;
        return made;
    }
    const word* last = &verb;
    while (!rest.empty()) {
        auto* named = rest[0].is("group")      ? &made.group
                      : rest[0].is("tenant")   ? &made.tenant
                      : rest[0].is("database") ? &made.database
                                               : nullptr;
        if (named == nullptr || *named) return unexpected(rest, *last);
        if (rest.size() < 2 || !rest[1].is_name()) return unexpected(rest.subspan(1), rest[0]);
        *named = rest[1].text;
        last = &rest[1];
        rest = rest.subspan(2);
    }
    return made;
}

parsed parse_kill(const word& verb, words rest) {
    commands::kill made{};
    if (rest.size() != 1 || rest[0].what != word::kind::number) return unexpected(rest, verb);
    const auto& digits = rest[0].text;
    const auto [end, failed] = std::from_chars(digits.data(), digits.data() + digits.size(), made.session);
    if (failed != std::errc{} || end != digits.data() + digits.size()) return unexpected(rest, verb);
    return made;
}

parsed parse_shutdown(const word& verb, words rest) {
    if (rest.empty()) return commands::shutdown{shutdown_waits_for::transactions};
    if (rest.size() == 1) {
        if (rest[0].is("wait") || rest[0].is("wait_for_clients"))
            return commands::shutdown{shutdown_waits_for::clients};
        if (rest[0].is("wait_for_servers")) return commands::shutdown{shutdown_waits_for::transactions};
        if (rest[0].is("immediate")) return commands::shutdown{shutdown_waits_for::nothing};
    }
    return unexpected(rest, verb);
}

// By the first word; the rest is nobody's business.
struct courtesy {
    std::string_view verb;
    commands::accepted what;
};
constexpr std::array courtesies{
    courtesy{"set", {"SET"}},
    courtesy{"reset", {"RESET"}},
    courtesy{"begin", {"BEGIN", begins}},
    courtesy{"start", {"START TRANSACTION", begins}},
    courtesy{"commit", {"COMMIT", ends}},
    courtesy{"end", {"COMMIT", ends}},
    courtesy{"rollback", {"ROLLBACK", ends}},
    courtesy{"abort", {"ROLLBACK", ends}},
    courtesy{"close", {"CLOSE CURSOR"}},
    courtesy{"unlisten", {"UNLISTEN"}},
};

parsed parse_deallocate(const word& verb, words rest) {
    if (!rest.empty() && rest[0].is("prepare")) rest = rest.subspan(1);
    if (rest.size() != 1 || !rest[0].is_name()) return unexpected(rest, verb);
    if (rest[0].is("all")) return commands::forget{"DEALLOCATE ALL", {}};
    return commands::forget{"DEALLOCATE", rest[0].text};
}

parsed parse_one(words statement) {
    const auto& verb = statement[0];
    const auto rest = statement.subspan(1);
    if (verb.is("show")) return parse_show(verb, rest);
    if (verb.is("select")) return parse_select(verb, rest);
    if (verb.is("kill")) return parse_kill(verb, rest);
    if (verb.is("shutdown")) return parse_shutdown(verb, rest);
    if (verb.is("reload")) return rest.empty() ? parsed{commands::reload{}} : unexpected(rest, verb);
    if (verb.is("pause") || verb.is("resume")) {
        auto named = parse_scope(verb, rest);
        if (!named) return named.error();
        if (verb.is("pause")) return commands::pause{std::move(*named)};
        return commands::resume{std::move(*named)};
    }
    if (verb.is("deallocate")) return parse_deallocate(verb, rest);
    if (verb.is("discard")) return commands::forget{"DISCARD ALL", {}};
    for (const auto& each : courtesies)
        if (verb.is(each.verb)) return each.what;
    return unexpected(statement, verb);
}

}  // namespace

std::string_view to_string(subject of) {
    return subject_names[static_cast<std::size_t>(of)];
}

result<std::vector<command>, syntax_fault> parse(std::string_view sql) {
    const auto statements = split(sql);
    if (!statements) return statements.error();
    std::vector<command> all;
    for (const auto& each : *statements) {
        auto one = parse_one(each);
        if (!one) return one.error();
        all.push_back(std::move(*one));
    }
    return all;
}

bool changes_nothing(const command& what) {
    return std::holds_alternative<commands::show>(what) || std::holds_alternative<commands::show_parameter>(what) ||
           std::holds_alternative<commands::select>(what) || std::holds_alternative<commands::accepted>(what) ||
           std::holds_alternative<commands::forget>(what);
}

}  // namespace crossfade::proxy::console
