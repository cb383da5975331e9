#include "ctl/verify/command.hpp"

#include <algorithm>
#include <thread>

#include "ctl/catalog/database.hpp"
#include "ctl/catalog/read.hpp"
#include "ctl/output/json.hpp"
#include "ctl/output/table.hpp"
#include "ctl/stream/progress.hpp"
#include "ctl/verify/cursor.hpp"
#include "ctl/verify/digest.hpp"

namespace crossfade::ctl::verify {

namespace {

using namespace std::chrono_literals;
using catalog::ask;

struct outcome {
    model::table_name table;
    std::int64_t legacy_rows = 0;
    std::int64_t modern_rows = 0;
    std::int64_t missing = 0;
    std::int64_t extra = 0;
    std::int64_t different = 0;
    std::vector<difference> listed;
    std::vector<std::string> problems;

    bool equal() const { return missing + extra + different == 0 && problems.empty(); }
};

// Polls the follower's progress in all partitions; the heartbeats move it even where nobody writes.
void wait_for_stream(const context& in, std::chrono::seconds at_most, pgclient::connection& legacy,
                     pgclient::connection& modern) {
    const auto wanted = ask(legacy, "asking legacy for its position", "SELECT pg_current_wal_insert_lsn()::text");
    const auto target = model::parse_lsn(wanted.text(0, 0));
    if (!target) throw stop(exit_code::no, "legacy says no place in its WAL");
    const auto until = std::chrono::steady_clock::now() + at_most;
    while (true) {
        const auto reached = catalog::read_progress(modern, in.config.stream.name);
        if (!reached)
            throw stop(exit_code::no, "modern has no progress for stream " + in.config.stream.name, "crossfade init");
        if (const auto other = stream::object_to_partitions(in.config.stream, *reached))
            throw stop(exit_code::no, other->what, other->way_out);
        if (reached->end_lsn() >= *target) return;
        if (std::chrono::steady_clock::now() >= until)
            throw stop(exit_code::no,
                       "the stream is at " + to_string(reached->end_lsn()) + " and did not reach " +
                           to_string(*target) + " in " + std::to_string(at_most.count()) + " s",
                       "crossfade status says what holds it");
        std::this_thread::sleep_for(100ms);
    }
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

}  // namespace

exit_code run(const context& in, const options& with) {
    auto legacy = catalog::connect(in.config, settings::side::legacy);
    auto modern = catalog::connect(in.config, settings::side::modern);
    if (with.wait) wait_for_stream(in, *with.wait, legacy, modern);

    const auto tables = catalog::read_tables(legacy, in.config.stream.tables);
    const auto modern_tables = catalog::read_tables(modern, in.config.stream.tables);
    begin_snapshot(legacy);
    begin_snapshot(modern);
    std::vector<outcome> outcomes;
    for (const auto& table : tables) {
        const bool wanted = with.tables.empty() || std::ranges::any_of(with.tables, [&](const auto& pattern) {
                                return model::matches(pattern, table.name);
                            });
        if (!wanted) continue;
        const auto other =
            std::ranges::find_if(modern_tables, [&](const auto& each) { return each.name == table.name; });
        outcomes.push_back(
            compare_rows(compare(table, other == modern_tables.end() ? nullptr : &*other), with.limit, legacy, modern));
    }
    if (outcomes.empty()) throw stop(exit_code::usage, "no table of the stream matches");
    const bool equal = std::ranges::all_of(outcomes, &outcome::equal);
    in.json() ? print_json(outcomes, equal, in.out) : print_table(outcomes, equal, in.out);
    return equal ? exit_code::fine : exit_code::no;
}

}  // namespace crossfade::ctl::verify
