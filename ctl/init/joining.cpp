#include "ctl/init/joining.hpp"

#include <algorithm>

#include "ctl/catalog/database.hpp"
#include "ctl/catalog/home.hpp"
#include "ctl/exit_code.hpp"
#include "ctl/init/publication.hpp"
#include "ctl/output/table.hpp"
#include "ctl/stream/progress.hpp"

namespace crossfade::ctl::init {

namespace {

using catalog::ask;
using catalog::home;
using model::quote_identifier;

// As prepare() has it for fences.
constexpr const char* begin_joining = "BEGIN; SET LOCAL lock_timeout = '2s'; SET LOCAL row_security = off; LOCK TABLE ";

bool joins_what_runs(const way& at) {
    return !at.planned.create_publication && !at.planned.add_to_publication.empty() && at.found.progress;
}

bool is_added(const way& at, const catalog::table& table) {
    return std::ranges::find(at.planned.add_to_publication, table.name) != at.planned.add_to_publication.end();
}

home home_of(const way& at, const catalog::table& table) {
    return catalog::home_of(table, at.authorities, at.config);
}

bool has_rows(pgclient::connection& on, const std::string& side, const catalog::table& table) {
    return ask(on, "looking for rows of " + to_string(table.name) + " on " + side,
               "SELECT EXISTS (SELECT FROM " + publication_target(table) + ")")
        .boolean(0, 0);
}

// What row level security hides counts, too.
void see_all_rows(pgclient::connection& on) {
    ask(on, "preparing", "SET row_security = off");
}

std::string now_at(way& at) {
    return std::string{ask(at.source, "asking " + at.source_name(), "SELECT pg_current_wal_lsn()::text").text(0, 0)};
}

objection divided(const way& at, const std::string& tables) {
    return {"some tenants' rows of " + tables + " are on " + at.source_name() + " already, and would never be on " +
                at.follower_name() + ", while others write there: such a table can join only while it is empty",
            "leave it out of stream.tables, crossfade flip everything to one side, then take it in and crossfade init"};
}

}  // namespace

bool joins_by_itself(const way& at, const catalog::table& table) {
    return at.back() && joins_what_runs(at) && is_added(at, table) && home_of(at, table) != home::legacy;
}

std::optional<objection> object_to_joining(way& at) {
    if (!at.back()) return std::nullopt;
    std::vector<std::string> names;
    see_all_rows(at.source);
    for (const auto& table : at.found.tables)
        if (joins_by_itself(at, table) && home_of(at, table) == home::both &&
            has_rows(at.source, at.source_name(), table))
            names.push_back(to_string(table.name));
    if (names.empty()) return std::nullopt;
    return divided(at, output::joined(names));
}

void mark_joining(way& at, journal& done) {
    if (at.back() || !joins_what_runs(at)) return;
    const auto now = now_at(at);
    for (auto* each : {&at.source, &at.follower}) see_all_rows(*each);
    for (const auto& table : at.found.tables) {
        if (!is_added(at, table)) continue;
        // Modern's own rows are the table, and a copy would empty it of them.
        const auto there = std::ranges::find(at.found.modern_tables, table.name, &catalog::table::name);
        if (home_of(at, table) == home::modern && there != at.found.modern_tables.end() &&
            (!has_rows(at.source, at.source_name(), table) || has_rows(at.follower, at.follower_name(), *there)))
            continue;
        stream::mark_new(at.follower, at.found.stream, table.name, now);
        done.note("table " + to_string(table.name),
                  "new in the stream; crossfade backfill --tables " + to_string(table.name));
    }
}

void join_way_back(way& at, journal& done) {
    const std::string publication = at.found.stream.publication();
    for (const auto& table : at.found.tables) {
        if (!joins_by_itself(at, table)) continue;
        const auto name = to_string(table.name);
        const auto doing = "adding " + name + " to publication " + publication;
        const auto target = publication_target(table);
        if (const auto locked = at.source.exec(begin_joining + target + " IN SHARE ROW EXCLUSIVE MODE"); !locked)
            throw stop(locked.error().connection_lost() ? exit_code::unreachable : exit_code::no,
                       doing + ": its writers are to wait for a moment: " + to_string(locked.error()),
                       "when the transactions that have locked it are over, crossfade init again");
        const bool has = has_rows(at.source, at.source_name(), table);
        if (has && home_of(at, table) == home::both) {
            const auto why = divided(at, name);
            throw stop(exit_code::no, why.what, why.way_out);
        }
        if (has) stream::mark_new(at.follower, at.found.stream, table.name, now_at(at));
        ask(at.source, doing,
            "ALTER PUBLICATION " + quote_identifier(publication) + " ADD TABLE " + target + "; COMMIT");
        done.note("publication " + publication, "added " + name);
        if (has)
            done.note("table " + name + " on " + at.follower_name(),
                      "lacks the rows that " + at.source_name() + " has; crossfade --back backfill --tables " + name);
    }
}

}  // namespace crossfade::ctl::init
