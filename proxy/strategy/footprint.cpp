#include "proxy/strategy/footprint.hpp"

#include <variant>

#include "lib/settings/turned.hpp"

namespace crossfade::proxy::strategy {
namespace {

namespace effect = sql::effect;
using sql::statement_kind;

template <class... Effects>
bool has_effect(const sql::statement& it) {
    return (std::holds_alternative<Effects>(it.effect) || ...);
}

// What a rollback doesn't take back, or what another database answers in another way, is not to be said twice.
bool is_repeatable(const sql::statement& it) {
    switch (it.kind) {
        case statement_kind::transaction_control:
            return has_effect<effect::begin, effect::set_transaction, effect::savepoint, effect::release_savepoint,
                              effect::rollback_to_savepoint>(it);
        case statement_kind::session:
            return has_effect<std::monostate, effect::set_parameter, effect::reset_parameter,
                              effect::set_transaction_defaults>(it);
        case statement_kind::read:
            // set_config is volatile, and SET by another name.
            return !it.calls_may_write &&
                   (it.calls <= sql::volatility::stable || (it.called.set_config && !it.called.sequence_value &&
                                                            !it.called.advisory_lock && !it.called.advisory_unlock));
        default:
            return false;
    }
}

void add_control(footprint& to, const sql::statement& it) {
    const auto* commit = std::get_if<effect::commit>(&it.effect);
    const auto* rollback = std::get_if<effect::rollback>(&it.effect);
    if (has_effect<effect::begin>(it)) {
        to.begins = true;
    } else if (commit != nullptr || rollback != nullptr || has_effect<effect::prepare_transaction>(it)) {
        to.ends = true;
        to.begins = (commit != nullptr && commit->chain) || (rollback != nullptr && rollback->chain);
    }
}

bool may_touch_what_it_does_not_name(const sql::statement& it) {
    if (!it.tables.empty()) return false;
    return it.unknown_tables || it.calls == sql::volatility::unknown || it.kind == statement_kind::ddl ||
           it.kind == statement_kind::other || has_effect<effect::listen, effect::unlisten, effect::notify>(it);
}

void add(footprint& to, const sql::statement& it, const group_sides& sides, const prepared_lookup& prepared) {
    if (const auto* run = std::get_if<effect::execute>(&it.effect)) {
        // What runs another one by its name may run itself: PostgreSQL refuses it, and nothing is known of it.
        const auto inner = prepared(run->name);
        if (inner && !has_effect<effect::execute>(*inner)) {
            to.repeatable = to.repeatable && run->calm_arguments;
            return add(to, *inner, sides, prepared);
        }
    }
    for (const auto& table : it.tables) {
        const auto place = sides.of(table.schema, table.name);
        if (!place) continue;
        const auto at = index_of(place->at);
        if (table.written || table.locked || table.defined) {
            if (to.writes[at] == nullptr) to.writes[at] = &table;
        } else {
            to.reads[at] = true;
        }
    }
    to.unknown = to.unknown || may_touch_what_it_does_not_name(it);
    to.repeatable = to.repeatable && is_repeatable(it);
    add_control(to, it);
}

}  // namespace

footprint footprint_of(const sql::understanding* known, const group_sides& sides, const prepared_lookup& prepared) {
    footprint made;
    if (known == nullptr || !*known) {
        made.unknown = true;
        made.repeatable = false;
        return made;
    }
    for (const auto& each : **known) add(made, each, sides, prepared);
    return made;
}

footprint footprint_of(const sql::statement& it, const group_sides& sides, const prepared_lookup& prepared) {
    footprint made;
    add(made, it, sides, prepared);
    return made;
}

fit fit_of(const footprint& it, settings::side here, settings::side home) {
    const auto near = index_of(here);
    const auto far = index_of(settings::other(here));
    if (it.writes[near] != nullptr && it.writes[far] != nullptr) return fit::torn;
    if (it.writes[near] != nullptr) return fit::here;
    if (it.writes[far] != nullptr) return fit::write_there;
    // Of both: one of them is a follower's wherever it runs.
    if (it.reads[near]) return fit::here;
    if (it.reads[far]) return fit::read_there;
    if (it.unknown) return here == home ? fit::here : fit::maybe_there;
    return fit::indifferent;
}

}  // namespace crossfade::proxy::strategy
