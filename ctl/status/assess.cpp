#include "ctl/status/assess.hpp"

#include <algorithm>
#include <boost/json.hpp>

#include "ctl/flags/compare.hpp"
#include "ctl/output/table.hpp"
#include "ctl/stream/progress.hpp"

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

void assess_legacy(const picture& of, assessment& into) {
    if (!of.legacy_problem.empty()) {
        into.lines.emplace_back("legacy", of.legacy_problem);
        into.unreachable.emplace_back("legacy");
        return;
    }
    const std::string name = of.config.stream.slot();
    if (!of.slot) {
        into.lines.emplace_back("legacy", "no slot " + name);
        into.troubles.push_back("the stream is not set up: crossfade init");
        return;
    }
    into.lines.emplace_back("legacy", "slot " + name + (of.slot->active ? " in use, " : " idle, ") +
                                          bytes(of.slot->retained_bytes) + " of WAL kept, confirmed up to " +
                                          (of.slot->confirmed ? to_string(*of.slot->confirmed) : "nothing"));
    if (of.slot->wal_status == "lost")
        into.troubles.push_back("slot " + name + " is lost. Way out: SELECT pg_drop_replication_slot('" + name +
                                "'); then crossfade backfill --resync");
    if (of.slot->wal_status == "unreserved") into.troubles.push_back("slot " + name + " is about to be lost");
    if (!of.slot->active && of.proxy.answer)
        into.troubles.push_back("nobody reads slot " + name + ": WAL is piling up");
}

void assess_modern(const picture& of, assessment& into) {
    if (!of.modern_problem.empty()) {
        into.lines.emplace_back("modern", of.modern_problem);
        into.unreachable.emplace_back("modern");
        return;
    }
    if (!of.store.progress) {
        into.lines.emplace_back("modern", "no progress for stream " + of.config.stream.name);
        into.troubles.emplace_back("modern does not follow: crossfade init");
        return;
    }
    const auto& progress = *of.store.progress;
    const auto applied = progress.end_lsn();
    std::string line = "applied up to " + to_string(applied);
    if (progress.partitions.size() > 1) line += " in all " + std::to_string(progress.partitions.size()) + " partitions";
    if (of.legacy_problem.empty() && of.legacy_position > applied)
        line += ", " + bytes(static_cast<std::int64_t>(of.legacy_position.value - applied.value)) + " behind";
    into.lines.emplace_back("modern", line + ", moved " + output::seconds_text(progress.age_seconds()) + " ago");
    if (const auto other = stream::object_to_partitions(of.config.stream, progress))
        into.troubles.push_back(other->what + ". Way out: " + other->way_out);

    std::map<std::string, std::vector<std::string>> by_state;
    for (const auto& [table, state] : of.store.table_states) by_state[state].push_back(table);
    if (!by_state["copying"].empty())
        into.troubles.push_back("a backfill runs or was broken off (crossfade backfill): " +
                                output::joined(by_state["copying"]));
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
        into.troubles.push_back("never copied, and left out until they are (crossfade backfill --tables): " +
                                output::joined(by_state["new"]));
    if (!by_state["stale"].empty())
        into.troubles.push_back("changes are missing (crossfade backfill --tables): " +
                                output::joined(by_state["stale"]));
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
        into.troubles.push_back(std::to_string(rows("confirmed")) + " rows differ: crossfade drift list");
    for (const auto& each : of.paused) into.troubles.push_back(each);
    if (of.dead_letters > 0)
        into.troubles.push_back(std::to_string(of.dead_letters) +
                                " changes wait among the dead letters: crossfade deadletters list");
}

}  // namespace

assessment assess(const picture& of) {
    assessment made;
    const auto& flags = of.config.flags.defaults();
    made.lines.emplace_back("authority",
                            std::string{to_string(authority(flags))} + " (" +
                                std::string{to_string(effective_strategy(flags))} + ")" +
                                (of.proxy.answer ? ", epoch " + at(*of.proxy.answer, {"flags", "epoch"}) : ""));
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
    return made;
}

}  // namespace crossfade::ctl::status
