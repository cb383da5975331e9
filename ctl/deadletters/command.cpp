#include "ctl/deadletters/command.hpp"

#include <thread>

#include "ctl/audit/record.hpp"
#include "ctl/catalog/database.hpp"
#include "ctl/output/json.hpp"
#include "ctl/output/pattern.hpp"
#include "ctl/output/table.hpp"
#include "lib/events/codec.hpp"
#include "lib/pgwire/array_literal.hpp"

namespace crossfade::ctl::deadletters {
namespace {

using namespace std::chrono_literals;
using catalog::ask;

// WHERE of what was chosen: $1 stream, $2 ids or null, $3 pattern or null. Those that make a table wait are let go by
// `crossfade ddl`, which looks first.
constexpr const char* chosen =
    " WHERE stream = $1 AND operation <> 'ddl' AND ($2::bigint[] IS NULL OR id = ANY ($2)) AND ($3::text IS NULL OR "
    "table_name LIKE $3)";

std::vector<pgclient::parameter> parameters(const context& in, const choice& which) {
    pgwire::array_literal ids;
    for (const auto id : which.ids) ids.add(std::to_string(id));
    return {in.config.stream.name, which.ids.empty() ? pgclient::parameter{} : pgclient::parameter{ids.take()},
            which.table.empty() ? pgclient::parameter{} : pgclient::parameter{output::like_of(which.table)}};
}

std::string_view kind_text(const model::cell& cell) {
    switch (cell.kind) {
        case model::cell_kind::null:
            return "null";
        case model::cell_kind::unchanged:
            return "unchanged";
        case model::cell_kind::text:
            break;
    }
    return "value";
}

boost::json::object row_json(const model::relation& of, const model::row& row, bool values) {
    boost::json::object cells;
    for (std::size_t i = 0; i < of.columns.size() && i < row.size(); ++i) {
        boost::json::value shown;
        if (!values) {
            shown = kind_text(row[i]);
        } else if (row[i].kind == model::cell_kind::text) {
            shown = row[i].text;
        } else if (row[i].kind == model::cell_kind::unchanged) {
            shown = boost::json::object{{"unchanged", true}};
        }
        cells[of.columns[i].name] = std::move(shown);
    }
    return cells;
}

// How many of the chosen ones are in these states.
std::int64_t count(const context& in, pgclient::connection& modern, const choice& which, const std::string& states) {
    return ask(modern, "reading crossfade.dead_letters",
               "SELECT count(*) FROM crossfade.dead_letters" + std::string{chosen} + " AND state IN (" + states + ")",
               parameters(in, which))
        .integer(0, 0)
        .value_or(0);
}

std::string scope_of(const choice& which) {
    if (which.all) return "all";
    std::string scope = which.table.empty() ? "" : "tables " + which.table;
    for (const auto id : which.ids) scope += (scope.empty() ? "" : ", ") + std::to_string(id);
    return scope;
}

// What they are in: {"refused": 2, "behind": 1}.
std::string states_json(const context& in, pgclient::connection& modern, const choice& which) {
    const auto found = ask(modern, "reading crossfade.dead_letters",
                           "SELECT coalesce(json_object_agg(state, n)::text, '{}') FROM (SELECT state, count(*) AS n"
                           " FROM crossfade.dead_letters" +
                               std::string{chosen} + " GROUP BY 1 ORDER BY 1) s",
                           parameters(in, which));
    return std::string{found.text(0, 0)};
}

// Asks crossfade-cdc for it; how many there are.
std::int64_t request(const context& in, pgclient::connection& modern, const std::string& state, const choice& which) {
    const char* const doing = "writing crossfade.dead_letters";
    auto entry = audit::entry(in, "deadletters " + state, scope_of(which));
    ask(modern, doing, "BEGIN");
    entry.before_json = states_json(in, modern, which);
    const auto asked =
        ask(modern, doing, "UPDATE crossfade.dead_letters SET state = '" + state + "'" + chosen, parameters(in, which))
            .affected();
    if (asked == 0) throw stop(exit_code::no, "there is no such dead letter", "crossfade deadletters list");
    entry.after_json = boost::json::serialize(boost::json::object{{state, asked}});
    entry.outcome = "asked of crossfade-cdc";
    audit::append(modern, entry);
    ask(modern, doing, "COMMIT");
    return asked;
}

}  // namespace

exit_code list(const context& in, const std::string& table, int limit) {
    auto modern = catalog::connect_installed(in.config);
    auto given = parameters(in, {.ids = {}, .table = table});
    given.emplace_back(std::to_string(limit));
    const auto found =
        ask(modern, "reading crossfade.dead_letters",
            "SELECT id, to_char(created_at, 'YYYY-MM-DD\"T\"HH24:MI:SS\"Z\"'), tenant, table_name, operation, state,"
            " tries, sqlstate, reason, commit_lsn, ordinal, count(*) OVER ()"
            " FROM crossfade.dead_letters" +
                std::string{chosen} + " ORDER BY commit_lsn, ordinal, id LIMIT $4::int",
            given);
    const std::int64_t total = found.empty() ? 0 : found.integer(0, 11).value_or(0);
    if (in.json()) {
        boost::json::array letters;
        for (int i = 0; i < found.size(); ++i)
            letters.push_back({{"id", found.integer(i, 0).value_or(0)},
                               {"since", found.text(i, 1)},
                               {"tenant", found.text(i, 2)},
                               {"table", found.text(i, 3)},
                               {"operation", found.text(i, 4)},
                               {"state", found.text(i, 5)},
                               {"tries", found.integer(i, 6).value_or(0)},
                               {"sqlstate", found.text(i, 7)},
                               {"reason", found.text(i, 8)},
                               {"commit_lsn", found.text(i, 9)},
                               {"ordinal", found.integer(i, 10).value_or(0)}});
        in.out << output::pretty({{"total", total}, {"letters", letters}});
        return exit_code::fine;
    }
    if (found.empty()) {
        in.out << "no dead letters\n";
        return exit_code::fine;
    }
    output::table lines(
        {{"id", output::align::right}, {"since"}, {"table"}, {"operation"}, {"state"}, {"sqlstate"}, {"reason"}});
    for (int i = 0; i < found.size(); ++i) {
        const auto cell = [&](int column) { return std::string{found.text(i, column)}; };
        lines.add({cell(0), cell(1), cell(3), cell(4), cell(5), cell(7), cell(8)});
    }
    in.out << lines.render() << '\n' << found.size() << " of " << total << " dead letters\n";
    return exit_code::fine;
}

exit_code show(const context& in, std::int64_t id, bool values) {
    auto modern = catalog::connect_installed(in.config);
    const auto found = ask(modern, "reading crossfade.dead_letters",
                           "SELECT table_name, operation, state, tries, sqlstate, reason, event, topic, partition,"
                           " kafka_offset, tenant FROM crossfade.dead_letters WHERE stream = $1 AND id = $2::bigint",
                           {in.config.stream.name, std::to_string(id)});
    if (found.empty())
        throw stop(exit_code::no, "there is no dead letter " + std::to_string(id), "crossfade deadletters list");
    events::relation_decoder relations;
    const auto event = events::decode(found.bytes(0, 6), relations);
    if (!event) throw stop(exit_code::no, "dead letter " + std::to_string(id) + " holds no event");
    boost::json::object shown{{"id", id},
                              {"table", found.text(0, 0)},
                              {"tenant", found.text(0, 10)},
                              {"operation", found.text(0, 1)},
                              {"state", found.text(0, 2)},
                              {"tries", found.integer(0, 3).value_or(0)},
                              {"sqlstate", found.text(0, 4)},
                              {"reason", found.text(0, 5)},
                              {"position", to_string(event->at)},
                              {"topic", found.text(0, 7)},
                              {"partition", found.integer(0, 8).value_or(0)},
                              {"offset", found.integer(0, 9).value_or(0)}};
    if (const auto* change = std::get_if<model::row_change>(&event->body)) {
        if (!change->before.empty()) shown["before"] = row_json(*change->rel, change->before, values);
        if (!change->after.empty()) shown["after"] = row_json(*change->rel, change->after, values);
    }
    in.out << output::pretty(shown);
    return exit_code::fine;
}

exit_code carry_out(const context& in, order what, const choice& which, std::chrono::seconds wait) {
    if (which.ids.empty() && which.table.empty() && !which.all)
        throw stop(exit_code::usage, "which ones?", "--id N, --table PATTERN or --all");
    auto modern = catalog::connect_installed(in.config);
    const bool replays = what == order::replay;
    const auto asked = request(in, modern, replays ? "replay" : "discard", which);

    const auto until = std::chrono::steady_clock::now() + wait;
    std::int64_t pending = asked;
    while ((pending = count(in, modern, which, "'replay', 'discard'")) > 0 && std::chrono::steady_clock::now() < until)
        std::this_thread::sleep_for(100ms);
    const auto refused = count(in, modern, which, "'refused'");
    const auto behind = count(in, modern, which, "'behind'");
    const auto gone = asked - pending - refused - behind;
    const bool fine = pending + refused + behind == 0;
    if (in.json()) {
        in.out << output::pretty({{"asked", asked},
                                  {replays ? "replayed" : "discarded", gone},
                                  {"refused", refused},
                                  {"behind", behind},
                                  {"pending", pending}});
    } else {
        in.out << asked << " asked for: " << gone << (replays ? " replayed, " : " discarded, ") << refused
               << " refused, " << behind << " behind an earlier change of their row, " << pending << " not yet\n";
    }
    if (pending > 0)
        in.notes << "crossfade-cdc does it with its next batch; it runs? crossfade status\n";
    else if (!fine)
        in.notes << "why: crossfade deadletters list\n";
    return fine ? exit_code::fine : exit_code::no;
}

}  // namespace crossfade::ctl::deadletters
