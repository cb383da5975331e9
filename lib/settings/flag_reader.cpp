#include "lib/settings/flag_reader.hpp"

#include <algorithm>

#include "lib/settings/flag_text.hpp"

namespace crossfade::settings {

std::string variable_of(std::string_view flag) {
    std::string name(flag);
    for (char& c : name)
        if (c >= 'a' && c <= 'z') c = static_cast<char>(c - 'a' + 'A');
    return name;
}

void flag_reader::take(flag_overrides& into, const flag_set::scope& of, std::string_view flag, const source& from) {
    const auto allowed = set_flag(into, flag, from.text);
    auto& noted = sources_[{of.group, of.tenant, flag}] = from;
    noted.sound = !allowed;
    if (!allowed) return;
    if (from.from_environment)
        out_.add_of_environment(from.at.key, quote_found(from.text), *allowed);
    else
        out_.add(from.at, quote_found(from.text), *allowed);
}

flag_overrides flag_reader::read(const section& at, const flag_set::scope& of) {
    flag_overrides read;
    for (const auto flag : flag_names)
        if (const auto text = at.text(flag))
            take(read, of, flag, {text->at, text->text});
        else if (at.has(flag))
            sources_[{of.group, of.tenant, flag}] = {at.at(flag), "", false, false};
    if (!of.group.empty() || !of.tenant.empty()) return read;

    for (const auto flag : flag_names) {
        // An empty variable is what a compose file passes on for one that isn't set.
        const auto name = variable_of(flag);
        if (const auto text = env_(name); text && !text->empty()) take(read, of, flag, {{0, name}, *text, true});
    }
    return read;
}

const flag_reader::source* flag_reader::source_of(const flag_set::scope& of, std::string_view flag) const {
    const std::tuple<std::string, std::string, std::string_view> by_rank[] = {
        {of.group, of.tenant, flag}, {"", of.tenant, flag}, {of.group, "", flag}, {"", "", flag}};
    for (const auto& each : by_rank)
        if (const auto found = sources_.find(each); found != sources_.end()) return &found->second;
    return nullptr;
}

bool flag_reader::sound(const flag_set::scope& of) const {
    return std::all_of(flag_names.begin(), flag_names.end(), [&](std::string_view flag) {
        const auto* from = source_of(of, flag);
        return from == nullptr || from->sound;
    });
}

// Scopes inherit from each other, so that several come to the same line: it is reported once.
void flag_reader::object(const flag_set::scope& of, std::string_view flag, const std::string& allowed) const {
    problem found{out_.file(), 0, "flags." + std::string(flag), "", allowed};
    if (const auto* from = source_of(of, flag)) {
        if (from->from_environment) found.file = "environment";
        found.line = from->at.line;
        found.key = from->at.key;
        found.found = quote_found(from->text);
    } else {
        // Nobody wrote it: what it doesn't go with is the strategy, so that line is the one to look at.
        const auto* strategy = source_of(of, "dual_write_strategy");
        if (strategy != nullptr) found.line = strategy->at.line;
        found.found = "its default, '" + flag_text(as_overrides(flags{}), flag).value_or("") + "'";
    }
    const auto& problems = out_.problems();
    const bool known = std::any_of(problems.begin(), problems.end(), [&](const problem& each) {
        return each.file == found.file && each.line == found.line && each.key == found.key;
    });
    if (!known) out_.add(std::move(found));
}

void flag_reader::check(const flag_set& flags, bool may_differ) const {
    for (const auto& of : flags.scopes())
        if (sound(of)) check_scope(flags, of, may_differ);
}

void flag_reader::check_scope(const flag_set& flags, const flag_set::scope& of, bool may_differ) const {
    const auto resolved = flags.resolve(of.group, of.tenant);
    const auto decides = authority(resolved);
    const std::string strategy(to_string(resolved.dual_write_strategy));
    if (!may_differ && sound({}) && decides != authority(flags.defaults())) {
        const auto whole = std::string(to_string(authority(flags.defaults())));
        // Of the two flags that decide, the one to name is the one that the scope doesn't share with the top.
        constexpr std::string_view strategy_flag = "dual_write_strategy";
        const bool own_strategy = source_of(of, strategy_flag) != source_of({}, strategy_flag);
        const auto deciding = resolved.hybrid_mode_enabled && own_strategy ? strategy_flag : "hybrid_mode_enabled";
        object(of, deciding,
               "a value that keeps " + whole +
                   " in charge, as the flags at the top do: scopes change hands by themselves with stream.both_ways");
        return;
    }
    if (resolved.cutover_completed && decides == side::legacy)
        object(
            of, "cutover_completed",
            "false while legacy is in charge" +
                (resolved.hybrid_mode_enabled ? " (dual_write_strategy is " + strategy + "); true goes with modern-only"
                                              : std::string(" (hybrid_mode_enabled is false)")));

    // Without the hybrid mode everything goes to legacy, and the read strategy waits for its return.
    if (!resolved.hybrid_mode_enabled) return;
    const bool reads_legacy = resolved.hybrid_read_strategy == read_strategy::legacy;
    if (decides == side::modern && reads_legacy)
        object(of, "hybrid_read_strategy",
               "modern or prefer-modern under dual_write_strategy " + strategy + ": what is in charge is read");
    if (decides == side::legacy && !reads_legacy && !may_read_at_follower(resolved))
        object(of, "hybrid_read_strategy",
               "legacy under dual_write_strategy " + strategy + ": nothing brings modern the rows");
}

}  // namespace crossfade::settings
