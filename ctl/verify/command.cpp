#include "ctl/verify/command.hpp"

#include <algorithm>
#include <map>
#include <thread>

#include "ctl/catalog/database.hpp"
#include "ctl/catalog/read.hpp"
#include "ctl/catalog/snapshot.hpp"
#include "ctl/output/json.hpp"
#include "ctl/output/table.hpp"
#include "ctl/stream/progress.hpp"
#include "ctl/verify/cursor.hpp"
#include "ctl/verify/digest.hpp"
#include "lib/settings/turned.hpp"

namespace crossfade::ctl::verify {

namespace {

using namespace std::chrono_literals;
using catalog::ask;

constexpr int most_snapshots = 10;

struct outcome {
    model::table_name table;
    std::int64_t legacy_rows = 0;
    std::int64_t modern_rows = 0;
    std::int64_t missing = 0;
    std::int64_t extra = 0;
    std::int64_t different = 0;
    std::vector<difference> listed;
    std::vector<std::string> problems;
    bool overtaken = false;  // what was read may have been an empty table: catalog/snapshot.hpp

    bool equal() const { return missing + extra + different == 0 && problems.empty(); }
};

model::lsn position_of(std::string_view side, pgclient::connection& on) {
    const auto found =
        ask(on, "asking " + std::string{side} + " for its position", "SELECT pg_current_wal_insert_lsn()::text");
    const auto at = model::parse_lsn(found.text(0, 0));
    if (!at) throw stop(exit_code::no, std::string{side} + " says no place in its WAL");
    return *at;
}

// Polls the follower's progress in all partitions; the heartbeats move it even where nobody writes.
void wait_for_stream(const settings::configuration& way, model::lsn target, std::chrono::seconds at_most,
                     std::chrono::steady_clock::time_point until, pgclient::connection& follower) {
    while (true) {
        const auto reached = catalog::read_progress(follower, way.stream.name);
        if (!reached)
            throw stop(exit_code::no,
                       std::string{way.follower_name()} + " has no progress for stream " + way.stream.name,
                       "crossfade init");
        if (const auto other = stream::object_to_partitions(way.stream, *reached))
            throw stop(exit_code::no, other->what, other->way_out);
        if (reached->end_lsn() >= target) return;
        if (std::chrono::steady_clock::now() >= until)
            throw stop(exit_code::no,
                       std::string{way.source == settings::side::legacy ? "the stream" : "the way back"} + " is at " +
                           to_string(reached->end_lsn()) + " and did not reach " + to_string(target) + " in " +
                           std::to_string(at_most.count()) + " s",
                       "crossfade status says what holds it");
        std::this_thread::sleep_for(100ms);
    }
}

// Once the cutover is completed nothing goes that way.
bool has_way_back(const context& in, pgclient::connection& legacy, pgclient::connection& modern) {
    if (!in.config.stream.both_ways) return false;
    const auto now = catalog::newest_authority(in.config.stream.name, legacy, modern);
    return !now || now->completed_at.empty();
}

// Both ways: each side may be the authority of some rows, and what it has brought the other is not carried back.
void wait_for_streams(const context& in, std::chrono::seconds at_most, pgclient::connection& legacy,
                      pgclient::connection& modern) {
    const auto until = std::chrono::steady_clock::now() + at_most;
    const auto of_legacy = position_of("legacy", legacy);
    const auto of_modern = position_of("modern", modern);
    wait_for_stream(in.config, of_legacy, at_most, until, modern);
    if (has_way_back(in, legacy, modern))
        wait_for_stream(settings::turned(in.config), of_modern, at_most, until, legacy);
}

void begin_snapshot(pgclient::connection& on) {
    ask(on, "beginning to read",
        "SET statement_timeout = 0; SET row_security = off; BEGIN TRANSACTION ISOLATION LEVEL REPEATABLE READ READ "
        "ONLY");
}

outcome compare_rows(const comparison& of, std::size_t limit, pgclient::connection& legacy,
                     pgclient::connection& modern) {
    outcome made;
    made.table = of.table;
    made.problems = of.problems;
    if (!of.problems.empty()) return made;

    // Both servers read at the same time.
    std::optional<pgclient::rows> theirs;
    std::exception_ptr broken;
    {
        std::jthread other([&] {
            try {
                theirs = ask(modern, to_string(of.table) + " on modern", aggregate_sql(of, settings::side::modern));
            } catch (...) {
                broken = std::current_exception();
            }
        });
        const auto ours = ask(legacy, to_string(of.table) + " on legacy", aggregate_sql(of, settings::side::legacy));
        other.join();
        if (broken) std::rethrow_exception(broken);
        made.legacy_rows = ours.integer(0, 0).value_or(0);
        made.modern_rows = theirs->integer(0, 0).value_or(0);
        if (made.legacy_rows == made.modern_rows && ours.text(0, 1) == theirs->text(0, 1)) return made;
    }

    digest_cursor left(legacy, digests_sql(of, settings::side::legacy));
    digest_cursor right(modern, digests_sql(of, settings::side::modern));
    merger merging(limit);
    while (left.current() != nullptr || right.current() != nullptr) {
        const auto move = merging.step(left.current(), right.current());
        if (move != merger::advance::modern) left.next();
        if (move != merger::advance::legacy) right.next();
    }
    made.missing = merging.count(difference_kind::missing);
    made.extra = merging.count(difference_kind::extra);
    made.different = merging.count(difference_kind::different);
    made.listed = merging.kept();
    return made;
}

void print_json(const std::vector<outcome>& outcomes, bool equal, std::ostream& out) {
    boost::json::array tables;
    for (const auto& each : outcomes) {
        boost::json::array rows;
        for (const auto& one : each.listed)
            rows.push_back({{"kind", to_string(one.kind)}, {"key", one.key}, {"copies", one.copies}});
        tables.push_back({{"table", to_string(each.table)},
                          {"equal", each.equal()},
                          {"legacy_rows", each.legacy_rows},
                          {"modern_rows", each.modern_rows},
                          {"missing", each.missing},
                          {"extra", each.extra},
                          {"different", each.different},
                          {"problems", output::strings(each.problems)},
                          {"rows", rows}});
    }
    out << output::pretty({{"equal", equal}, {"tables", tables}});
}

void print_table(const std::vector<outcome>& outcomes, bool equal, std::ostream& out) {
    using output::align;
    output::table table({{"table"},
                         {"legacy rows", align::right},
                         {"modern rows", align::right},
                         {"missing", align::right},
                         {"extra", align::right},
                         {"different", align::right},
                         {"verdict"}});
    std::int64_t rows = 0;
    for (const auto& each : outcomes) {
        rows += each.legacy_rows;
        const auto count = [](std::int64_t n) { return output::count_text(static_cast<std::uint64_t>(n)); };
        table.add({to_string(each.table), count(each.legacy_rows), count(each.modern_rows), count(each.missing),
                   count(each.extra), count(each.different),
                   each.equal()            ? "equal"
                   : each.problems.empty() ? "DIFFERS"
                                           : output::joined(each.problems)});
    }
    out << table.render();
    for (const auto& each : outcomes) {
        if (each.listed.empty()) continue;
        out << '\n' << to_string(each.table) << '\n';
        for (const auto& one : each.listed)
            out << "  " << to_string(one.kind) << "  " << one.key
                << (one.copies > 1 ? "  (" + std::to_string(one.copies) + " times)" : "") << '\n';
    }
    const auto differing = std::ranges::count_if(outcomes, [](const auto& each) { return !each.equal(); });
    out << '\n';
    if (equal) {
        out << "equal: " << outcomes.size() << " tables, " << output::count_text(static_cast<std::uint64_t>(rows))
            << " rows\n";
    } else {
        out << "DIFFERENT: " << differing << " of " << outcomes.size()
            << " tables. Rows that are still in the stream count as differences: --wait 30 lets it catch up first\n";
    }
}

text_bytes bytes_on(pgclient::connection& side) {
    return bytes_of(ask(side, "reading settings", "SHOW server_encoding").text(0, 0));
}

// In the order of their names: those that `with` names, but for those that are there already and need no other look.
void compare_all(const context& in, const options& with, std::map<model::table_name, outcome>& outcomes,
                 pgclient::connection& legacy, pgclient::connection& modern) {
    const auto tables = catalog::read_tables(legacy, in.config.stream.tables);
    const auto modern_tables = catalog::read_tables(modern, in.config.stream.tables);
    const auto legacy_bytes = bytes_on(legacy);
    const auto modern_bytes = bytes_on(modern);
    begin_snapshot(legacy);
    begin_snapshot(modern);
    for (const auto& table : tables) {
        const bool wanted = with.tables.empty() || std::ranges::any_of(with.tables, [&](const auto& pattern) {
                                return model::matches(pattern, table.name);
                            });
        const auto before = outcomes.find(table.name);
        if (!wanted || (before != outcomes.end() && !before->second.overtaken)) continue;
        const auto other =
            std::ranges::find_if(modern_tables, [&](const auto& each) { return each.name == table.name; });
        auto how = compare(table, other == modern_tables.end() ? nullptr : &*other);
        how.legacy_bytes = legacy_bytes;
        how.modern_bytes = modern_bytes;
        auto made = compare_rows(how, with.limit, legacy, modern);
        made.overtaken = how.problems.empty() &&
                         (catalog::emptied_behind(legacy, table.name) || catalog::emptied_behind(modern, table.name));
        outcomes.insert_or_assign(table.name, std::move(made));
    }
    for (auto* side : {&legacy, &modern}) ask(*side, "ending to read", "COMMIT");
}

}  // namespace

exit_code run(const context& in, const options& with) {
    auto legacy = catalog::connect(in.config, settings::side::legacy);
    auto modern = catalog::connect(in.config, settings::side::modern);
    std::map<model::table_name, outcome> found;
    const auto overtaken = [](const auto& each) { return each.second.overtaken; };
    for (int i = 0; i == 0 || (i < most_snapshots && std::ranges::any_of(found, overtaken)); ++i) {
        if (with.wait) wait_for_streams(in, *with.wait, legacy, modern);
        compare_all(in, with, found, legacy, modern);
    }
    if (found.empty()) throw stop(exit_code::usage, "no table of the stream matches");
    std::vector<outcome> outcomes;
    for (auto& [table, each] : found) {
        if (each.overtaken) each.problems.emplace_back("truncated or rewritten whenever it was read");
        outcomes.push_back(std::move(each));
    }
    const bool equal = std::ranges::all_of(outcomes, &outcome::equal);
    in.json() ? print_json(outcomes, equal, in.out) : print_table(outcomes, equal, in.out);
    return equal ? exit_code::fine : exit_code::no;
}

}  // namespace crossfade::ctl::verify
