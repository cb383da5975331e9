// What a batch comes to, by the state of its tables, the flags, what waits, and the receipts.
#include <spdlog/spdlog.h>

#include <algorithm>

#include "cdc/apply/sorted.hpp"
#include "lib/model/sentinel.hpp"

namespace crossfade::cdc::apply {

namespace {

// Of a dead letter.
constexpr std::string_view written_round_the_fence = "XF006";

std::string_view kind_of(const model::change_event& event) {
    struct {
        std::string_view operator()(const model::row_change& change) const {
            switch (change.operation) {
                case model::row_operation::insert:
                    return "insert";
                case model::row_operation::update:
                    return "update";
                case model::row_operation::remove:
                    break;
            }
            return "delete";
        }
        std::string_view operator()(const model::truncate&) const { return "truncate"; }
        std::string_view operator()(const model::logical_message&) const { return "message"; }
        std::string_view operator()(const model::heartbeat&) const { return "heartbeat"; }
    } name;
    return std::visit(name, event.body);
}

}  // namespace

applier::treatment applier::treat(const model::table_name& table, const model::change_event& event) {
    if (tables_.empty()) return treatment::apply;
    const auto found = tables_.find(model::to_string(table));
    if (found == tables_.end()) return treatment::apply;
    const auto& known = found->second;
    if (known.state == "copying") return treatment::unfinished;
    if (known.state == "new") return treatment::left_out;
    if (known.state == "backfilling") {
        recent_.note(event.xid);
        if (!known.whole) {
            const bool newer = known.settled_lsn && event.at.commit_lsn >= *known.settled_lsn;
            return newer ? treatment::settling : treatment::copied_over;
        }
        // Before there is a snapshot, everything will be in it.
        return !known.copied_at || known.copied_at->has(event.xid) ? treatment::copied : treatment::apply;
    }
    return known.copied_lsn && event.at.commit_lsn < *known.copied_lsn ? treatment::copied : treatment::apply;
}

// At its end a copy is to be whole, whatever the flags say.
bool applier::is_being_copied(const model::table_name& table) const {
    const auto known = tables_.find(model::to_string(table));
    return known != tables_.end() && known->second.state == "backfilling";
}

// What a proxy had written of it by then may be gone, as the copy cleared the table.
bool applier::was_filled_behind(const model::table_name& table, const model::change_event& event) const {
    const auto known = tables_.find(model::to_string(table));
    return known != tables_.end() && known->second.filled_lsn && event.at.commit_lsn < *known->second.filled_lsn;
}

ddl_standing applier::standing_of(const events::ddl_table& table, const model::change_event& event,
                                  scope_filter& scopes, sorted& batch) {
    const auto as = treat(table.name, event);
    // As any TRUNCATE, of what is copied meanwhile, too.
    const bool emptied = table.effect == events::ddl_effect::partition_emptied;
    if (emptied && (as == treatment::copied_over || as == treatment::settling)) return ddl_standing::applied;
    if (as == treatment::copied_over) return ddl_standing::being_copied;
    // Behind all of the copy.
    if (as == treatment::settling) return ddl_standing::applied;
    if (as != treatment::apply) return ddl_standing::left_out;
    if (!scopes.applies(table.name, {})) {
        if (emptied) batch.stale.try_emplace(model::to_string(table.name), event.at.commit_lsn);
        return ddl_standing::left_out;
    }
    const bool follower_s = at_home_ && scopes.is_home(at_home_->follower, at_home_->authorities, table.name, {});
    return emptied && follower_s ? ddl_standing::round_the_fence : ddl_standing::applied;
}

// As a rule the catalog's. Nothing of what comes from the follower of this side is applied while it is the authority:
// an operator sees it among the dead letters, and may have it replayed.
pgclient::result<std::shared_ptr<const table_mapping>> applier::mapping_of(
    const std::shared_ptr<const model::relation>& rel, const model::row_change* change, scope_filter& scopes) {
    auto mapping = catalog_.mapping(to_.db, rel);
    if (!mapping || !at_home_ || (*mapping)->refused || model::is_sentinel(rel->table)) return mapping;
    const auto tenant = change != nullptr ? tenant_of(**mapping, *change) : std::string_view{};
    if (!scopes.is_home(at_home_->follower, at_home_->authorities, rel->table, tenant)) return mapping;
    auto refused = std::make_shared<table_mapping>(**mapping);
    refused->refused = unmappable{std::string{written_round_the_fence}, "was written on " + settings_.ends.source +
                                                                            " while " + settings_.ends.follower +
                                                                            " is the authority, round the fence"};
    return std::shared_ptr<const table_mapping>{std::move(refused)};
}

pgclient::result<applier::sorted> applier::sort(const std::vector<consume::received>& events, scope_filter& scopes) {
    sorted made;
    batch_planner planner;
    const auto treated = [&](const model::table_name& table, const model::change_event& event) {
        const auto as = treat(table, event);
        if (as == treatment::unfinished) made.unfinished = model::to_string(table);
        return as;
    };
    catalog_.forget_refused();
    const auto& waiting = letters_.rows();
    bool waits = false;
    batch_judge judge{mirrored_, made.halves, scopes.in_force()->config.cdc.verify_mirrored_percent};
    if (judging_) {
        if (auto looked = look_at(events, judge); !looked) return looked.error();
    }
    for (const auto& each : events) {
        const auto& at = each.event.at;
        if (const auto* change = std::get_if<model::row_change>(&each.event.body)) {
            auto mapping = mapping_of(change->rel, change, scopes);
            if (!mapping) return mapping.error();
            const auto as = treated(change->rel->table, each.event);
            if (as == treatment::copied || as == treatment::left_out) {
                ++made.skipped[as == treatment::copied ? "copied" : "new"];
                continue;
            }
            if (settings_.by_key && (*mapping)->tied_by) made.tied = *mapping;
            const bool copying = as == treatment::copied_over || as == treatment::settling;
            if (copying && (*mapping)->refused) {
                // Who mends the follower's table has it without this change.
                made.copy_anew.insert(model::to_string(change->rel->table));
                ++made.skipped["copied"];
                continue;
            }
            if (copying && !(*mapping)->key.empty()) {
                const auto how = as == treatment::settling ? strictness::settling : strictness::copied_over;
                planner.add(*change, *mapping, how);
                made.events.push_back({&each, {*mapping}, how});
                ++made.applied[std::string{kind_of(each.event)}];
                continue;
            }
            if (!scopes.applies(change->rel->table, tenant_of(**mapping, *change)) &&
                !is_being_copied(change->rel->table)) {
                ++made.skipped["legacy-only"];
                made.stale.try_emplace(model::to_string(change->rel->table), at.commit_lsn);
                continue;
            }
            const bool behind = !waiting.empty() && waiting.holds(to_string((*mapping)->target), *change, **mapping);
            waits = waits || behind;
            if (waiting.held_changes() >= settings_.most_waiting && waiting.held(to_string((*mapping)->target)))
                made.overfull = to_string((*mapping)->target);
            std::vector<judged_change> judged{{change, judgement::apply, {}}};
            // What waits behind a dead letter goes there, whoever has written it.
            if (judging_ && !behind) judged = judge.judge(each.event, *change, **mapping);
            for (auto& part : judged)
                if (part.how == judgement::trusted && !believes(each.event, **mapping, scopes))
                    part.how = judgement::check;
            std::erase_if(judged, [](const auto& part) { return part.how == judgement::ahead; });
            const bool trusted =
                std::erase_if(judged, [](const auto& part) { return part.how == judgement::trusted; }) > 0;
            bool left_out = true;
            for (const auto& part : judged) {
                if (part.how == judgement::tied) {
                    planner.add_tied(*part.change, *mapping);
                    made.events.push_back({&each, {*mapping}, strictness::exact, part.how, part.change});
                    continue;
                }
                left_out = false;
                const bool checks = part.how == judgement::check;
                planner.add(*part.change, *mapping, strictness::exact,
                            checks ? std::optional{part.marks.front()} : std::nullopt);
                made.events.push_back({&each, {*mapping}, strictness::exact, part.how, part.change});
                (checks ? made.checked : made.written).insert(part.marks.begin(), part.marks.end());
            }
            if (left_out) {
                ++made.skipped[trusted ? "mirrored-trusted" : "mirrored-ahead"];
                continue;
            }
        } else if (const auto* emptied = std::get_if<model::truncate>(&each.event.body)) {
            std::vector<std::shared_ptr<const table_mapping>> mappings;
            std::set<std::string> being_copied;
            for (const auto& rel : emptied->relations) {
                const auto as = treated(rel->table, each.event);
                if (as == treatment::copied || as == treatment::left_out) continue;
                // A truncate has no tenant: what holds for the table's group as a whole decides.
                if (as == treatment::apply && !scopes.applies(rel->table, {})) {
                    made.stale.try_emplace(model::to_string(rel->table), at.commit_lsn);
                    continue;
                }
                auto mapping = mapping_of(rel, nullptr, scopes);
                if (!mapping) return mapping.error();
                waits = waits || waiting.any(to_string((*mapping)->target));
                if (as == treatment::copied_over || as == treatment::settling)
                    being_copied.insert(to_string((*mapping)->target));
                mappings.push_back(*mapping);
            }
            if (mappings.empty()) {
                ++made.skipped["truncate"];
                continue;
            }
            planner.add(*emptied, mappings);
            waits = waits || judging_;  // for rows that are ahead
            made.events.push_back(
                {.from = &each, .mappings = std::move(mappings), .being_copied = std::move(being_copied)});
        } else if (events::is_ddl(each.event)) {
            // At its place between the rows, and those behind it may need another mapping.
            waits = true;
            made.events.push_back({&each, {}});
            const auto seen = events::read_ddl(std::get<model::logical_message>(each.event.body));
            if (seen && seen->stream == settings_.stream &&
                seen->tables.front().effect == events::ddl_effect::partition_emptied)
                treated(seen->tables.front().name, each.event);
        }
        ++made.applied[std::string{kind_of(each.event)}];
    }
    const table_mapping* last = nullptr;
    for (const auto& each : made.events) {
        for (const auto& mapping : each.mappings) {
            if (mapping.get() != last && !mapping->refused) made.mappings.insert(mapping);
            last = mapping.get();
        }
    }
    made.plan = planner.take();
    made.taken_back = judge.taken_back();
    if (waits || (!to_.replica_role && made.plan.changes > 0)) made.plan.careful = true;
    return made;
}

bool applier::marks_stale(const sorted& batch) const {
    return std::ranges::any_of(batch.stale, [&](const auto& each) {
        const auto known = tables_.find(each.first);
        return known == tables_.end() || known->second.state == "live";
    });
}

void applier::mark_stale(const sorted& batch) {
    for (const auto& [table, since] : batch.stale) {
        const auto known = tables_.find(table);
        if (known != tables_.end() && known->second.state != "live") continue;
        to_.pipe->add(
            statement{"INSERT INTO crossfade.tables AS t (stream, table_name, state, stale_since)"
                      " VALUES ($1::text, $2::text, 'stale', $3::pg_lsn) ON CONFLICT (stream, table_name)"
                      " DO UPDATE SET state = 'stale', stale_since = excluded.stale_since, updated_at = now()"
                      " WHERE t.state = 'live'",
                      {settings_.stream, table, model::to_string(since)},
                      std::nullopt});
        reload_ = true;
    }
}

void applier::copy_anew(const sorted& batch) {
    for (const auto& table : batch.copy_anew) {
        spdlog::warn("the copy of {} begins anew: what is copied of it by now doesn't fit what has happened on {}",
                     table, settings_.ends.source);
        to_.pipe->add(
            statement{"UPDATE crossfade.backfills SET state = 'asked', reason = NULL, updated_at = now()"
                      " WHERE stream = $1::text AND table_name = $2::text AND state IN ('copying', 'catching_up')",
                      {settings_.stream, table},
                      std::nullopt});
        reload_ = true;
    }
}

}  // namespace crossfade::cdc::apply
