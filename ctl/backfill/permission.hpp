#pragma once

#include <memory>
#include <vector>

#include "ctl/catalog/read.hpp"
#include "ctl/context.hpp"
#include "lib/pgclient/connection.hpp"

// Whose rows a copy may go over. Of a context of `crossfade --back` the source is modern, and the follower legacy. All
// of it throws stop.
namespace crossfade::ctl::backfill {

bool is_back(const context& in);

// What is copied must not come back to where it is from, meet the fence, or go over what modern's clients have written.
void require_way(const context& in, const catalog::role& role, pgclient::connection& follower);

// Of the way back: what has come by the stream is left, and the rest is to be modern's own.
void leave_what_is_whole(const context& in, std::vector<catalog::table>& tables, pgclient::connection& follower);
void require_own(const context& in, const std::vector<catalog::table>& tables, pgclient::connection& source,
                 pgclient::connection& follower);

// While it lives no flip is under way, and the next one's gates see what was asked for meanwhile.
class kept_off;
struct let_flips_go {
    void operator()(kept_off* of) const;
};
using flips_kept_off = std::unique_ptr<kept_off, let_flips_go>;
// Null: there are none.
flips_kept_off keep_flips_off(const context& in);

}  // namespace crossfade::ctl::backfill
