#include "proxy/strategy/reading.hpp"

#include <algorithm>
#include <array>
#include <utility>
#include <variant>

#include "proxy/strategy/group_sides.hpp"

namespace crossfade::proxy::strategy {
namespace {

namespace effect = sql::effect;
using settings::read_strategy;
using sql::statement_kind;

template <class... Effects>
bool has_effect(const sql::statement& it) {
    return (std::holds_alternative<Effects>(it.effect) || ...);
}

bool serializable(const sql::transaction_modes& modes) {
    return modes.isolation == sql::isolation_level::serializable;
}

// What the follower's rows say under SERIALIZABLE is of no order with what is written on the authority.
bool begins_read_only(const sql::statement& it) {
    const auto* begin = std::get_if<effect::begin>(&it.effect);
    const auto* set = std::get_if<effect::set_transaction>(&it.effect);
    const auto* modes = begin != nullptr ? &begin->modes : set != nullptr ? &set->modes : nullptr;
    return modes != nullptr && modes->read_only == true && !serializable(*modes);
}

errand errand_of(const sql::statement& it) {
    if (begins_read_only(it)) return errand::read_only;
    const bool only_reads = it.read_only || it.copies_to_client;
    if (!only_reads || it.place_bound || it.unknown_tables) return errand::at_home;
    if (std::ranges::any_of(it.tables, [](const auto& each) { return is_postgresqls(each.schema, each.name); }))
        return errand::at_home;
    if (!it.tables.empty()) return errand::read;
    return it.calls == sql::volatility::immutable ? errand::anywhere : errand::at_home;
}

errand behind(errand before, errand next) {
    using enum errand;
    if (before == at_home || next == at_home) return at_home;
    if (before == anywhere) return next;
    // A transaction that begins behind a read of the same batch has that read in it.
    if (before == read && next == read_only) return at_home;
    return before;
}

bool sets_character(const sql::statement& it) {
    constexpr std::array<std::string_view, 3> names{"transaction_read_only", "default_transaction_read_only",
                                                    "default_transaction_isolation"};
    const auto known = [&](std::string_view name) { return std::ranges::find(names, name) != names.end(); };
    if (const auto* set = std::get_if<effect::set_parameter>(&it.effect)) return known(set->name);
    if (const auto* reset = std::get_if<effect::reset_parameter>(&it.effect)) return known(reset->name);
    if (const auto* modes = std::get_if<effect::set_transaction>(&it.effect))
        return modes->modes.read_only == false || serializable(modes->modes);
    return has_effect<effect::reset_all, effect::discard, effect::set_transaction_defaults>(it);
}

bool chains(const sql::statement& it) {
    const auto* commit = std::get_if<effect::commit>(&it.effect);
    const auto* rollback = std::get_if<effect::rollback>(&it.effect);
    return (commit != nullptr && commit->chain) || (rollback != nullptr && rollback->chain) ||
           has_effect<effect::begin>(it);
}

bool calls_for_session(const sql::statement& it) {
    const auto& called = it.called;
    return called.set_config || called.sequence_value || called.advisory_lock || called.advisory_unlock;
}

// What keeps a session for good where it was said: a cursor that outlives its transaction, and code that isn't looked
// into, DO and CALL.
bool keeps_session(const sql::statement& it) {
    const auto* cursor = std::get_if<effect::declare_cursor>(&it.effect);
    return (cursor != nullptr && cursor->with_hold) ||
           (it.kind == statement_kind::write && it.unknown_tables && it.calls == sql::volatility::unknown);
}

// Who has begun READ ONLY may call what he likes, but for what is known to be heard of elsewhere, and what his session
// couldn't come home with. What writes is refused there as at home.
bool strays(const sql::statement& it) {
    return calls_for_session(it) || it.has_side_effects || sets_character(it) || keeps_session(it) ||
           has_effect<effect::listen, effect::unlisten, effect::notify, effect::import_snapshot,
                      effect::prepare_transaction, effect::commit_prepared, effect::rollback_prepared>(it) ||
           it.kind == statement_kind::other;
}

// Rows that are written with PostgreSQL's own functions, and reads with them, leave the session as it was.
bool alters(const sql::statement& it) {
    const bool calls_others = it.calls == sql::volatility::unknown || it.calls_may_write || calls_for_session(it);
    switch (it.kind) {
        case statement_kind::read:
        case statement_kind::copy:
            return calls_others;
        case statement_kind::write:
            return calls_others || it.unknown_tables;
        case statement_kind::transaction_control:
            return false;
        case statement_kind::session: {
            const auto* set = std::get_if<effect::set_parameter>(&it.effect);
            const auto* cursor = std::get_if<effect::declare_cursor>(&it.effect);
            if (set != nullptr) return !set->local;
            if (cursor != nullptr) return cursor->with_hold || calls_others;
            return !has_effect<effect::fetch, effect::close_cursor, effect::notify>(it);
        }
        case statement_kind::lock:
        case statement_kind::maintenance:
            return false;
        case statement_kind::ddl:
        case statement_kind::execute:
        case statement_kind::other:
            return true;
    }
    return true;
}

bool may_write(const sql::statement& it) {
    switch (it.kind) {
        case statement_kind::read:
            return !it.read_only;
        case statement_kind::transaction_control:
            return has_effect<effect::commit_prepared>(it);
        case statement_kind::session:
            return it.calls_may_write || has_effect<effect::notify>(it);
        case statement_kind::copy:
            return !it.copies_to_client;
        default:
            return true;
    }
}

bool only_controls(const sql::statement& it) {
    if (it.kind == statement_kind::transaction_control)
        return has_effect<effect::begin, effect::set_transaction, effect::savepoint, effect::release_savepoint,
                          effect::rollback_to_savepoint>(it);
    const auto* set = std::get_if<effect::set_parameter>(&it.effect);
    return set != nullptr && set->local;
}

}  // namespace

bool may_read_at_follower(const settings::in_force& flags, const session_facts& session) {
    const auto& scopes = flags.config.flags;
    const auto may = [&](std::string_view group) {
        return settings::may_read_at_follower(scopes.resolve(group, session.tenant));
    };
    if (!session.moves || authority_of(flags, session) != settings::side::legacy || is_divided(flags, session))
        return false;
    return may({}) || std::ranges::any_of(scopes.groups(), [&](const auto& group) { return may(group.first); });
}

void add(intent& to, const sql::statement& it, carried_out when, const prepared_by_name& prepared) {
    if (const auto* run = std::get_if<effect::execute>(&it.effect)) {
        const auto inner = it.kind == statement_kind::execute ? prepared(run->name) : nullptr;
        // One that runs another may run itself: PostgreSQL refuses it, and nothing is known of it.
        const bool known = inner && !has_effect<effect::execute>(*inner);
        to.unknown = to.unknown || !known;
        if (known) add(to, *inner, when, prepared);
        if (known && run->calm_arguments) return;
    }
    to.what = behind(to.what, errand_of(it));
    to.strays = to.strays || strays(it);
    to.chains = to.chains || chains(it);
    for (const auto& table : it.tables) to.tables.push_back(&table);
    if (when == carried_out::later) return;
    to.controls = (to.controls || !std::exchange(to.runs, true)) && only_controls(it);
    to.alters = to.alters || alters(it);
    to.may_write = to.may_write || may_write(it);
}

std::string_view to_string(fallback why) {
    switch (why) {
        case fallback::session:
            return "session";
        case fallback::away:
            return "away";
        case fallback::not_ready:
            return "not_ready";
        case fallback::own_writes:
            return "own_writes";
        case fallback::lag:
            return "lag";
        case fallback::drift:
            return "drift";
        case fallback::rights:
            return "rights";
        case fallback::shape:
            return "shape";
    }
    return "session";
}

read_place place_of(std::span<const read_target> targets, const read_circumstances& now) {
    const auto goes = [](const read_target& each) {
        return each.how == read_strategy::prefer_modern || each.how == read_strategy::modern;
    };
    if (targets.empty() || !std::ranges::all_of(targets, goes)) return {};
    const auto back = [](fallback why) { return read_place{false, why}; };
    if (now.session_stays) return back(fallback::session);
    if (!now.there) return back(fallback::away);
    if (!std::ranges::all_of(targets, &read_target::ready)) return back(fallback::not_ready);
    if (!std::ranges::all_of(targets, &read_target::guarded)) return back(fallback::rights);
    if (!std::ranges::all_of(targets, &read_target::alike)) return back(fallback::shape);
    // What modern hasn't got for all that the stream has come may be what the session has written.
    const bool lacks = std::ranges::any_of(targets, [](const auto& each) { return each.drift > 0; });
    if (now.last_write && (lacks || !now.fresh_to || *now.fresh_to < *now.last_write))
        return back(fallback::own_writes);
    const auto prefers = [](const read_target& each) { return each.how == read_strategy::prefer_modern; };
    const bool late = !now.fresh_to || now.now - *now.fresh_to > now.max_lag;
    if (late && std::ranges::any_of(targets, prefers)) return back(fallback::lag);
    if (std::ranges::any_of(targets, [&](const auto& each) { return prefers(each) && each.drift > each.tolerance; }))
        return back(fallback::drift);
    return {true, std::nullopt};
}

}  // namespace crossfade::proxy::strategy
