#include "proxy/portrait/portrait.hpp"

#include <algorithm>

#include "lib/pgwire/query_messages.hpp"

namespace crossfade::proxy::portrait {
namespace {

bool has_own_type(std::string_view parse_body) {
    const auto parsed = pgwire::parse_parse(parse_body);
    return !parsed || std::ranges::any_of(parsed->types, [](auto oid) { return oid >= first_varying_oid; });
}

bool has_backslash(std::string_view text) {
    return text.find('\\') != std::string_view::npos;
}

using texts = std::map<std::string, std::string>;

// `counts`: of a name that only the other one has.
template <class Map, class Counts>
void compare(const Map& one, const Map& other, std::string_view kind, std::vector<std::string>& found, Counts counts) {
    const auto note = [&](const std::string& name) { found.push_back(std::string{kind} + ' ' + name); };
    for (const auto& [name, value] : one) {
        const auto same = other.find(name);
        if (same == other.end() || !(same->second == value)) note(name);
    }
    for (const auto& [name, value] : other)
        if (!one.contains(name) && counts(name)) note(name);
}

// What is empty is left out.
texts told_of(const texts& settings) {
    texts told;
    for (const auto& each : settings)
        if (!each.second.empty()) told.insert(each);
    return told;
}

}  // namespace

std::string_view to_string(obstacle what) {
    switch (what) {
        case obstacle::held_cursor:
            return "held_cursor";
        case obstacle::advisory_lock:
            return "advisory_lock";
        case obstacle::temporary_object:
            return "temporary_object";
        case obstacle::temporary_slot:
            return "temporary_slot";
        case obstacle::too_much:
            return "too_much";
        case obstacle::prepared_text:
            return "prepared_text";
        case obstacle::string_syntax:
            return "string_syntax";
        case obstacle::unnamed_statement:
            return "unnamed_statement";
        case obstacle::own_type:
            return "own_type";
        case obstacle::own_settings:
            return "own_settings";
        case obstacle::sequence_values:
            return "sequence_values";
    }
    return "unknown";
}

std::vector<obstacle> obstacles(const session_portrait& of) {
    const auto any_prepared = [&](auto is) {
        return std::ranges::any_of(of.prepared, [&](const auto& each) { return is(each.second); });
    };
    const auto& heard = of.heard;
    const bool keeps_unnamed = heard.statement == heard_facts::unnamed::kept && of.unnamed_there;

    std::vector<obstacle> found;
    const auto if_so = [&](bool so, obstacle what) {
        if (so) found.push_back(what);
    };
    if_so(of.held_cursors > 0, obstacle::held_cursor);
    if_so(of.advisory_locks > 0, obstacle::advisory_lock);
    if_so(of.temporary_objects > 0, obstacle::temporary_object);
    if_so(of.temporary_slots > 0, obstacle::temporary_slot);
    if_so(of.cut_short, obstacle::too_much);
    if_so(any_prepared([](const auto& it) { return it.by_sql && it.text.empty(); }), obstacle::prepared_text);
    if_so(heard.strings_changed && (any_prepared([](const auto& it) { return has_backslash(it.text); }) ||
                                    (keeps_unnamed && has_backslash(heard.parse))),
          obstacle::string_syntax);
    if_so(heard.statement == heard_facts::unnamed::unknown && of.unnamed_there, obstacle::unnamed_statement);
    if_so(keeps_unnamed && has_own_type(heard.parse), obstacle::own_type);
    if_so(!heard.settings_known || !heard.functions_known, obstacle::own_settings);
    if_so(heard.sequence_values, obstacle::sequence_values);
    return found;
}

bool same_unnamed(const session_portrait& one, const session_portrait& other) {
    if (!one.unnamed_there && !other.unnamed_there) return true;
    const auto kept = [](const session_portrait& it) {
        return it.unnamed_there && it.heard.statement == heard_facts::unnamed::kept;
    };
    return kept(one) && kept(other) && one.heard.parse == other.heard.parse;
}

std::size_t bytes_of(const session_portrait& it) {
    constexpr std::size_t each = 128;
    std::size_t bytes = sizeof it + it.heard.parse.size();
    const auto add = [&](const std::map<std::string, std::string>& of) {
        for (const auto& [name, value] : of) bytes += each + name.size() + value.size();
    };
    add(it.settings);
    add(it.own_settings);
    add(it.reported);
    for (const auto& [name, statement] : it.prepared)
        bytes += each + name.size() + statement.text.size() + statement.parameters.size() * sizeof(parameter_type);
    for (const auto& name : it.channels) bytes += each + name.size();
    for (const auto& name : it.given) bytes += each + name.size();
    return bytes;
}

bool has_more_of_its_own(const session_portrait& other, const session_portrait& than, const std::string& name) {
    const auto found = other.own_settings.find(name);
    return found != other.own_settings.end() && !found->second.empty() && !other.given.contains(name) &&
           !than.own_settings.contains(name);
}

std::vector<std::string> given_formats(const session_portrait& found, const session_portrait& there) {
    std::vector<std::string> names;
    for (const std::string name : {"lc_monetary", "lc_numeric", "lc_time"}) {
        const auto has = found.settings.find(name);
        const auto is = there.settings.find(name);
        if (has != found.settings.end() && is != there.settings.end() && found.given.contains(name) &&
            has->second != is->second)
            names.push_back(name);
    }
    return names;
}

std::vector<std::string> differences(const session_portrait& one, const session_portrait& other) {
    std::vector<std::string> found;
    const auto if_so = [&](bool so, const char* what) {
        if (so) found.emplace_back(what);
    };
    if_so(one.user != other.user, "user");
    if_so(one.role != other.role, "role");
    const auto is_not_given = [&](const std::string& name) { return !other.given.contains(name); };
    compare(one.settings, other.settings, "setting", found, is_not_given);
    compare(told_of(one.own_settings), told_of(other.own_settings), "setting", found, [&](const std::string& name) {
        return one.own_settings.contains(name) || has_more_of_its_own(other, one, name);
    });
    compare(one.prepared, other.prepared, "prepared statement", found, [](const std::string&) { return true; });
    std::vector<std::string> channels;
    std::ranges::set_symmetric_difference(one.channels, other.channels, std::back_inserter(channels));
    for (const auto& name : channels) found.push_back("channel " + name);
    if_so(one.unnamed_there != other.unnamed_there, "unnamed statement");
    if_so(one.held_cursors != other.held_cursors, "held cursors");
    if_so(one.advisory_locks != other.advisory_locks, "advisory locks");
    if_so(one.temporary_objects != other.temporary_objects, "temporary objects");
    if_so(one.temporary_slots != other.temporary_slots, "temporary slots");
    if_so(one.cut_short || other.cut_short, "what is too long to be read");
    return found;
}

}  // namespace crossfade::proxy::portrait
