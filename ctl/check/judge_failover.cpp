// Whether the stream survives a failover of legacy to a standby: the slot has to be there, and no transaction may be
// published that the standby doesn't have yet.
#include <algorithm>

#include "ctl/check/judge.hpp"
#include "ctl/check/listing.hpp"
#include "ctl/output/table.hpp"
#include "ctl/stream/source.hpp"

namespace crossfade::ctl::check {

namespace {

constexpr const char* id = "legacy.failover";

// "a, \"b\"" as the setting has it.
std::vector<std::string> names_in(const std::string& list) {
    std::vector<std::string> names;
    std::string name;
    for (const char c : list + ',') {
        if (c == ',') {
            if (!name.empty()) names.push_back(std::exchange(name, {}));
        } else if (c != ' ' && c != '"') {
            name += c;
        }
    }
    return names;
}

std::string set_waited_for(const std::vector<std::string>& slots) {
    return "ALTER SYSTEM SET synchronized_standby_slots = '" + output::joined(slots) + "'; SELECT pg_reload_conf();";
}

}  // namespace

void judge_failover(const evidence& of, const catalog::database& legacy, findings& into) {
    const auto waited_for = names_in(legacy.setting("synchronized_standby_slots"));
    std::vector<std::string> slots;
    std::vector<std::string> silent;
    std::vector<std::string> left_out;
    for (const auto& each : legacy.standby_slots) {
        slots.push_back(each.name);
        if (std::ranges::find(waited_for, each.name) == waited_for.end()) left_out.push_back(each.name);
    }
    for (const auto& each : waited_for) {
        const auto found = std::ranges::find(legacy.standby_slots, each, &catalog::standby_slot::name);
        if (found == legacy.standby_slots.end() || !found->active) silent.push_back(each);
    }
    if (!silent.empty() && legacy.slot && legacy.slot->failover.value_or(false)) {
        into.fail(id, "the stream stands still until standbys read these slots: " + listing(silent),
                  "start the standbys, or take the slots out of synchronized_standby_slots: ALTER SYSTEM SET "
                  "synchronized_standby_slots = '...'; SELECT pg_reload_conf();");
    } else if (slots.empty() && legacy.standbys_without_slot == 0) {
        into.ok(id, "no standby");
    } else if (legacy.version < stream::first_with_failover) {
        into.warn(id,
                  "PostgreSQL " + std::to_string(legacy.version / 10000) +
                      " gives the slot to no standby: after a failover every table is copied anew",
                  "PostgreSQL 17 or later; otherwise be ready for crossfade backfill --resync");
    } else if (legacy.slot && !legacy.slot->failover.value_or(false)) {
        into.warn(id,
                  "slot " + of.stream.slot() + " is given to no standby: after a failover every table is copied anew",
                  "stop the proxies, crossfade init, and start them again");
    } else if (slots.empty()) {
        into.warn(id, "a standby streams without a slot, and can't take over that of the stream",
                  "primary_slot_name on the standby, and sync_replication_slots = on, hot_standby_feedback = on and a "
                  "dbname in primary_conninfo");
    } else if (!left_out.empty()) {
        into.warn(id,
                  "synchronized_standby_slots leaves out " + listing(left_out) +
                      ": a standby that is promoted may lack what was published already, and then every table is "
                      "copied anew",
                  set_waited_for(slots));
    } else {
        into.ok(id, "published is what these have: " + listing(slots));
    }
}

}  // namespace crossfade::ctl::check
