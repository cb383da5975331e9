#include "ctl/init/install.hpp"

#include <chrono>

#include "ctl/catalog/database.hpp"
#include "ctl/exit_code.hpp"
#include "lib/handover/pause.hpp"
#include "lib/store/audit.hpp"
#include "lib/store/authority.hpp"
#include "lib/store/schema.hpp"

namespace crossfade::ctl::init {

namespace {

using namespace std::chrono_literals;
using catalog::ask;

constexpr auto patience = 20s;
constexpr auto between_attempts = 1s;
constexpr std::string_view lock_not_available = "55P03";

// Of those who have locked any of them, but for what merely reads or writes rows for a moment: whose transactions are
// the oldest.
constexpr const char* holders_sql =
    "SELECT string_agg(who, ', ') FROM (SELECT DISTINCT 'process ' || a.pid || ' of ' || coalesce(a.usename, '?') ||"
    " ' (' || a.application_name || ', ' || coalesce(a.state, a.backend_type) || ')' AS who FROM pg_locks l JOIN"
    " pg_stat_activity a USING (pid) JOIN pg_class c ON c.oid = l.relation JOIN pg_namespace n ON n.oid ="
    " c.relnamespace WHERE l.granted AND l.locktype = 'relation' AND l.database = (SELECT oid FROM pg_database WHERE"
    " datname = current_database()) AND n.nspname = 'crossfade' AND a.pid <> pg_backend_pid() AND"
    " clock_timestamp() - a.xact_start > interval '1 second' LIMIT 10) w";

// In a transaction with `sql`, again and again while somebody has what it needs. The last failure, if it isn't that.
pgclient::result<pgclient::rows> install(pgclient::connection& on, const std::string& what, const std::string& sql) {
    ask(on, what, "SET client_min_messages = warning");
    const auto until = std::chrono::steady_clock::now() + patience;
    while (true) {
        auto made = on.exec("BEGIN; SET LOCAL lock_timeout = '300ms'; " + sql + "; COMMIT");
        if (made) return made;
        const auto why = made.error();
        ask(on, what, "ROLLBACK");
        if (why.sqlstate != lock_not_available) return why;
        if (std::chrono::steady_clock::now() >= until) {
            const auto holders = ask(on, what, holders_sql);
            throw stop(exit_code::no,
                       what + ": its tables have to be changed, and could not be locked within " +
                           std::to_string(patience.count()) + " s: " +
                           (holders.null(0, 0) ? "who has them is not to be seen" : std::string{holders.text(0, 0)}),
                       "wait for the end of these transactions (a pg_dump, for instance), or end them; then crossfade"
                       " init again");
        }
        handover::pause({}, between_attempts);
    }
}

}  // namespace

void install_schema(way& at, journal& done) {
    auto& follower = at.follower;
    const bool existed =
        !ask(follower, "asking " + at.follower_name(), "SELECT 1 FROM pg_namespace WHERE nspname = 'crossfade'")
             .empty();
    const std::string what = "schema crossfade on " + at.follower_name();
    const auto made = install(follower, what,
                              std::string{store::schema_sql()} + "; " + std::string{store::audit_sql()} +
                                  (at.config.stream.both_ways ? "; " + std::string{store::authority_sql()} : ""));
    if (!made)
        throw stop(made.error().connection_lost() ? exit_code::unreachable : exit_code::no,
                   "creating " + what + ": " + to_string(made.error()));
    done.note(what, existed ? "existed" : "created");
}

// Else the stream needs nothing of its own on its source, and goes on without: what is done to the follower is written
// down there.
void install_audit_at_source(way& at, journal& done) {
    if (at.config.stream.both_ways) return;
    const std::string what = "audit log on " + at.source_name();
    const auto made = install(at.source, what, std::string{store::audit_sql()});
    if (!made && made.error().sqlstate != "42501") throw stop(exit_code::no, what + ": " + to_string(made.error()));
    done.note(what,
              made ? "kept" : "not kept: it needs the right to create on the database, and on what is there already");
}

}  // namespace crossfade::ctl::init
