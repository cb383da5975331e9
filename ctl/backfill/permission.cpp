#include "ctl/backfill/permission.hpp"

#include <algorithm>
#include <string>
#include <utility>

#include "ctl/catalog/database.hpp"
#include "ctl/catalog/home.hpp"
#include "ctl/exit_code.hpp"
#include "ctl/output/table.hpp"
#include "lib/handover/coordinator.hpp"
#include "lib/settings/directions.hpp"

namespace crossfade::ctl::backfill {

namespace {

// As far as a flip's lock needs it.
settings::configuration forth(const settings::configuration& of) {
    auto made = of;
    if (of.source == settings::side::legacy) return made;
    std::swap(made.legacy, made.modern);
    made.source = settings::side::legacy;
    made.stream.name = settings::forth_stream(of);
    return made;
}

}  // namespace

bool is_back(const context& in) {
    return in.config.source != settings::side::legacy;
}

void require_way(const context& in, const catalog::role& role, pgclient::connection& follower) {
    if (!in.config.stream.both_ways) return;
    if (!role.origins || !role.replica_role)
        throw stop(exit_code::no,
                   role.name + " may not use replication origins on " + std::string{in.config.follower_name()} +
                       ", or may not set session_replication_role: "
                       "with stream.both_ways nothing is copied without",
                   "crossfade check");
    if (is_back(in)) return;  // table by table
    auto legacy = catalog::connect(in.config, settings::side::legacy);
    const auto now = catalog::newest_authority(in.config.stream.name, legacy, follower);
    if (!now || now->authorities == settings::assignment{settings::side::legacy, {}}) return;
    throw stop(
        exit_code::no,
        "modern is the authority" +
            std::string{now->authorities.everything == settings::side::modern ? "" : " of some groups or tenants"} +
            ": legacy's rows would go over its own",
        "crossfade flip --to legacy");
}

void leave_what_is_whole(const context& in, std::vector<catalog::table>& tables, pgclient::connection& follower) {
    const auto states = catalog::read_store(follower, in.config.stream.name).table_states;
    std::erase_if(tables, [&](const auto& each) {
        const auto found = states.find(to_string(each.name));
        return found == states.end() || found->second == "live";
    });
    if (tables.empty())
        throw stop(exit_code::no, "none of these tables lacks rows on " + std::string{in.config.follower_name()},
                   "none is needed: what is written on modern comes by the way back");
}

void require_own(const context& in, const std::vector<catalog::table>& tables, pgclient::connection& source,
                 pgclient::connection& follower) {
    const auto now = catalog::newest_authority(settings::forth_stream(in.config), follower, source);
    std::vector<std::string> others;
    for (const auto& each : tables)
        if (!now || catalog::home_of(each, now->authorities, in.config) != catalog::home::modern)
            others.push_back(to_string(each.name));
    if (others.empty()) return;
    throw stop(exit_code::no,
               "legacy takes the application's writes of " + output::joined(others) +
                   ", or some tenants' of them: modern's rows would go over its own",
               "crossfade flip --to modern");
}

class kept_off {
  public:
    explicit kept_off(const settings::configuration& config)
        : config_{forth(config)}, held_{config_, [](const std::string&) {}} {
        try {
            if (!held_.claim())
                throw stop(exit_code::no, "a flip is under way",
                           "wait for its end (crossfade flip --history), then again");
            const auto now = held_.newest();
            if (now && now->state != store::handover_state::settled)
                throw stop(exit_code::no, "a flip was left behind", "crossfade flip --settle");
        } catch (const handover::trouble& why) {
            throw stop(exit_code::unreachable, why.what());
        }
    }

  private:
    settings::configuration config_;
    handover::coordinator held_;
};

void let_flips_go::operator()(kept_off* of) const {
    delete of;
}

flips_kept_off keep_flips_off(const context& in) {
    return flips_kept_off{in.config.stream.both_ways ? new kept_off{in.config} : nullptr};
}

}  // namespace crossfade::ctl::backfill
