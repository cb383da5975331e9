#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "cdc/apply/pipeline.hpp"
#include "cdc/apply/sql.hpp"
#include "lib/pgclient/connection.hpp"

namespace crossfade::cdc::apply {

// The connection that applies, and what its rights allow.
struct session {
    pgclient::connection db;
    std::unique_ptr<pipeline> pipe;

    // session_replication_role = replica: neither triggers nor foreign keys fire, so that tables don't wait for each
    // other. Without the right, every change is applied by itself in commit order.
    bool replica_role = false;
    // Set where rows written by others can be told (track_commit_timestamp = on and the right to use an origin).
    std::optional<origin_check> origins = {};
    // Why there is no origin by which others know what was written here; empty: there is.
    std::string unmarked = "not yet";
    // What is off because of missing rights or settings, for the log and the status; without values.
    std::vector<std::string> limits = {};

    // Opens and sets up, without any lock. `interrupted`: see pipeline; `silence`: see pgclient::silence_watch.
    static pgclient::result<std::unique_ptr<session>> open(
        const std::string& dsn, const std::string& stream, std::function<bool()> interrupted,
        std::chrono::milliseconds silence = pgclient::open_options{}.silence);

    // After the lock is held: origins may be used by one session alone. `authority_of`: see careful_settings.
    pgclient::result<void> mark_origin(const std::string& stream, const std::string& since, int writer = 0,
                                       const std::string& authority_of = {});
    // A backfill may have made origins of its own since, or this side may have been the authority.
    pgclient::result<void> refresh_origins(const std::string& stream);

    // Without both nothing of a stream that goes both ways is applied: why; empty: it may be. What it writes would come
    // back by the other stream, or meet the fence.
    std::string unfit_both_ways() const;

    std::string since = {};         // as mark_origin was told
    std::string authority_of = {};  // likewise
};

}  // namespace crossfade::cdc::apply
