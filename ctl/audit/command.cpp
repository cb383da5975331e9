#include "ctl/audit/command.hpp"

#include <algorithm>
#include <array>
#include <functional>
#include <optional>
#include <set>

#include "ctl/catalog/database.hpp"
#include "ctl/output/json.hpp"
#include "ctl/output/table.hpp"
#include "lib/pgwire/array_literal.hpp"
#include "lib/settings/turned.hpp"
#include "lib/store/audit.hpp"

namespace crossfade::ctl::audit {
namespace {

using catalog::ask;
using settings::side;

// Of each side that answers and has a log. What the others lack is said on `notes`.
exit_code on_each_side(const context& in, const std::function<void(side, pgclient::connection&)>& look) {
    auto code = exit_code::fine;
    bool any = false;
    for (const auto which : {side::legacy, side::modern}) {
        const std::string name{to_string(which)};
        try {
            auto db = catalog::connect(in.config, which);
            if (!ask(db, "asking " + name, "SELECT to_regclass('crossfade.audit') IS NOT NULL").boolean(0, 0)) {
                in.notes << "there is no audit log on " << name << '\n';
                continue;
            }
            any = true;
            look(which, db);
        } catch (const stop& why) {
            if (why.code() != exit_code::unreachable) throw;
            in.notes << why.what() << '\n';
            code = exit_code::unreachable;
        }
    }
    if (!any && code == exit_code::fine) throw stop(exit_code::no, "there is no audit log", "crossfade init");
    return code;
}

constexpr const char* entries_sql =
    "SELECT to_char(at AT TIME ZONE 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS.US\"Z\"'), action, scope, by_whom, by_role,"
    " program, outcome, reason, stream, coalesce(before::text, 'null'), coalesce(after::text, 'null'), id,"
    " encode(hash, 'hex') FROM crossfade.audit WHERE stream IN ($1::text, $2::text)"
    " AND ($3::text IS NULL OR action = $3) AND ($4::timestamptz IS NULL OR at >= $4) ORDER BY id DESC LIMIT $5::int";

struct logged {
    side of;
    std::array<std::string, 13> cells;  // in the order of entries_sql
};

boost::json::array as_json(const std::vector<logged>& all) {
    boost::json::array entries;
    for (const auto& [of, cells] : all)
        entries.push_back({{"at", cells[0]},
                           {"side", to_string(of)},
                           {"id", std::stoll(cells[11])},
                           {"stream", cells[8]},
                           {"by", cells[3]},
                           {"by_role", cells[4]},
                           {"program", cells[5]},
                           {"action", cells[1]},
                           {"scope", cells[2]},
                           {"reason", cells[7]},
                           {"before", boost::json::parse(cells[9])},
                           {"after", boost::json::parse(cells[10])},
                           {"outcome", cells[6]},
                           {"hash", cells[12]}});
    return entries;
}

// One side's chain.
struct chain {
    side of = side::legacy;
    std::int64_t entries = 0;
    std::string head;
    std::optional<std::int64_t> misfit;  // the first entry that doesn't fit
    std::vector<std::string> faults;
};

chain walk(side which, pgclient::connection& db) {
    const std::string name{to_string(which)};
    const auto found = ask(db, "reading crossfade.audit on " + name, std::string{store::audit_walk_sql()});
    chain walked{which, found.integer(0, 0).value_or(0), std::string{found.text(0, 1)}, found.integer(0, 3), {}};
    if (walked.misfit) {
        const std::string entry = "entry " + std::to_string(*walked.misfit);
        const std::string before = found.null(0, 7) ? "the beginning" : "entry " + std::string{found.text(0, 7)};
        if (found.boolean(0, 4)) walked.faults.push_back(entry + " is not what it was when it was written");
        if (found.boolean(0, 5)) walked.faults.push_back("entries are missing between " + before + " and " + entry);
        if (found.boolean(0, 6)) walked.faults.push_back(entry + " does not follow " + before);
    }
    if (!found.boolean(0, 2))
        walked.faults.emplace_back("the trigger that keeps entries from being changed is not in force; crossfade init");
    return walked;
}

void print(const context& in, const std::vector<chain>& chains, const std::vector<std::string>& unknown) {
    output::table table({{"side"}, {"entries", output::align::right}, {"head"}, {"verdict"}});
    for (const auto& each : chains)
        table.add({std::string{to_string(each.of)}, std::to_string(each.entries), each.head,
                   each.faults.empty() ? "whole" : "BROKEN: " + output::joined(each.faults, "; ")});
    in.out << table.render();
    for (const auto& each : unknown) in.out << "\nNOT FOUND: no entry has the hash " << each << '\n';
}

}  // namespace

exit_code log(const context& in, const listing& which) {
    // As the file has them: --back or not, it is both streams'.
    const auto& stream = in.config.stream.name;
    const auto unless_empty = [](const std::string& text) {
        return text.empty() ? pgclient::parameter{} : pgclient::parameter{text};
    };
    std::vector<logged> all;
    const auto code = on_each_side(in, [&](side of, pgclient::connection& db) {
        const auto found = db.exec(entries_sql, {stream, settings::back_stream(stream), unless_empty(which.action),
                                                 unless_empty(which.since), std::to_string(which.limit)});
        if (!found && found.error().sqlstate.starts_with("22"))
            throw stop(exit_code::usage, "--since: no time: " + which.since, "--since '2026-11-21 18:00Z'");
        if (!found)
            throw stop(found.error().connection_lost() ? exit_code::unreachable : exit_code::no,
                       "reading crossfade.audit: " + to_string(found.error()));
        for (int i = 0; i < found->size(); ++i) {
            logged one{of, {}};
            for (std::size_t c = 0; c < one.cells.size(); ++c) one.cells[c] = found->text(i, static_cast<int>(c));
            all.push_back(std::move(one));
        }
    });
    // Each side's are in the order of its chain already, whatever its clock did.
    std::ranges::stable_sort(all,
                             [](const logged& left, const logged& right) { return left.cells[0] > right.cells[0]; });
    if (all.size() > static_cast<std::size_t>(which.limit)) all.resize(static_cast<std::size_t>(which.limit));

    if (in.json()) {
        in.out << output::pretty({{"entries", as_json(all)}});
        return code;
    }
    if (all.empty()) {
        in.out << "no entries\n";
        return code;
    }
    output::table table(
        {{"at"}, {"side"}, {"action"}, {"scope"}, {"by"}, {"role"}, {"program"}, {"outcome"}, {"reason"}});
    for (const auto& [of, cells] : all)
        table.add({cells[0], std::string{to_string(of)}, cells[1], cells[2], cells[3], cells[4], cells[5], cells[6],
                   cells[7]});
    in.out << table.render();
    return code;
}

exit_code verify(const context& in, const std::vector<std::string>& expected) {
    std::vector<chain> chains;
    std::set<std::string> seen;
    pgwire::array_literal heads;
    for (const auto& each : expected) heads.add(each);
    const auto wanted = heads.take();
    auto code = on_each_side(in, [&](side of, pgclient::connection& db) {
        chains.push_back(walk(of, db));
        const auto found = ask(db, "reading crossfade.audit", std::string{store::audit_heads_sql}, {wanted});
        for (int i = 0; i < found.size(); ++i) seen.emplace(found.text(i, 0));
    });
    std::vector<std::string> unknown;
    std::ranges::copy_if(expected, std::back_inserter(unknown), [&](const auto& each) { return !seen.contains(each); });
    const bool whole =
        unknown.empty() && std::ranges::all_of(chains, [](const auto& each) { return each.faults.empty(); });
    if (!whole) code = exit_code::no;

    if (!in.json()) {
        print(in, chains, unknown);
        return code;
    }
    boost::json::array sides;
    for (const auto& each : chains)
        sides.push_back({{"side", to_string(each.of)},
                         {"entries", each.entries},
                         {"head", each.head},
                         {"whole", each.faults.empty()},
                         {"first_misfit", each.misfit ? boost::json::value(*each.misfit) : boost::json::value()},
                         {"faults", output::strings(each.faults)}});
    in.out << output::pretty({{"whole", whole}, {"sides", sides}, {"heads_not_found", output::strings(unknown)}});
    return code;
}

}  // namespace crossfade::ctl::audit
