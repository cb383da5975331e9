#include "cdc/apply/session.hpp"

#include "lib/store/progress.hpp"
#include "lib/store/schema.hpp"

namespace crossfade::cdc::apply {

pgclient::result<std::unique_ptr<session>> session::open(const std::string& dsn, const std::string& stream,
                                                         std::function<bool()> interrupted,
                                                         std::chrono::milliseconds silence) {
    pgclient::open_options options;
    options.application_name = "crossfade-cdc " + stream;
    options.silence = silence;
    auto db = pgclient::connection::open(dsn, options);
    if (!db) return db.error();
    auto made = std::make_unique<session>(session{.db = std::move(*db), .pipe = nullptr});
    made->pipe = std::make_unique<pipeline>(made->db, std::move(interrupted));

    // The server has to notice a dead applier too, or its lock would keep the next one out for hours. Statements are of
    // one shape with arrays of unknown length: the plan wanted is always the one by index.
    for (const char* setting :
         {"SET tcp_keepalives_idle = 10", "SET tcp_keepalives_interval = 5", "SET tcp_keepalives_count = 3",
          "SET tcp_user_timeout = 30000",
          // Of two that wait for each other the one fails who looks last, each once, after deadlock_timeout. Who gives
          // up before that is never waited for so long: the application's transaction goes on, and ours is tried again.
          "SELECT set_config('lock_timeout', greatest(setting::int / 2, 10)::text, false) FROM pg_settings"
          " WHERE name = 'deadlock_timeout'",
          "SET statement_timeout = 0", "SET idle_in_transaction_session_timeout = 0", "SET jit = off",
          "SET plan_cache_mode = force_generic_plan", "SET enable_seqscan = off", "SET row_security = off"}) {
        if (auto done = made->db.exec(setting); !done) return done.error();
    }
    if (auto done = made->db.exec(std::string{store::do_not_flush_sql}); !done) return done.error();
    if (auto done = made->db.exec("SET session_replication_role = replica"); done) {
        made->replica_role = true;
    } else if (done.error().connection_lost()) {
        return done.error();
    } else {
        made->limits.emplace_back(
            "no right to set session_replication_role: triggers and foreign keys fire on the follower, and changes are "
            "applied one by one in commit order (grant it: GRANT SET ON PARAMETER session_replication_role TO ...)");
    }
    return made;
}

pgclient::result<void> session::mark_origin(const std::string& stream, const std::string& rows_since, int writer,
                                            const std::string& authority) {
    since = rows_since;
    authority_of = authority;
    const auto name = store::origin_name(stream, writer);
    auto set = db.exec(std::string{store::make_origin_sql}, {name});
    if (set) set = db.exec("SELECT pg_replication_origin_session_setup($1)", {name});
    if (!set) {
        // The session that held it before may not have ended yet.
        if (set.error().connection_lost() || set.error().sqlstate == "55006") return set.error();
        unmarked = set.error().message;
        limits.emplace_back(
            "no replication origin (" + set.error().message +
            "): rows written on the follower by others are noticed only where the event holds the old row");
        return {};
    }
    unmarked.clear();
    auto tracked = db.exec("SELECT current_setting('track_commit_timestamp')");
    if (!tracked) return tracked.error();
    if (tracked->text(0, 0) != "on") {
        limits.emplace_back(
            "track_commit_timestamp is off on the follower: rows written there by others are noticed only where the "
            "event "
            "holds the old row");
        return {};
    }
    origins = origin_check{"{}", since};
    return refresh_origins(stream);
}

pgclient::result<void> session::refresh_origins(const std::string& stream) {
    if (!origins) return {};
    auto own = db.exec(
        "SELECT array_agg(roident ORDER BY roident)::text FROM pg_replication_origin"
        " WHERE roname ~ $1",
        {"^crossfade_" + stream + "_[0-9]+$"});
    if (!own) return own.error();
    origins->own_origins = own->text(0, 0);
    if (authority_of.empty()) return {};
    auto follows = db.exec(std::string{store::follower_since_sql()}, {since, authority_of});
    if (!follows) return follows.error();
    origins->since = follows->text(0, 0);
    return {};
}

std::string session::unfit_both_ways() const {
    if (!unmarked.empty())
        return "no replication origin can be used (" + unmarked +
               "): what is applied would come back by the other stream";
    if (!replica_role) return "no right to set session_replication_role: the fence would refuse what is applied";
    return {};
}

}  // namespace crossfade::cdc::apply
