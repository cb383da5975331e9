#include "ctl/status/command.hpp"

#include "ctl/catalog/database.hpp"
#include "ctl/catalog/read.hpp"
#include "ctl/output/json.hpp"
#include "ctl/output/table.hpp"
#include "ctl/status/assess.hpp"
#include "lib/settings/directions.hpp"
#include "lib/settings/turned.hpp"
#include "lib/store/schema.hpp"

namespace crossfade::ctl::status {

namespace {

using catalog::ask;

std::optional<store::authority_row> authority_in(pgclient::connection& side, const settings::configuration& config) {
    if (!config.stream.both_ways) return std::nullopt;
    auto found = store::load_authority(side, settings::forth_stream(config));
    if (!found) throw stop(exit_code::no, "reading crossfade.authority: " + to_string(found.error()));
    return std::move(*found);
}

// Each flip to modern has begun on legacy.
std::set<settings::flag_scope> were_on_modern(pgclient::connection& legacy, const settings::configuration& config) {
    const auto found =
        ask(legacy, "reading crossfade.flips",
            "SELECT DISTINCT table_group, tenant FROM crossfade.flips WHERE stream = $1::text AND outcome = 'done'"
            " AND to_side = 'modern'",
            {config.stream.name});
    std::set<settings::flag_scope> all;
    for (int i = 0; i < found.size(); ++i) all.insert({std::string{found.text(i, 0)}, std::string{found.text(i, 1)}});
    return all;
}

void look_at_legacy(picture& into) {
    try {
        auto legacy = catalog::connect(into.config, settings::side::legacy);
        into.slot = catalog::read_slot(legacy, into.config.stream.slot());
        const auto position =
            ask(legacy, "asking " + std::string{into.config.source_name()}, "SELECT pg_current_wal_lsn()::text");
        if (const auto parsed = model::parse_lsn(position.text(0, 0))) into.legacy_position = *parsed;
        into.authority_by_legacy = authority_in(legacy, into.config);
        if (into.authority_by_legacy && into.config.source == settings::side::legacy)
            into.were_on_modern = were_on_modern(legacy, into.config);
    } catch (const stop& why) {
        into.legacy_problem = why.what();
    }
}

void look_at_modern(picture& into) {
    try {
        auto modern = catalog::connect(into.config, settings::side::modern);
        into.authority_by_modern = authority_in(modern, into.config);
        into.store = catalog::read_store(modern, into.config.stream.name);
        if (!into.store.present) return;
        const auto drift = ask(modern, "reading crossfade.drift",
                               "SELECT state, count(*) FROM crossfade.drift WHERE stream = $1 GROUP BY state",
                               {into.config.stream.name});
        for (int i = 0; i < drift.size(); ++i)
            into.drift[std::string{drift.text(i, 0)}] = drift.integer(i, 1).value_or(0);
        into.dead_letters =
            ask(modern, "reading crossfade.dead_letters",
                "SELECT count(*) FROM crossfade.dead_letters WHERE stream = $1", {into.config.stream.name})
                .integer(0, 0)
                .value_or(0);
        if (auto backfills = store::load_backfills(modern, into.config.stream.name))
            into.backfills = std::move(*backfills);
        if (into.store.version != store::schema_version) return;
        const auto paused = ask(
            modern, "reading crossfade.ddl",
            "SELECT l.table_name || ' waits for ' || d.command || ' (crossfade ddl list; ' || d.id || '): ' || d.advice"
            " FROM crossfade.dead_letters l JOIN crossfade.ddl d USING (stream, commit_lsn, ordinal)"
            " WHERE stream = $1 AND l.operation = 'ddl' ORDER BY d.id, 1",
            {into.config.stream.name});
        for (int i = 0; i < paused.size(); ++i) into.paused.emplace_back(paused.text(i, 0));
    } catch (const stop& why) {
        into.modern_problem = why.what();
    }
}

boost::json::value or_null(const program_answer& program) {
    return program.answer ? boost::json::value(*program.answer) : boost::json::value(nullptr);
}

boost::json::object source_of(const picture& of) {
    boost::json::object source{{"problem", of.legacy_problem}, {"slot", nullptr}};
    if (of.slot)
        source["slot"] = {{"name", of.config.stream.slot()},
                          {"active", of.slot->active},
                          {"wal_status", of.slot->wal_status},
                          {"retained_bytes", of.slot->retained_bytes},
                          {"confirmed_lsn", of.slot->confirmed ? to_string(*of.slot->confirmed) : ""}};
    source["position"] = to_string(of.legacy_position);
    return source;
}

boost::json::object follower_of(const picture& of) {
    boost::json::object tables;
    for (const auto& [table, state] : of.store.table_states) tables[table] = state;
    boost::json::object drift;
    for (const auto& [state, rows] : of.drift) drift[state] = rows;
    boost::json::object follower{{"problem", of.modern_problem}, {"applied_lsn", nullptr}, {"next_offset", nullptr}};
    if (of.store.progress) {
        follower["applied_lsn"] = to_string(of.store.progress->end_lsn());
        if (of.config.stream.by_key()) {
            boost::json::array partitions;
            for (const auto& each : of.store.progress->partitions)
                partitions.push_back({{"partition", each.partition},
                                      {"applied_lsn", to_string(each.end_lsn)},
                                      {"next_offset", each.next_offset}});
            follower["partitions"] = partitions;
        } else {
            follower["next_offset"] = of.store.progress->partitions.front().next_offset;
        }
    }
    follower["tables"] = tables;
    follower["drift"] = drift;
    follower["dead_letters"] = of.dead_letters;
    boost::json::array backfills;
    for (const auto& each : of.backfills)
        backfills.push_back({{"table", each.table},
                             {"state", to_string(each.now)},
                             {"reason", each.reason},
                             {"rows", each.copied_rows},
                             {"estimated_rows", each.estimated_rows}});
    follower["backfills"] = backfills;
    follower["paused"] = output::strings(of.paused);
    return follower;
}

void print_json(const picture& of, const picture* back, const assessment& made, std::ostream& out) {
    const auto& flags = of.config.flags.defaults();
    boost::json::object all{{"healthy", made.code() == exit_code::fine},
                            {"authority", to_string(authority(flags))},
                            {"strategy", to_string(effective_strategy(flags))},
                            {"troubles", output::strings(made.troubles)},
                            {"unreachable", output::strings(made.unreachable)},
                            {"proxy", or_null(of.proxy)},
                            {"cdc", or_null(of.cdc)},
                            {"legacy", source_of(of)},
                            {"modern", follower_of(of)}};
    if (back != nullptr) {
        // What is where it is: of the way back the slot is on modern.
        all["back"] = {{"stream", back->config.stream.name},
                       {"proxy", or_null(back->proxy)},
                       {"cdc", or_null(back->cdc)},
                       {"modern", source_of(*back)},
                       {"legacy", follower_of(*back)}};
        if (const auto* now = store::newer(of.authority_by_legacy, of.authority_by_modern)) {
            all["authority"] = to_string(now->authorities.everything);
            boost::json::array apart;
            for (const auto& [scope, authority] : now->authorities.apart)
                apart.push_back(
                    {{"group", scope.group}, {"tenant", scope.tenant}, {"authority", to_string(authority)}});
            all["apart"] = std::move(apart);
            all["authority_epoch"] = now->epoch;
            all["flip"] = to_string(flip_of(of)->state);
            all["completed_at"] = now->completed_at;
            boost::json::array scopes;
            for (const auto& scope : scopes_of(of))
                scopes.push_back({{"group", scope.group},
                                  {"tenant", scope.tenant},
                                  {"state", stage_of(of, scope, made.troubles.empty())}});
            all["scopes"] = std::move(scopes);
        }
    }
    out << output::pretty(all);
}

void print_table(const assessment& made, std::ostream& out) {
    output::table table({{"part"}, {"state"}});
    for (const auto& [part, state] : made.lines) table.add({part, state});
    out << table.render() << '\n';
    for (const auto& trouble : made.troubles) out << "look at: " << trouble << '\n';
    if (!made.unreachable.empty()) {
        out << "NOT ALL ANSWERED: " << output::joined(made.unreachable) << '\n';
    } else {
        out << (made.troubles.empty() ? "healthy\n" : "NEEDS A HAND\n");
    }
}

}  // namespace

exit_code run(const context& in) {
    picture of;
    of.config = in.config;
    of.proxy = ask_program(in.config.proxy.admin);
    of.cdc = ask_program(in.config.cdc.admin);
    look_at_legacy(of);
    look_at_modern(of);
    std::optional<picture> back;
    if (in.config.stream.both_ways) {
        back.emplace();
        back->config = settings::turned(in.config);
        back->proxy = of_back(of.proxy);
        back->cdc = of_back(of.cdc);
        look_at_legacy(*back);
        look_at_modern(*back);
    }
    const auto* way_back = back ? &*back : nullptr;
    const auto made = assess(of, way_back);
    in.json() ? print_json(of, way_back, made, in.out) : print_table(made, in.out);
    return made.code();
}

}  // namespace crossfade::ctl::status
