// Under which conditions the follower is written to.
#include <map>
#include <string>
#include <utility>

#include "cdc/apply/turn.hpp"
#include "cdc/backfill/backfiller.hpp"
#include "lib/store/authority.hpp"
#include "lib/store/fence.hpp"

namespace crossfade::cdc::backfill {
namespace {

using stage = store::backfill::stage;

model::table_name name_of(const std::string& table) {
    const auto dot = table.find('.');
    return {table.substr(0, dot), table.substr(dot + 1)};
}

}  // namespace

void backfiller::note_asked() {
    const auto before = std::exchange(asked_, {});
    for (const auto& each : tables_) {
        const auto seen = before.find(each.table);
        if (each.now == stage::asked) asked_.emplace(each.table, seen == before.end() ? looked_ : seen->second);
    }
}

pgclient::result<bool> backfiller::is_known_of() {
    const auto from = asked_.at(current_->table) + store::until_known_of;
    if (steady::now() >= from) return true;
    auto live = to_.db.exec(
        "SELECT FROM crossfade.tables WHERE stream = $1::text AND table_name = $2::text AND"
        " state IN ('live', 'stale')",
        {settings_.stream, current_->table});
    if (!live) return live.error();
    if (live->empty()) return true;
    again_at_ = from;
    return false;
}

// When a copy is asked for legacy is the authority, and it may be done, or go on, behind a flip.
pgclient::result<std::optional<backfiller::turn>> backfiller::enter(const store::progress& at) {
    auto mine = apply::begin_turn(to_, settings_, at);
    if (mine && *mine) {
        auto home = follower_is_home();
        if (home && !*home) return std::optional<turn>{};
        source_.close();
        if (!home && (home.error().connection_lost() || !home.error().transient())) return home.error();
        if (auto left = leave(); !left) return left.error();
        // A flip that opens this side has the row.
        if (!home) return std::optional{turn{}};
        auto held =
            hold(settings_.ends.follower + " takes the application's writes of it, or of some of its rows, and " +
                 settings_.ends.source + "'s would go over them");
        if (!held) return held.error();
        return std::optional{*held};
    }
    source_.close();
    if (!mine) return mine.error();
    return std::optional{turn{}};
}

pgclient::result<bool> backfiller::follower_is_home() {
    if (settings_.authority_of.empty()) return false;
    const auto in_force = in_force_();
    const auto table = name_of(current_->table);
    auto held = to_.db.exec(
        "SELECT EXISTS (SELECT FROM pg_attribute WHERE attrelid = to_regclass($2::text) AND attname = $3::name AND"
        " attnum > 0 AND NOT attisdropped) FROM crossfade.authority WHERE stream = $1::text FOR SHARE",
        {settings_.authority_of, model::quoted(table), in_force->config.tenants.column});
    if (!held) return held.error();
    auto row = store::load_authority(to_.db, settings_.authority_of);
    if (!row) return row.error();
    if (held->empty() || !*row) return false;
    const auto here =
        settings_.ends.follower == to_string(settings::side::modern) ? settings::side::modern : settings::side::legacy;
    const auto refuses =
        store::fence_of((*row)->authorities, here, in_force->config.flags.group_of(table), held->boolean(0, 0));
    return !refuses.closed || refuses.divides();
}

}  // namespace crossfade::cdc::backfill
