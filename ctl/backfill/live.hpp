#pragma once

#include <set>
#include <string>
#include <vector>

#include "ctl/backfill/command.hpp"
#include "ctl/backfill/plan.hpp"
#include "ctl/catalog/read.hpp"
#include "lib/pgclient/connection.hpp"
#include "lib/settings/settings.hpp"

namespace crossfade::ctl::backfill {

// Refuses where tables can't be copied beside the stream: throws stop.
void require_live(const settings::stream& stream, const catalog::role& on_modern);

// `crossfade backfill --live`: asks crossfade-cdc to copy the tables while the stream goes on. Those that are copied
// are left, unless they are asked for anew; those that stand still go on. Leaves its entry in crossfade.audit. Returns
// the names of those that were not left.
std::set<std::string> request_live(const context& in, const options& with, const std::vector<task>& tasks,
                                   pgclient::connection& modern);

// Shows how far they are until it is done; so many were left. no: one stands still or isn't asked for any more, or
// nobody is looking any more.
exit_code watch_live(const context& in, const options& with, const std::set<std::string>& asked, std::size_t left,
                     pgclient::connection& modern);

// `--pause`: the tables that are being copied so stand still until they are asked for again.
exit_code pause_live(const context& in, const options& with);

}  // namespace crossfade::ctl::backfill
