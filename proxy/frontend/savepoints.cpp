#include "proxy/frontend/savepoints.hpp"

#include <algorithm>
#include <variant>

namespace crossfade::proxy::frontend {

savepoint_step savepoint_step_of(const sql::statement& it) {
    using kind = savepoint_step::kind;
    if (const auto* set = std::get_if<sql::effect::savepoint>(&it.effect)) return {kind::set, set->name};
    if (const auto* release = std::get_if<sql::effect::release_savepoint>(&it.effect))
        return {kind::release, release->name};
    if (const auto* back = std::get_if<sql::effect::rollback_to_savepoint>(&it.effect))
        return {kind::roll_back, back->name};
    return {};
}

std::vector<savepoints::savepoint>::iterator savepoints::find(std::string_view name) {
    const auto found = std::find_if(set_.rbegin(), set_.rend(), [&](const auto& each) { return each.name == name; });
    return found == set_.rend() ? set_.end() : std::prev(found.base());
}

std::optional<savepoints::place> savepoints::follow(const savepoint_step& step, place now) {
    using kind = savepoint_step::kind;
    if (step.what == kind::nothing) return now;
    if (step.what == kind::set) {
        if (set_.size() == most) return std::nullopt;
        set_.push_back({step.name, now});
        return now;
    }
    const auto named = find(step.name);
    if (named == set_.end()) return std::nullopt;
    const bool back = step.what == kind::roll_back;
    const auto left = back ? named->at : now;
    set_.erase(back ? std::next(named) : named, set_.end());
    return left;
}

}  // namespace crossfade::proxy::frontend
