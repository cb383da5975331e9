#pragma once

#include <stop_token>
#include <string>
#include <vector>

#include "lib/handover/intent.hpp"
#include "lib/pgclient/connection.hpp"
#include "lib/preflight/finding.hpp"
#include "lib/settings/settings.hpp"
#include "lib/store/fence.hpp"

// For the gates' own sources (gates.hpp). All of it throws trouble where a side can't be asked.
namespace crossfade::handover::gates {

// A side, and the stream whose changes come from it.
struct end {
    settings::side which;
    std::string name;
    std::string stream;
    pgclient::connection& db;
    std::vector<store::fenced_table> tables{};
};

// For the gates and what comes of them; waits for nobody who has locked what they look at.
pgclient::connection connect(const settings::configuration& config, settings::side which);
// With its tables and their fences, as they are now. `on` outlives it.
end end_at(const settings::configuration& config, settings::side which, pgclient::connection& on);

pgclient::rows ask(pgclient::connection& on, const std::string& doing, const std::string& sql,
                   const std::vector<pgclient::parameter>& parameters = {});
std::vector<std::string> column(const pgclient::rows& of, int which = 0);

// Whether Crossfade's role may do there what it has to, to each of the tables.
void look_at_rights(const end& on, preflight::findings& into);
// Dead letters and drift on `to`, of the stream from `from`: of all letters, and of the rows that move.
void look_at_differences(const settings::flag_set& flags, const intent& what, const end& from, const end& to,
                         preflight::findings& into);
// A row goes all the way and is applied, and nothing lies before it (docs/adr/0030).
void look_at_way(const end& from, const end& to, const std::stop_token& give_up, preflight::findings& into);
// Those that will not go along, as far as the database shows them (docs/adr/0031).
void look_at_sessions(const end& from, preflight::findings& into);
// What sessions have of `from` alone, and `onto` doesn't take.
void look_at_settings(const end& from, const end& onto, preflight::findings& into);

}  // namespace crossfade::handover::gates
