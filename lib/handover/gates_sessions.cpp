// Sessions that a flip will close.
#include <algorithm>
#include <map>

#include "lib/handover/gates_parts.hpp"
#include "lib/handover/unknown_settings.hpp"
#include "lib/preflight/listing.hpp"

namespace crossfade::handover::gates {
namespace {

using preflight::findings;
using preflight::listing;

// Of clients, in the words of the proxies' own obstacles. A lock that is there while its session is idle is the
// session's, not a transaction's. In a transaction the two look the same, and it is counted: whoever holds one now may
// hold it then. Of temporary tables PostgreSQL says by a number of their session which it is; before version 16 that
// number leads nowhere.
constexpr const char* holders_sql =
    "WITH a AS (SELECT pid, usename, application_name FROM pg_stat_activity WHERE datname = current_database() AND"
    " backend_type = 'client backend' AND pid <> pg_backend_pid() AND application_name NOT LIKE 'crossfade%'),"
    " locks AS (SELECT DISTINCT pid FROM pg_locks WHERE locktype = 'advisory' AND granted AND database ="
    " (SELECT oid FROM pg_database WHERE datname = current_database())),"
    " temporary AS (SELECT DISTINCT substring(n.nspname FROM '^pg_temp_([0-9]+)$')::int AS number FROM pg_class c JOIN"
    " pg_namespace n ON n.oid = c.relnamespace WHERE c.relpersistence = 't' AND n.nspname ~ '^pg_temp_[0-9]+$'),"
    " backends AS (SELECT number, pg_stat_get_backend_pid(number) AS pid FROM pg_stat_get_backend_idset() AS number"
    " WHERE current_setting('server_version_num')::int >= 160000)"
    " SELECT 'advisory_lock', a.pid::text, coalesce(a.usename, '?'), a.application_name FROM locks JOIN a USING (pid)"
    " UNION ALL SELECT 'temporary_object', a.pid::text, coalesce(a.usename, '?'), a.application_name FROM temporary"
    " JOIN backends USING (number) JOIN a USING (pid)"
    " UNION ALL SELECT 'temporary_object', NULL, NULL, NULL FROM temporary WHERE"
    " current_setting('server_version_num')::int < 160000 ORDER BY 1, 2";

constexpr const char* unseen =
    "; not seen from here: WITH HOLD cursors, log-ins that need their client, what only the session itself knows";

}  // namespace

void look_at_sessions(const end& from, findings& into) {
    const auto found = ask(from.db, "looking for sessions that can't go along", holders_sql);
    std::map<std::string, int> reasons;
    std::map<std::string, std::string> named;  // by process, which may hold several
    int nameless = 0;
    for (int i = 0; i < found.size(); ++i) {
        ++reasons[std::string{found.text(i, 0)}];
        const std::string pid{found.text(i, 1)};
        if (pid.empty())
            ++nameless;
        else
            named[pid] =
                "process " + pid + " of " + std::string{found.text(i, 2)} + " (" + std::string{found.text(i, 3)} + ')';
    }
    if (reasons.empty())
        return into.ok("sessions", "none on " + from.name + " is known to hold what can't go along" + unseen);
    std::string counts;
    for (const auto& [reason, count] : reasons)
        counts += (counts.empty() ? "" : ", ") + reason + ' ' + std::to_string(count);
    std::vector<std::string> who;
    for (const auto& [pid, text] : named) who.push_back(text);
    // One that has both counts twice where its temporary tables have no name to them.
    const auto all = named.size() + static_cast<std::size_t>(nameless);
    into.note("sessions",
              "that can't go along from " + from.name +
                  ", and are closed with 57P01: " + (nameless > 0 && !named.empty() ? "up to " : "") +
                  std::to_string(all) + " (" + counts + ")" + (who.empty() ? "" : ": " + listing(who)) +
                  (nameless > 0 ? "; PostgreSQL before 16 does not say whose temporary objects are" : "") + unseen,
              "wait until they have let go of it, or let their clients connect again");
}

void look_at_settings(const end& from, const end& onto, findings& into) {
    const auto unknown = unknown_settings(from.db, onto.db);
    if (unknown.empty()) return into.ok("settings", onto.name + " takes what " + from.name + " says to every session");
    const auto found =
        onto.name + " doesn't take what " + from.name + " says to every session: " + listing(texts_of(unknown));
    if (std::ranges::all_of(unknown, [](const auto& each) { return each.is_left_behind; }))
        return into.note("settings", found + "; who hasn't set it leaves it behind, and writes by " + onto.name + "'s",
                         "install the locale on " + onto.name + "'s host and restart the server");
    into.warn(
        "settings", found + "; who has it is closed with 57P01, and has another one when it connects again",
        "make it known on " + onto.name + ", or say something else on " + from.name + " by ALTER DATABASE ... SET");
}

}  // namespace crossfade::handover::gates
