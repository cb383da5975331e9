#include "ctl/ddl/command.hpp"

#include <thread>

#include "ctl/audit/record.hpp"
#include "ctl/catalog/database.hpp"
#include "ctl/catalog/read.hpp"
#include "ctl/output/json.hpp"
#include "ctl/output/pattern.hpp"
#include "ctl/output/table.hpp"

namespace crossfade::ctl::ddl {
namespace {

using namespace std::chrono_literals;
using catalog::ask;

// The dead letters of a command `d`: one for each table that waits for it.
constexpr const char* held_by =
    "FROM crossfade.dead_letters h WHERE h.stream = d.stream AND h.operation = 'ddl'"
    " AND (h.commit_lsn, h.ordinal) = (d.commit_lsn, d.ordinal)";

std::string columns() {
    return "d.id, to_char(d.commit_time AT TIME ZONE 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS\"Z\"'),"
           " array_to_string(d.tables, ', '), d.command, d.role, d.policy,"
           " CASE WHEN d.outcome <> 'paused' THEN d.outcome WHEN EXISTS (SELECT " +
           std::string{held_by} +
           ") THEN 'paused' ELSE 'released' END,"
           " (SELECT count(*) FROM crossfade.dead_letters l WHERE l.stream = d.stream AND l.operation <> 'ddl'"
           "  AND l.table_name IN (SELECT h.table_name " +
           held_by + ")), d.advice, d.commit_lsn, d.ordinal";
}

boost::json::object as_json(const pgclient::rows& found, int row) {
    return {{"id", found.integer(row, 0).value_or(0)},
            {"committed", found.text(row, 1)},
            {"tables", found.text(row, 2)},
            {"command", found.text(row, 3)},
            {"role", found.text(row, 4)},
            {"policy", found.text(row, 5)},
            {"state", found.text(row, 6)},
            {"waiting_changes", found.integer(row, 7).value_or(0)},
            {"advice", found.text(row, 8)},
            {"commit_lsn", found.text(row, 9)},
            {"ordinal", found.integer(row, 10).value_or(0)}};
}

pgclient::rows find(const context& in, pgclient::connection& modern, std::int64_t id) {
    auto found =
        ask(modern, "reading crossfade.ddl",
            "SELECT " + columns() + ", d.statement FROM crossfade.ddl d WHERE d.stream = $1 AND d.id = $2::bigint",
            {in.config.stream.name, std::to_string(id)});
    if (found.empty()) throw stop(exit_code::no, "there is no DDL " + std::to_string(id), "crossfade ddl list");
    return found;
}

// Columns of legacy's table that modern's lacks; where legacy has no such table any more, none.
std::string missing_columns(pgclient::connection& legacy, pgclient::connection& modern, const std::string& quoted) {
    const std::string sql =
        "SELECT a.attname FROM pg_attribute a WHERE a.attrelid = to_regclass($1) AND a.attnum > 0"
        " AND NOT a.attisdropped AND a.attgenerated = ''";
    const auto wanted = ask(legacy, "reading legacy's columns", sql, {quoted});
    const auto there = ask(modern, "reading modern's columns", sql, {quoted});
    std::string missing;
    for (int i = 0; i < wanted.size(); ++i) {
        bool found = false;
        for (int k = 0; k < there.size(); ++k) found = found || there.text(k, 0) == wanted.text(i, 0);
        if (!found) missing += (missing.empty() ? "" : ", ") + std::string{wanted.text(i, 0)};
    }
    return missing;
}

void make_sure(const context& in, pgclient::connection& modern, std::int64_t id) {
    auto legacy = catalog::connect(in.config, settings::side::legacy);
    const auto published = catalog::read_publication(legacy, in.config.stream.publication());
    if (!published) return;
    const auto held = ask(modern, "reading crossfade.dead_letters",
                          "SELECT h.table_name FROM crossfade.ddl d, LATERAL (SELECT h.table_name " +
                              std::string{held_by} + ") h WHERE d.stream = $1 AND d.id = $2::bigint",
                          {in.config.stream.name, std::to_string(id)});
    for (int i = 0; i < held.size(); ++i) {
        for (const auto& table : published->tables) {
            if (model::to_string(table) != held.text(i, 0)) continue;
            const auto missing = missing_columns(legacy, modern, model::quoted(table));
            if (!missing.empty())
                throw stop(exit_code::no,
                           "modern's table " + std::string{held.text(i, 0)} + " has no column " + missing,
                           "add what is missing, or crossfade ddl skip " + std::to_string(id));
        }
    }
}

// Asks crossfade-cdc to let go of the tables that wait for `held`, a row of find().
void request(const context& in, pgclient::connection& modern, release how, const pgclient::rows& held) {
    const char* const doing = "writing crossfade.dead_letters";
    const std::string id{held.text(0, 0)};
    auto entry = audit::entry(in, how == release::resume ? "ddl resume" : "ddl skip",
                              "DDL " + id + ": " + std::string{held.text(0, 2)});
    entry.before_json = boost::json::serialize(boost::json::object{
        {"state", held.text(0, 6)}, {"command", held.text(0, 3)}, {"waiting_changes", held.integer(0, 7).value_or(0)}});
    entry.outcome = "asked of crossfade-cdc";
    ask(modern, doing, "BEGIN");
    ask(modern, doing,
        "UPDATE crossfade.dead_letters l SET state = 'replay' FROM crossfade.ddl d WHERE d.stream = $1 AND d.id = "
        "$2::bigint"
        " AND l.stream = d.stream AND l.operation = 'ddl' AND (l.commit_lsn, l.ordinal) = (d.commit_lsn, d.ordinal)",
        {in.config.stream.name, id});
    audit::append(modern, entry);
    ask(modern, doing, "COMMIT");
}

}  // namespace

exit_code list(const context& in, const listing& which) {
    auto modern = catalog::connect_installed(in.config);
    const auto found =
        ask(modern, "reading crossfade.ddl",
            "SELECT * FROM (SELECT " + columns() +
                " FROM crossfade.ddl d WHERE d.stream = $1 AND ($2::text IS NULL OR EXISTS (SELECT"
                " FROM unnest(d.tables) t WHERE t LIKE $2))) AS c"
                " (id, committed, tables, command, role, policy, state, waiting, advice, lsn, ordinal)"
                " WHERE NOT $3::bool OR c.state = 'paused' ORDER BY c.id DESC LIMIT $4::int",
            {in.config.stream.name,
             which.table.empty() ? pgclient::parameter{} : pgclient::parameter{output::like_of(which.table)},
             which.paused ? "true" : "false", std::to_string(which.limit)});
    const auto code = which.paused && !found.empty() ? exit_code::no : exit_code::fine;
    if (in.json()) {
        boost::json::array all;
        for (int i = 0; i < found.size(); ++i) all.push_back(as_json(found, i));
        in.out << output::pretty({{"ddl", all}});
        return code;
    }
    if (found.empty()) {
        in.out << (which.paused ? "no table waits for DDL\n" : "no DDL seen\n");
        return code;
    }
    output::table lines({{"id", output::align::right},
                         {"committed"},
                         {"tables"},
                         {"command"},
                         {"role"},
                         {"state"},
                         {"waiting", output::align::right},
                         {"what to do"}});
    for (int i = 0; i < found.size(); ++i) {
        const auto cell = [&](int column) { return std::string{found.text(i, column)}; };
        lines.add({cell(0), cell(1), cell(2), cell(3), cell(4), cell(6), cell(7), cell(8)});
    }
    in.out << lines.render();
    return code;
}

exit_code show(const context& in, std::int64_t id) {
    auto modern = catalog::connect_installed(in.config);
    const auto found = find(in, modern, id);
    auto shown = as_json(found, 0);
    shown["statement"] = found.text(0, 11);
    in.out << output::pretty(shown);
    return exit_code::fine;
}

exit_code let_go(const context& in, release how, std::int64_t id, std::chrono::seconds wait) {
    auto modern = catalog::connect_installed(in.config);
    const auto found = find(in, modern, id);
    if (found.text(0, 6) != "paused")
        throw stop(exit_code::no, "nothing waits for DDL " + std::to_string(id), "crossfade ddl list --paused");
    if (how == release::resume) make_sure(in, modern, id);
    request(in, modern, how, found);
    // The tables go on when their own letters are gone; what was behind them is then on its way.
    const auto until = std::chrono::steady_clock::now() + wait;
    bool done = false;
    while (!(done = find(in, modern, id).text(0, 6) != "paused") && std::chrono::steady_clock::now() < until)
        std::this_thread::sleep_for(100ms);
    if (in.json()) {
        in.out << output::pretty({{"id", id}, {"released", done}});
    } else if (done) {
        in.out << found.text(0, 2) << ": goes on, " << found.text(0, 7) << " changes waited\n";
    }
    if (!done) in.notes << "crossfade-cdc does it with its next batch; it runs? crossfade status\n";
    return done ? exit_code::fine : exit_code::no;
}

}  // namespace crossfade::ctl::ddl
