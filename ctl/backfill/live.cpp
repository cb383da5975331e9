#include "ctl/backfill/live.hpp"

#include <unistd.h>

#include <algorithm>
#include <set>
#include <thread>

#include "ctl/audit/record.hpp"
#include "ctl/backfill/display.hpp"
#include "ctl/backfill/interrupt.hpp"
#include "ctl/catalog/database.hpp"
#include "ctl/catalog/read.hpp"
#include "ctl/output/json.hpp"
#include "ctl/output/table.hpp"
#include "lib/store/backfill.hpp"
#include "lib/store/schema.hpp"

namespace crossfade::ctl::backfill {

namespace {

using namespace std::chrono_literals;
using catalog::ask;
using stage = store::backfill::stage;

std::vector<store::backfill> load(const context& in, pgclient::connection& modern) {
    auto loaded = store::load_backfills(modern, in.config.stream.name);
    if (!loaded) throw stop(exit_code::no, "reading crossfade.backfills: " + to_string(loaded.error()));
    return std::move(*loaded);
}

// Whether some crossfade-cdc holds the lock of the one that applies.
bool somebody_applies(const context& in, pgclient::connection& modern) {
    const auto key = store::lock_key(store::lock::applying, in.config.stream.name);
    const auto got = ask(modern, "locking", "SELECT pg_try_advisory_lock($1::int, $2::int)", key);
    if (!got.boolean(0, 0)) return true;
    ask(modern, "unlocking", "SELECT pg_advisory_unlock($1::int, $2::int)", key);
    return false;
}

totals sum(const std::vector<store::backfill>& of, double seconds) {
    totals made;
    made.tables = of.size();
    made.seconds = seconds;
    for (const auto& each : of) {
        made.rows += each.copied_rows;
        made.bytes += each.copied_bytes;
        made.expected_rows += std::max(each.estimated_rows, each.copied_rows);
        if (each.now == stage::done) ++made.tables_done;
    }
    return made;
}

std::string outcome(const store::backfill& of) {
    if (!of.reason.empty()) return "stands still: " + of.reason;
    switch (of.now) {
        case stage::done:
            return "copied";
        case stage::catching_up:
            return "copied, the stream is not there yet";
        case stage::copying:
            return "being copied";
        case stage::asked:
            break;
    }
    return "not begun";
}

constexpr const char* taken_away = "no longer asked for: another copy of it has begun, or its request was removed";

exit_code report(const context& in, const std::set<std::string>& asked, const std::vector<store::backfill>& tables,
                 std::size_t left) {
    const bool fine = tables.size() == asked.size() &&
                      std::ranges::all_of(tables, [](const auto& each) { return each.now == stage::done; });
    boost::json::array list;
    output::table lines({{"table"}, {"rows", output::align::right}, {"bytes", output::align::right}, {"outcome"}});
    for (const auto& each : tables) {
        lines.add({each.table, output::count_text(static_cast<std::uint64_t>(each.copied_rows)),
                   output::bytes_text(static_cast<std::uint64_t>(each.copied_bytes)), outcome(each)});
        list.push_back({{"table", each.table},
                        {"state", to_string(each.now)},
                        {"reason", each.reason},
                        {"rows", each.copied_rows},
                        {"estimated_rows", each.estimated_rows},
                        {"bytes", each.copied_bytes},
                        {"seconds", std::chrono::duration<double>(each.took).count()}});
    }
    for (const auto& name : asked) {
        if (std::ranges::find(tables, name, &store::backfill::table) != tables.end()) continue;
        lines.add({name, "", "", taken_away});
        list.push_back({{"table", name}, {"state", "taken_away"}, {"reason", taken_away}});
    }
    if (in.json()) {
        in.out << output::pretty({{"complete", fine}, {"left_as_they_are", left}, {"tables", list}});
        return fine ? exit_code::fine : exit_code::no;
    }
    if (!asked.empty()) in.out << lines.render() << '\n';
    if (left > 0) in.out << left << " tables are copied already (--again copies them once more)\n";
    if (fine) {
        in.out << "complete: " << tables.size() << " tables\n";
    } else {
        in.out << "not complete; crossfade-cdc goes on with what doesn't stand still\n";
    }
    return fine ? exit_code::fine : exit_code::no;
}

}  // namespace

void require_live(const settings::stream& stream, const catalog::role& on_modern) {
    if (stream.by_key())
        throw stop(exit_code::usage,
                   "--live needs stream.ordering: transaction: a chunk is as of one place in the stream, and partitions"
                   " that are read side by side have no such place",
                   "leave out --live: the stream is held until these tables are copied, and goes on from there");
    if (!on_modern.replica_role)
        throw stop(exit_code::no, "the role on modern may not set session_replication_role, which --live needs",
                   "GRANT SET ON PARAMETER session_replication_role TO ... (PostgreSQL 15), or leave out --live");
}

// In one transaction: they are asked for together, or not at all.
std::set<std::string> request_live(const context& in, const options& with, const std::vector<task>& tasks,
                                   pgclient::connection& modern) {
    ask(modern, "writing crossfade.backfills", "BEGIN");
    for (const auto& each : tasks)
        ask(modern, "writing crossfade.backfills",
            "INSERT INTO crossfade.backfills AS b (stream, table_name, state, max_lag, max_rate, estimated_rows)"
            " SELECT $1, $2, 'asked', $3::bigint * interval '1 millisecond', $4::bigint, $5::bigint"
            " WHERE $6::boolean OR NOT EXISTS (SELECT FROM crossfade.tables WHERE stream = $1 AND table_name = $2"
            " AND state = 'live' AND copied_lsn IS NOT NULL)"
            " ON CONFLICT (stream, table_name) DO UPDATE SET reason = NULL, max_lag = excluded.max_lag,"
            " max_rate = excluded.max_rate,"
            " state = CASE WHEN $6::boolean OR b.state = 'done' THEN 'asked' ELSE b.state END",
            {in.config.stream.name, to_string(each.table), std::to_string(with.max_lag.count()),
             std::to_string(with.max_rate), std::to_string(each.estimated_rows),
             with.again == copied_tables::again ? "true" : "false"});
    std::set<std::string> asked;
    for (const auto& each : load(in, modern))
        if (each.now != stage::done &&
            std::ranges::any_of(tasks, [&](const auto& one) { return to_string(one.table) == each.table; }))
            asked.insert(each.table);
    auto entry = audit::entry(in, with.start == stream_start::anew ? "backfill resync" : "backfill live", names(tasks));
    entry.after_json = boost::json::serialize(boost::json::object{{"tables", tasks.size()},
                                                                  {"again", with.again == copied_tables::again},
                                                                  {"max_lag_ms", with.max_lag.count()},
                                                                  {"max_rate", with.max_rate}});
    entry.outcome = "asked of crossfade-cdc";
    audit::append(modern, entry);
    ask(modern, "writing crossfade.backfills", "COMMIT");
    return asked;
}

exit_code watch_live(const context& in, const options& with, const std::set<std::string>& asked, std::size_t left,
                     pgclient::connection& modern) {
    const interrupt_guard interrupt;
    const auto ours = [&] {
        auto tables = load(in, modern);
        std::erase_if(tables, [&](const auto& each) { return !asked.contains(each.table); });
        return tables;
    };
    auto tables = ours();
    if (with.watch == watching::no) {
        (void)report(in, asked, tables, left);
        return exit_code::fine;
    }

    const bool terminal = isatty(STDERR_FILENO) != 0;
    const auto began = std::chrono::steady_clock::now();
    auto said = began;
    auto moved = began;
    std::int64_t rows = -1;
    while (!interrupt.flag() && std::ranges::any_of(tables, [](const auto& each) {
        return each.now != stage::done && each.reason.empty();
    })) {
        std::this_thread::sleep_for(terminal ? 500ms : 200ms);
        tables = ours();
        const auto now = std::chrono::steady_clock::now();
        const auto done = sum(tables, std::chrono::duration<double>(now - began).count());
        if (terminal || now - said > 5s) {
            in.notes << (terminal ? "\r\x1b[K" : "") << progress_line(done) << (terminal ? "" : "\n") << std::flush;
            said = now;
        }
        if (std::exchange(rows, done.rows) != done.rows) moved = now;
        if (now - moved > 10s && !somebody_applies(in, modern)) {
            in.notes << (terminal ? "\r\x1b[K" : "") << "no crossfade-cdc is at work: start it, or see its log\n";
            moved = now;
        }
    }
    if (terminal) in.notes << "\r\x1b[K" << std::flush;
    return report(in, asked, tables, left);
}

exit_code pause_live(const context& in, const options& with) {
    auto modern = catalog::connect(in.config, settings::side::modern);
    std::vector<std::string> paused;
    ask(modern, "writing crossfade.backfills", "BEGIN");
    for (const auto& each : load(in, modern)) {
        const auto dot = each.table.find('.');
        const model::table_name name{each.table.substr(0, dot), each.table.substr(dot + 1)};
        const bool meant = with.tables.empty() || std::ranges::any_of(with.tables, [&](const auto& pattern) {
                               return model::matches(pattern, name);
                           });
        if (!meant || each.now == stage::done) continue;
        ask(modern, "writing crossfade.backfills",
            "UPDATE crossfade.backfills SET reason = 'paused by an operator' WHERE stream = $1 AND table_name = $2",
            {in.config.stream.name, each.table});
        paused.push_back(each.table);
    }
    if (!paused.empty()) audit::append(modern, audit::entry(in, "backfill pause", output::joined(paused)));
    ask(modern, "writing crossfade.backfills", "COMMIT");
    if (in.json()) {
        in.out << output::pretty({{"paused", paused.size()}});
    } else {
        in.out << paused.size() << " tables stand still until crossfade backfill --live\n";
    }
    return exit_code::fine;
}

}  // namespace crossfade::ctl::backfill
