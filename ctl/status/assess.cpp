#include "ctl/status/assess.hpp"

#include <algorithm>
#include <boost/json.hpp>

#include "ctl/flags/compare.hpp"
#include "ctl/output/table.hpp"
#include "ctl/stream/progress.hpp"
#include "lib/settings/directions.hpp"

namespace crossfade::ctl::status {

namespace {

namespace json = boost::json;

// A member down a path, as text; empty when it isn't there.
std::string at(const json::object& from, std::initializer_list<std::string_view> path) {
    const json::object* object = &from;
    const json::value* value = nullptr;
    for (const auto key : path) {
        if (object == nullptr) return {};
        value = object->if_contains(key);
        if (value == nullptr) return {};
        object = value->if_object();
    }
    return value->is_null() ? std::string{} : flags::text_of(*value);
}

std::string bytes(std::int64_t count) {
    return output::bytes_text(static_cast<std::uint64_t>(std::max<std::int64_t>(count, 0)));
}

std::string up_for(const json::object& program) {
    const std::string seconds = at(program, {"uptime_seconds"});
    return seconds.empty() ? std::string{} : ", up " + output::seconds_text(std::strtod(seconds.c_str(), nullptr));
}

void assess_program(const std::string& name, const program_answer& program, const settings::endpoint& admin,
                    const std::string& detail, assessment& into) {
    if (!program.answer) {
        into.lines.emplace_back(name, "no answer at " + to_string(admin) + ": " + program.problem);
        into.unreachable.push_back(name);
        return;
    }
    const std::string state = at(*program.answer, {"stream", "state"});
    const std::string reason = at(*program.answer, {"stream", "reason"});
    const std::string way_out = at(*program.answer, {"stream", "way_out"});
    std::string line = state.empty() ? "running" : state;
    if (!reason.empty()) line += " (" + reason + ')';
    into.lines.emplace_back(name, line + detail + up_for(*program.answer));
    if (state == "stopped")
        into.troubles.push_back(name + " has stopped the stream: " + reason +
                                (way_out.empty() ? "" : ". Way out: " + way_out));
    // On purpose it has none: a flag, or a copy under way.
    if (state == "held" && !way_out.empty())
        into.troubles.push_back(name + " holds the stream: " + reason + ". Way out: " + way_out);
    if (at(*program.answer, {"ready"}) == "false" && state != "stopped" && state != "standby")
        into.troubles.push_back(name + " is not ready" + (reason.empty() ? "" : ": " + reason) +
                                (way_out.empty() ? "" : ". Way out: " + way_out));
}

// What a program warns of: events that Kafka may delete before they are applied, WAL that fills legacy's disk, answers
// that don't wait for modern.
void assess_warning(const json::object& program, std::string_view of, assessment& into) {
    const std::string warning = at(program, {"stream", of, "warning"});
    if (!warning.empty()) into.troubles.push_back(warning + ". Way out: " + at(program, {"stream", of, "way_out"}));
}

std::string anew(const picture& of) {
    return of.config.source == settings::side::legacy ? "crossfade backfill --resync"
                                                      : settings::begin_back_anew(of.config);
}

void assess_legacy(const picture& of, assessment& into) {
    const std::string source{of.config.source_name()};
    if (!of.legacy_problem.empty()) {
        into.lines.emplace_back(source, of.legacy_problem);
        into.unreachable.emplace_back(source);
        return;
    }
    const std::string name = of.config.stream.slot();
    if (!of.slot) {
        into.lines.emplace_back(source, "no slot " + name);
        into.troubles.push_back("the stream is not set up: crossfade init");
        return;
    }
    into.lines.emplace_back(source, "slot " + name + (of.slot->active ? " in use, " : " idle, ") +
                                        bytes(of.slot->retained_bytes) + " of WAL kept, confirmed up to " +
                                        (of.slot->confirmed ? to_string(*of.slot->confirmed) : "nothing"));
    if (of.slot->wal_status == "lost")
        into.troubles.push_back("slot " + name + " is lost. Way out: SELECT pg_drop_replication_slot('" + name +
                                "'); then " + anew(of));
    if (of.slot->wal_status == "unreserved") into.troubles.push_back("slot " + name + " is about to be lost");
    if (!of.slot->active && of.proxy.answer)
        into.troubles.push_back("nobody reads slot " + name + ": WAL is piling up");
}

void assess_modern(const picture& of, assessment& into) {
    const std::string follower{of.config.follower_name()};
    if (!of.modern_problem.empty()) {
        into.lines.emplace_back(follower, of.modern_problem);
        into.unreachable.emplace_back(follower);
        return;
    }
    if (!of.store.progress) {
        into.lines.emplace_back(follower, "no progress for stream " + of.config.stream.name);
        into.troubles.emplace_back(follower + " does not follow: crossfade init");
        return;
    }
    const auto& progress = *of.store.progress;
    const auto applied = progress.end_lsn();
    std::string line = "applied up to " + to_string(applied);
    if (progress.partitions.size() > 1) line += " in all " + std::to_string(progress.partitions.size()) + " partitions";
    if (of.legacy_problem.empty() && of.legacy_position > applied)
        line += ", " + bytes(static_cast<std::int64_t>(of.legacy_position.value - applied.value)) + " behind";
    into.lines.emplace_back(follower, line + ", moved " + output::seconds_text(progress.age_seconds()) + " ago");
    if (const auto other = stream::object_to_partitions(of.config.stream, progress))
        into.troubles.push_back(other->what + ". Way out: " + other->way_out);

    const std::string ask = of.config.source == settings::side::legacy ? "crossfade " : "crossfade --back ";
    std::map<std::string, std::vector<std::string>> by_state;
    for (const auto& [table, state] : of.store.table_states) by_state[state].push_back(table);
    if (!by_state["copying"].empty())
        into.troubles.push_back("a backfill runs or was broken off (" + ask +
                                "backfill): " + output::joined(by_state["copying"]));
    for (const auto& each : of.backfills) {
        if (each.now == store::backfill::stage::done) continue;
        into.lines.emplace_back(
            "backfill",
            each.table + ": " + std::string{to_string(each.now)} + ", " +
                output::count_text(static_cast<std::uint64_t>(each.copied_rows)) + " of about " +
                output::count_text(static_cast<std::uint64_t>(std::max(each.estimated_rows, each.copied_rows))) +
                " rows");
        if (!each.reason.empty())
            into.troubles.push_back("the backfill of " + each.table +
                                    " stands still (crossfade backfill --live): " + each.reason);
    }
    if (!by_state["new"].empty())
        into.troubles.push_back("never copied, and left out until they are (" + ask +
                                "backfill --tables): " + output::joined(by_state["new"]));
    if (!by_state["stale"].empty())
        into.troubles.push_back("changes are missing (" + ask +
                                "backfill --tables): " + output::joined(by_state["stale"]));
    into.lines.emplace_back("copies", std::to_string(by_state["live"].size()) + " live, " +
                                          std::to_string(by_state["new"].size()) + " new, " +
                                          std::to_string(by_state["copying"].size()) + " copying, " +
                                          std::to_string(by_state["backfilling"].size()) + " copied live, " +
                                          std::to_string(by_state["stale"].size()) + " stale");

    const auto rows = [&](const char* state) {
        const auto found = of.drift.find(state);
        return found == of.drift.end() ? std::int64_t{0} : found->second;
    };
    into.lines.emplace_back("drift", std::to_string(rows("confirmed")) + " confirmed, " +
                                         std::to_string(rows("suspect")) + " suspect, " +
                                         std::to_string(rows("repaired")) + " repaired");
    into.lines.emplace_back("dead letters", std::to_string(of.dead_letters));
    if (rows("confirmed") > 0)
        into.troubles.push_back(std::to_string(rows("confirmed")) + " rows differ: " + ask + "drift list");
    for (const auto& each : of.paused) into.troubles.push_back(each);
    if (of.dead_letters > 0)
        into.troubles.push_back(std::to_string(of.dead_letters) + " changes wait among the dead letters: " + ask +
                                "deadletters list");
}

// Who it is, the databases say; the file, how the other side is followed meanwhile.
std::string authority_of(const picture& of) {
    const auto& flags = of.config.flags.defaults();
    const std::string strategy{to_string(effective_strategy(flags))};
    if (const auto* now = store::newer(of.authority_by_legacy, of.authority_by_modern)) {
        auto line =
            to_string(now->authorities) + ", epoch " + std::to_string(now->epoch) + " (" + strategy + " by the file)";
        if (const auto* noted = flip_of(of); noted->state != store::handover_state::settled)
            line +=
                ", a flip of " + to_string(noted->moving) + " is under way: " + std::string{to_string(noted->state)};
        return line;
    }
    return std::string{to_string(authority(flags))} + " (" + strategy + ')';
}

// What it has taken since is on modern alone, and no command of Crossfade's brings it over (docs/operations.md).
std::string way_back_is_lost(const picture& of) {
    return "the way back is lost, and no flip to legacy can be made: slot " + of.config.stream.slot() +
           " on modern is " + (of.slot ? "lost" : "gone") +
           ", and what modern takes from now on does not reach legacy. The application loses nothing. Way out: stay on"
           " modern (cutover_completed), or make legacy a copy of modern anew: docs/operations.md, The way back is "
           "lost";
}

bool lost_its_slot(const picture& of) {
    return of.legacy_problem.empty() && (!of.slot || of.slot->wal_status == "lost");
}

const store::authority_row* newest(const picture& of) {
    return store::newer(of.authority_by_legacy, of.authority_by_modern);
}

void assess_back(const picture& of, assessment& into) {
    const auto* now = newest(of);
    if (now != nullptr && !now->completed_at.empty()) {
        into.lines.emplace_back("way back", "none: the cutover was completed at " + now->completed_at);
        // Where it died between the two.
        if (of.slot)
            into.troubles.push_back("slot " + of.config.stream.slot() +
                                    " on modern keeps WAL for nobody: crossfade flip --complete --yes --reason ...");
        return;
    }
    if (now != nullptr && now->authorities.has(settings::side::modern) && lost_its_slot(of)) {
        into.lines.emplace_back("way back", of.config.stream.name + ": lost");
        into.troubles.push_back(way_back_is_lost(of));
        return;
    }
    assessment back;
    const auto program = [&](const std::string& name, const program_answer& answer) {
        if (!answer.answer) {
            if (!answer.problem.empty()) back.troubles.push_back(name + ": " + answer.problem);
            return;
        }
        assess_program(name, answer, {}, {}, back);
        if (at(*answer.answer, {"stream", "state"}) == "waiting")
            back.troubles.push_back(name + " waits: " + at(*answer.answer, {"stream", "reason"}) +
                                    (at(*answer.answer, {"stream", "way_out"}).empty()
                                         ? ""
                                         : ". Way out: " + at(*answer.answer, {"stream", "way_out"})));
    };
    program("proxy", of.proxy);
    program("cdc", of.cdc);
    if (of.cdc.answer) assess_warning(*of.cdc.answer, "retention", back);
    if (of.proxy.answer) assess_warning(*of.proxy.answer, "retained_wal", back);
    // Who doesn't answer has been said of the other stream already.
    if (of.legacy_problem.empty()) assess_legacy(of, back);
    if (of.modern_problem.empty()) assess_modern(of, back);
    into.lines.emplace_back("way back", of.config.stream.name);
    for (auto& [part, state] : back.lines) into.lines.emplace_back("  " + part, std::move(state));
    for (auto& trouble : back.troubles) into.troubles.push_back("way back: " + std::move(trouble));
}

// The file can't complete a cutover, and is to say what is so.
void assess_file(const picture& of, assessment& into) {
    const bool by_file = of.config.flags.defaults().cutover_completed;
    const bool done = !newest(of)->completed_at.empty();
    if (by_file && !done)
        into.troubles.emplace_back(
            "cutover_completed is true in the file, and the way back is open: crossfade flip"
            " --complete gives it up");
}

}  // namespace

// Until it is decided that is the one that gives something away, and both are of one epoch.
const store::authority_row* flip_of(const picture& of) {
    const auto* now = newest(of);
    if (now == nullptr || now->state != store::handover_state::settled) return now;
    for (const auto* each : {&of.authority_by_legacy, &of.authority_by_modern})
        if (*each && (*each)->state != store::handover_state::settled) return &**each;
    return now;
}

std::vector<settings::flag_scope> scopes_of(const picture& of) {
    std::set<settings::flag_scope> all{{}};
    for (const auto& [group, ignored] : of.config.flags.groups()) all.insert({group, ""});
    if (const auto* now = newest(of))
        for (const auto& [scope, ignored] : now->authorities.apart) all.insert(scope);
    return {all.begin(), all.end()};
}

std::string_view stage_of(const picture& of, const settings::flag_scope& scope, bool healthy) {
    const auto* now = newest(of);
    if (now == nullptr) return "pending";
    if (!now->completed_at.empty()) return "completed";
    if (now->authorities.of(scope.group, scope.tenant) == settings::side::modern) return "cutover";
    // A flip of what is around it has taken it along.
    for (const settings::flag_scope& each :
         {scope, settings::flag_scope{scope.group, {}}, settings::flag_scope{{}, scope.tenant}, settings::flag_scope{}})
        if (of.were_on_modern.contains(each)) return "rolled_back";
    return healthy ? "ready" : "pending";
}

program_answer of_back(const program_answer& program) {
    program_answer made;
    if (!program.answer) return made;  // said of the other stream
    const auto* back = program.answer->if_contains("back");
    if (back != nullptr && back->is_object()) {
        made.answer = back->get_object();
    } else {
        made.problem = "runs without stream.both_ways. Way out: start it again";
    }
    return made;
}

assessment assess(const picture& of, const picture* back) {
    assessment made;
    made.lines.emplace_back("authority",
                            authority_of(of) + (of.proxy.answer && !of.authority_by_legacy && !of.authority_by_modern
                                                    ? ", epoch " + at(*of.proxy.answer, {"flags", "epoch"})
                                                    : ""));
    std::string sessions;
    std::string lag;
    if (of.proxy.answer)
        sessions = ", " + at(*of.proxy.answer, {"sessions", "open"}) + " of " +
                   at(*of.proxy.answer, {"sessions", "limit"}) + " sessions";
    if (of.cdc.answer) {
        const std::string seconds = at(*of.cdc.answer, {"stream", "lag_seconds"});
        if (!seconds.empty()) lag = ", lag " + output::seconds_text(std::strtod(seconds.c_str(), nullptr));
    }
    assess_program("proxy", of.proxy, of.config.proxy.admin, sessions, made);
    assess_program("cdc", of.cdc, of.config.cdc.admin, lag, made);
    if (of.cdc.answer) assess_warning(*of.cdc.answer, "retention", made);
    if (of.proxy.answer) {
        assess_warning(*of.proxy.answer, "retained_wal", made);
        assess_warning(*of.proxy.answer, "mirror", made);
    }
    assess_legacy(of, made);
    assess_modern(of, made);
    if (back != nullptr) assess_back(*back, made);
    if (newest(of) == nullptr) return made;
    assess_file(of, made);
    std::vector<std::pair<std::string, std::string>> stages;
    for (const auto& scope : scopes_of(of))
        stages.emplace_back("cutover of " + to_string(scope), stage_of(of, scope, made.troubles.empty()));
    made.lines.insert(made.lines.begin() + 1, stages.begin(), stages.end());
    return made;
}

}  // namespace crossfade::ctl::status
