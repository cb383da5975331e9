// What a flip does about the sequences of the tables that change hands.
#include <algorithm>
#include <map>
#include <set>
#include <utility>

#include "lib/handover/coordinator_state.hpp"
#include "lib/handover/division.hpp"
#include "lib/preflight/listing.hpp"
#include "lib/settings/turned.hpp"

namespace crossfade::handover {

std::vector<sequence> coordinator::sequences(place& on) {
    return read_sequences(ask(on, "reading sequences", sequences_sql(), {"crossfade_" + on.stream}));
}

std::set<std::string> coordinator::divided(const place& on, const settings::assignment& by) const {
    std::set<std::string> tables;
    for (const auto& each : on.tables)
        if (store::fence_of(by, on.which, config_.flags, each).divides()) tables.insert(each.oid);
    return tables;
}

// Where all of a table's rows go to the new side, and those that belong to no table. Where a table's tenants are on
// both sides, the two never meet as it is.
std::optional<std::string> coordinator::move_sequences(const attempt& made) {
    auto& old_side = need(made.from);
    auto& new_side = need(settings::other(made.from));
    const auto& meant = made.what.meant;
    const auto moved_on = [&](const place& on) {
        std::set<std::string> oids;
        for (const auto& each : on.tables)
            if (moves(meant, config_.flags, each) && !divides(meant, config_.flags, each)) oids.insert(each.oid);
        return oids;
    };
    const auto here = moved_on(old_side);
    const auto there = moved_on(new_side);
    const bool everything = meant.after.apart.empty();
    std::map<std::string, std::int64_t> targets;
    for (const auto& [drawing, joining] : match(sequences(old_side), made.onto).pairs) {
        const bool free = drawing.free() && joining.free();
        if (!free && !here.contains(drawing.table) && !there.contains(joining.table)) continue;
        // While others stay both sides draw from it, and one that comes round may be thrown back.
        if (free && joining.cycles && !everything) continue;
        const auto planned = plan_move(drawing, joining);
        if (!planned.objection.empty()) return planned.objection;
        if (!planned.to) continue;
        auto& to = targets.emplace(joining.name, *planned.to).first->second;
        to = joining.increment > 0 ? std::max(to, *planned.to) : std::min(to, *planned.to);
    }
    std::string sql;
    for (const auto& [sequence, to] : targets)
        sql += "SELECT setval(" + pgclient::quote_literal(sequence) + "::regclass, " + std::to_string(to) + ");";
    if (!sql.empty()) ask(new_side, "setting sequences ahead", sql);
    return std::nullopt;
}

// Before anything is held, as it need not be undone.
std::optional<std::string> coordinator::divide_sequences(const attempt& made) {
    auto& old_side = need(made.from);
    auto& new_side = need(settings::other(made.from));
    const auto tables = divided(old_side, made.what.meant.after);
    if (tables.empty()) return std::nullopt;
    std::map<std::pair<std::string, std::string>, sequence_pair> pairs;  // one sequence may serve several columns
    for (auto& pair : match(sequences(old_side), sequences(new_side)).pairs)
        if (tables.contains(pair.drawing.table) && !pair.joining.free())
            pairs.emplace(std::pair{pair.drawing.name, pair.joining.name}, std::move(pair));
    std::vector<sequence_pair> all;
    for (auto& [ignored, pair] : pairs) all.push_back(std::move(pair));
    if (const auto shared = serving_several(all); !shared.empty())
        return "the two sides' sequences would meet: several go with " + preflight::listing(shared);
    const auto done = divide(old_side.db, new_side.db, old_side.stream, new_side.stream, all);
    if (!done) throw trouble("making the two sides' sequences never meet: " + pgclient::to_string(done.error()));
    if (done->objection.empty()) return std::nullopt;
    return "the two sides' sequences would meet: " + done->objection;
}

// Behind a flip that was decided: what fails here is taken up by the next one, and costs values alone.
void coordinator::rejoin_sequences(const settings::assignment& by) {
    for (const auto which : {settings::side::legacy, settings::side::modern}) {
        auto& on = need(which);
        // Asked only where any counts so.
        std::optional<std::set<std::string>> needed;
        const auto is_whole = [&](const std::string& name) {
            if (!needed) {
                needed.emplace();
                const auto tables = divided(on, by);
                for (const auto& each : sequences(on))
                    if (tables.contains(each.table)) needed->insert(each.name);
            }
            return !needed->contains(name);
        };
        const auto done = rejoin(on.db, on.stream, is_whole);
        if (!done)
            say_("the sequences of " + std::string{settings::to_string(which)} +
                 " still count by steps twice as long: " + pgclient::to_string(done.error()) +
                 "; the next flip sees to it");
    }
}

}  // namespace crossfade::handover
