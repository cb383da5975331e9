#include "ctl/backfill/command.hpp"

#include <unistd.h>

#include <algorithm>
#include <set>

#include "ctl/audit/record.hpp"
#include "ctl/backfill/crew.hpp"
#include "ctl/backfill/interrupt.hpp"
#include "ctl/backfill/live.hpp"
#include "ctl/backfill/permission.hpp"
#include "ctl/backfill/plan.hpp"
#include "ctl/catalog/database.hpp"
#include "ctl/catalog/read.hpp"
#include "ctl/init/command.hpp"
#include "ctl/output/json.hpp"
#include "ctl/output/table.hpp"
#include "ctl/stream/progress.hpp"
#include "ctl/stream/source.hpp"
#include "ctl/stream/topic.hpp"
#include "lib/failpoint/failpoint.hpp"
#include "lib/pgwire/array_literal.hpp"
#include "lib/store/backfill.hpp"
#include "lib/store/schema.hpp"

namespace crossfade::ctl::backfill {

namespace {

using namespace std::chrono_literals;
using catalog::ask;

constexpr int most_snapshots = 10;

// The slot and the publication must be older than the snapshot: what commits after it has to be in the stream.
void require_stream(const context& in, const std::vector<catalog::table>& tables, pgclient::connection& legacy,
                    pgclient::connection& modern) {
    const std::string follower{in.config.follower_name()};
    const auto slot = catalog::read_slot(legacy, in.config.stream.slot());
    const auto publication = catalog::read_publication(legacy, in.config.stream.publication());
    const auto store = catalog::read_store(modern, in.config.stream.name);
    if (ask(modern, "reading crossfade.tables",
            "SELECT FROM pg_attribute WHERE attrelid = 'crossfade.tables'::regclass AND attname = 'filled_lsn'")
            .empty())
        throw stop(exit_code::no, follower + "'s schema crossfade is of an older program", "crossfade init");
    if (!slot || !publication || !store.progress)
        throw stop(exit_code::no, "the stream is not set up: changes during the copy would be lost", "crossfade init");
    if (slot->wal_status == "lost")
        throw stop(exit_code::no, "slot " + in.config.stream.slot() + " is lost",
                   is_back(in) ? "crossfade status says what can be done"
                               : "SELECT pg_drop_replication_slot('" + in.config.stream.slot() +
                                     "'); then crossfade backfill --resync");
    if (const auto other = stream::object_to_partitions(in.config.stream, *store.progress))
        throw stop(exit_code::no, other->what, other->way_out);
    // The copy is of the timeline that legacy is on now; what the stream has yet to bring of an older one would seem
    // newer than it.
    auto replication = catalog::connect_replication(in.config, settings::side::legacy);
    if (const auto now = stream::identify(replication).timeline; now != store.progress->timeline())
        throw stop(exit_code::no,
                   std::string{in.config.source_name()} + " is on timeline " + std::to_string(now) + ", and " +
                       follower + " is on timeline " + std::to_string(store.progress->timeline()) + " yet",
                   "see that crossfade-proxy publishes and crossfade-cdc applies (crossfade status), then again");
    const std::set<model::table_name> published(publication->tables.begin(), publication->tables.end());
    for (const auto& table : tables)
        if (!publication->all_tables && !published.contains(table.name))
            throw stop(exit_code::no,
                       to_string(table.name) + " is not in publication " + in.config.stream.publication(),
                       "crossfade init, then backfill again");
}

// Excludes other backfills, and the applier's transactions, for as long as `modern` lives.
void lock_out(pgclient::connection& modern, const std::string& stream) {
    ask(modern, "locking", "SET lock_timeout = '30s'");
    const auto locked =
        modern.exec("SELECT pg_advisory_lock($1::int, $2::int)", store::lock_key(store::lock::backfilling, stream));
    if (!locked)
        throw stop(exit_code::no,
                   "another backfill of stream " + stream + " runs, or crossfade-cdc is in a long transaction (" +
                       to_string(locked.error()) + ")",
                   "wait for it, then again");
}

// What is copied beside the stream, or was to be.
void forget_live_copy(pgclient::connection& modern, const std::string& stream, const model::table_name& table) {
    for (const char* of : {"backfills", "refetch"})
        ask(modern, "writing crossfade.tables",
            "DELETE FROM crossfade." + std::string{of} + " WHERE stream = $1 AND table_name = $2",
            {stream, to_string(table)});
}

void wait_until_known_of(pgclient::connection& modern) {
    ask(modern, "waiting for the proxies", "SELECT pg_sleep($1::float8)",
        {std::to_string(store::until_known_of.count())});
}

// Whether sessions may be reading any of them: in front of what marks them.
bool may_be_read(pgclient::connection& modern, const std::string& stream, const std::vector<task>& tasks) {
    pgwire::array_literal tables;
    for (const auto& each : tasks) tables.add(to_string(each.table));
    // 'copying': by a copy that was broken off as soon as it had begun.
    const auto found =
        ask(modern, "reading crossfade.tables",
            "SELECT EXISTS (SELECT FROM crossfade.tables WHERE stream = $1 AND table_name ="
            " ANY ($2::text[]) AND (state IN ('live', 'stale') OR state = 'copying' AND updated_at > now() -"
            " $3::float8 * interval '1 s'))",
            {stream, tables.take(), std::to_string(store::until_known_of.count())});
    return found.boolean(0, 0);
}

void mark_copying(pgclient::connection& modern, const std::string& stream, const std::vector<task>& tasks,
                  store::audit_entry entry) {
    ask(modern, "writing crossfade.tables", "BEGIN");
    for (const auto& each : tasks) {
        forget_live_copy(modern, stream, each.table);
        ask(modern, "writing crossfade.tables",
            "INSERT INTO crossfade.tables (stream, table_name, state) VALUES ($1, $2, 'copying')"
            " ON CONFLICT (stream, table_name) DO UPDATE SET state = 'copying', updated_at = now()",
            {stream, to_string(each.table)});
    }
    entry.outcome = "begun";
    audit::append(modern, entry);
    ask(modern, "writing crossfade.tables", "COMMIT");
}

void mark_new(pgclient::connection& modern, const settings::stream& of, const std::vector<task>& tasks,
              model::lsn since) {
    ask(modern, "writing crossfade.tables", "BEGIN");
    for (const auto& each : tasks) {
        forget_live_copy(modern, of.name, each.table);
        stream::mark_new(modern, of, each.table, to_string(since));
    }
    ask(modern, "writing crossfade.tables", "COMMIT");
}

void clear_together(pgclient::connection& modern, const std::vector<task>& tasks) {
    std::vector<std::string> names;
    names.reserve(tasks.size());
    for (const auto& each : tasks)
        names.push_back((each.modern_kind == catalog::table_kind::plain ? "ONLY " : "") + model::quoted(each.table));
    ask(modern, "clearing tables", "SET lock_timeout = '30s'; TRUNCATE " + output::joined(names));
}

// So that what the copy writes is not taken for the work of others. One origin a session.
void use_origin(pgclient::connection& target, const std::string& stream, int writer) {
    const std::string name = store::origin_name(stream, writer);
    ask(target, "setting up the replication origin", std::string{store::make_origin_sql}, {name});
    ask(target, "setting up the replication origin", "SELECT pg_replication_origin_session_setup($1)", {name});
}

std::vector<worker> hire(const context& in, unsigned wanted, const std::string& snapshot, const catalog::role& role) {
    std::vector<worker> workers;
    for (unsigned i = 0; i < wanted; ++i) {
        worker each{.source = catalog::connect(in.config, settings::side::legacy),
                    .target = catalog::connect(in.config, settings::side::modern)};
        ask(each.source, "beginning to read",
            "SET row_security = off; SET idle_in_transaction_session_timeout = 0; SET statement_timeout = 0;"
            "BEGIN TRANSACTION ISOLATION LEVEL REPEATABLE READ READ ONLY; SET TRANSACTION SNAPSHOT " +
                pgclient::quote_literal(snapshot));
        ask(each.target, "beginning to write",
            "SET statement_timeout = 0; SET idle_in_transaction_session_timeout = 0");
        if (role.origins) use_origin(each.target, in.config.stream.name, static_cast<int>(i) + 1);
        workers.push_back(std::move(each));
    }
    return workers;
}

void show_progress(const context& in, crew& at_work) {
    const bool terminal = isatty(STDERR_FILENO) != 0;
    const auto interval = terminal ? 500ms : 5000ms;
    while (!at_work.wait(interval))
        in.notes << (terminal ? "\r\x1b[K" : "") << progress_line(at_work.sum()) << (terminal ? "" : "\n")
                 << std::flush;
    if (terminal) in.notes << "\r\x1b[K" << std::flush;
}

// Everything up to the copy counts as applied. Where the topic ends before the slot's position, or has what legacy
// hasn't, a publisher would rightly stop; the marker says that the copy has what counts.
// `before`: the topic's ends from before `at`.
void go_on_from_copy(const context& in, const stream::source_identity& source, model::lsn at,
                     const std::vector<stream::topic_tail>& before, pgclient::connection& legacy,
                     pgclient::connection& modern) {
    const auto slot = catalog::read_slot(legacy, in.config.stream.slot());
    const auto confirmed = slot ? slot->confirmed.value_or(model::lsn{}) : model::lsn{};
    const auto now = stream::read_tails(in.config);
    // First: behind the other one a publisher goes on, in both topics. That one may be new, and this one old.
    if (in.config.stream.json_events) stream::tell_json_readers(in.config, source, std::min(confirmed, at));
    if (std::ranges::any_of(now, [](const auto& tail) { return tail.end_lsn.has_value(); }))
        stream::place_marker(in.config, source, std::min(confirmed, at));
    std::vector<std::int64_t> next_offsets;
    for (std::size_t i = 0; i < now.size(); ++i) next_offsets.push_back(std::max(before[i].high, now[i].low));
    stream::set_progress(modern, in.config.stream, source, at, next_offsets);
}

exit_code report(const context& in, const std::vector<task>& tasks, const crew& done, model::lsn at) {
    const auto failures = done.failures();
    const auto sum = done.sum();
    const bool fine = sum.tables_done == tasks.size();
    boost::json::array list;
    output::table table({{"table"}, {"rows", output::align::right}, {"bytes", output::align::right}, {"outcome"}});
    for (std::size_t i = 0; i < tasks.size(); ++i) {
        const auto& progress = done.progress(i);
        const std::string outcome = progress.now == table_progress::stage::done     ? "copied"
                                    : progress.now == table_progress::stage::failed ? "failed"
                                    : progress.now == table_progress::stage::overtaken
                                        ? "truncated, rewritten or altered meanwhile"
                                        : "not begun";
        table.add({to_string(tasks[i].table), output::count_text(static_cast<std::uint64_t>(progress.rows.load())),
                   output::bytes_text(static_cast<std::uint64_t>(progress.bytes.load())), outcome});
        list.push_back({{"table", to_string(tasks[i].table)},
                        {"rows", progress.rows.load()},
                        {"bytes", progress.bytes.load()},
                        {"outcome", outcome}});
    }
    if (in.json()) {
        in.out << output::pretty({{"complete", fine},
                                  {"snapshot_lsn", to_string(at)},
                                  {"rows", sum.rows},
                                  {"bytes", sum.bytes},
                                  {"seconds", sum.seconds},
                                  {"tables", list},
                                  {"failures", output::strings(failures)}});
        return fine ? exit_code::fine : exit_code::no;
    }
    in.out << table.render() << '\n';
    for (const auto& failure : failures) in.out << "failed: " << failure << '\n';
    if (fine) {
        in.out << "complete: " << sum.tables << " tables, " << output::count_text(static_cast<std::uint64_t>(sum.rows))
               << " rows in " << output::seconds_text(sum.seconds) << ", as of " << to_string(at) << '\n';
    } else {
        in.out << "incomplete: " << sum.tables_done << " of " << sum.tables
               << " tables; nothing is applied until the rest is copied: crossfade "
               << (is_back(in) ? "--back backfill\n" : "backfill\n");
    }
    return fine ? exit_code::fine : exit_code::no;
}

// The rows are there, or not, whatever becomes of this.
void note_end(const context& in, store::audit_entry entry, const crew& done, model::lsn at) {
    const auto sum = done.sum();
    entry.after_json = boost::json::serialize(boost::json::object{
        {"tables", sum.tables_done}, {"rows", sum.rows}, {"bytes", sum.bytes}, {"as_of", to_string(at)}});
    entry.outcome = sum.tables_done == sum.tables ? "complete" : "incomplete";
    try {
        auto modern = catalog::connect(in.config, settings::side::modern);
        audit::append(modern, entry);
    } catch (const stop& why) {
        in.notes << "the end of the copy is not in the audit log: " << why.what() << '\n';
    }
}

// `--resync --live`: the stream goes on from now, its changes of a table that is not copied yet are left out, and every
// table is asked for. Whoever is killed on the way leaves tables that wait for a copy, and progress as it was.
std::set<std::string> begin_anew_live(const context& in, const options& with, const std::vector<task>& tasks,
                                      pgclient::connection& legacy, pgclient::connection& modern) {
    auto lock = catalog::connect(in.config, settings::side::modern);
    lock_out(lock, in.config.stream.name);
    // What is in the topic by now was committed before `at`.
    const auto topic = stream::read_tails(in.config);
    auto replication = catalog::connect_replication(in.config, settings::side::legacy);
    const auto source = stream::identify(replication);
    const auto now = ask(legacy, "asking legacy", "SELECT pg_current_wal_flush_lsn()::text");
    const auto at = model::parse_lsn(now.text(0, 0));
    if (!at) throw stop(exit_code::no, "legacy says no place in its WAL");
    const bool read = may_be_read(modern, in.config.stream.name, tasks);
    mark_new(modern, in.config.stream, tasks, *at);
    failpoint::pass("backfill.marked");
    if (read) wait_until_known_of(modern);
    auto asked = request_live(in, with, tasks, modern);
    go_on_from_copy(in, source, *at, topic, legacy, modern);
    return asked;
}

struct copied {
    stream::source_identity source;
    model::lsn at;
};

// All tables that wait, as of one moment.
copied copy_from_snapshot(const context& in, unsigned parallel, const catalog::role& role,
                          const std::vector<task>& tasks, const interrupt_guard& interrupt, crew& at_work) {
    std::optional<pgclient::connection> replication = catalog::connect_replication(in.config, settings::side::legacy);
    const auto source = stream::identify(*replication);
    // By the server's process: that of an attempt before may take its time to go, and its slot with it.
    const auto snapshot =
        stream::export_snapshot(*replication, "crossfade_backfill_" + std::to_string(getpid()) + '_' +
                                                  std::to_string(PQbackendPID(replication->native())));
    const auto workers = role.replica_role ? std::min<unsigned>(parallel, static_cast<unsigned>(tasks.size())) : 1U;
    auto hired = hire(in, workers, snapshot.name, role);
    failpoint::pass("backfill.snapshot");
    // The workers' transactions hold the snapshot now; the temporary slot would only hold WAL.
    replication.reset();

    const copy_order how{.stream = in.config.stream.name,
                         .consistent_at = snapshot.consistent_at,
                         .role = role.replica_role ? replica_role::set : replica_role::forbidden,
                         .existing = role.replica_role ? existing_rows::clear : existing_rows::cleared_before,
                         .interrupted = interrupt.flag()};
    at_work.start(std::move(hired), how);
    show_progress(in, at_work);
    return {source, snapshot.consistent_at};
}

// What legacy has made of those that were overtaken.
void plan_anew(const context& in, const crew& at_work, std::vector<task>& tasks) {
    auto legacy = catalog::connect(in.config, settings::side::legacy);
    auto modern = catalog::connect(in.config, settings::side::modern);
    const auto tables = catalog::read_tables(legacy, in.config.stream.tables);
    const auto modern_tables = catalog::read_tables(modern, in.config.stream.tables);
    const auto keys = catalog::read_foreign_keys(modern, modern_tables);
    for (std::size_t i = 0; i < tasks.size(); ++i) {
        if (at_work.progress(i).now != table_progress::stage::overtaken) continue;
        auto& each = tasks[i];
        const auto now = std::ranges::find(tables, each.table, &catalog::table::name);
        if (now == tables.end()) {
            each.refused = to_string(each.table) + " is gone on " + std::string{in.config.source_name()};
            continue;
        }
        auto planned = make_plan({*now}, modern_tables, keys, order::side_by_side, in.config.follower_name());
        if (planned.problems.empty())
            each = std::move(planned.tasks.front());
        else
            each.refused = output::joined(planned.problems);
    }
}

}  // namespace

exit_code run(const context& in, const options& with) {
    if (with.how == manner::pause) return pause_live(in, with);
    const bool anew = with.start == stream_start::anew;
    if (is_back(in) && (anew || with.how != manner::hold))
        throw stop(exit_code::usage, "--back copies what legacy lacks, while the way back waits",
                   "leave out --resync, --live and --pause");
    if (anew && !with.tables.empty()) throw stop(exit_code::usage, "--resync copies every table", "leave out --tables");
    auto modern = catalog::connect(in.config, settings::side::modern);
    const auto role = catalog::read_role(modern);
    if (with.how == manner::live) require_live(in.config.stream, role);
    require_way(in, role, modern);
    if (anew) init::prepare_anew(in, {.slot_timeout = with.slot_timeout});

    auto legacy = catalog::connect(in.config, settings::side::legacy);
    auto tables = catalog::read_tables(legacy, in.config.stream.tables);
    if (!with.tables.empty())
        std::erase_if(tables, [&](const auto& table) {
            return std::ranges::none_of(with.tables,
                                        [&](const auto& each) { return model::matches(each, table.name); });
        });
    if (tables.empty()) throw stop(exit_code::usage, "no table of the stream matches");
    if (is_back(in)) leave_what_is_whole(in, tables, modern);
    if (!anew) require_stream(in, tables, legacy, modern);

    const auto modern_tables = catalog::read_tables(modern, in.config.stream.tables);
    auto planned =
        make_plan(tables, modern_tables, catalog::read_foreign_keys(modern, modern_tables),
                  role.replica_role ? order::side_by_side : order::by_foreign_keys, in.config.follower_name());
    if (!planned.problems.empty())
        throw stop(exit_code::no, "nothing was copied:\n  " + output::joined(planned.problems, "\n  "),
                   "crossfade check");

    auto no_flips = keep_flips_off(in);
    require_way(in, role, modern);
    if (is_back(in)) require_own(in, tables, legacy, modern);
    if (with.how == manner::live) {
        const auto asked = anew ? begin_anew_live(in, with, planned.tasks, legacy, modern)
                                : request_live(in, with, planned.tasks, modern);
        no_flips.reset();
        return watch_live(in, with, asked, planned.tasks.size() - asked.size(), modern);
    }
    const interrupt_guard interrupt;
    auto lock = catalog::connect(in.config, settings::side::modern);
    lock_out(lock, in.config.stream.name);
    const auto entry = audit::entry(in, anew ? "backfill resync" : "backfill", names(planned.tasks));
    const bool read = may_be_read(modern, in.config.stream.name, planned.tasks);
    mark_copying(modern, in.config.stream.name, planned.tasks, entry);
    no_flips.reset();

    failpoint::pass("backfill.marked");
    if (read) wait_until_known_of(modern);
    if (!role.replica_role) clear_together(modern, planned.tasks);

    const auto topic = anew ? stream::read_tails(in.config) : std::vector<stream::topic_tail>{};
    crew copying(planned.tasks);
    const auto first = copy_from_snapshot(in, with.parallel, role, planned.tasks, interrupt, copying);
    for (int attempt = 1; copying.overtaken() > 0 && attempt < most_snapshots && !interrupt.flag(); ++attempt) {
        in.notes << output::count_text(copying.overtaken()) << " tables were truncated, rewritten or altered on "
                 << in.config.source_name() << " meanwhile: again, from another snapshot\n";
        plan_anew(in, copying, planned.tasks);
        copy_from_snapshot(in, with.parallel, role, planned.tasks, interrupt, copying);
    }
    if (anew && copying.sum().tables_done == planned.tasks.size())
        go_on_from_copy(in, first.source, first.at, topic, legacy, modern);
    note_end(in, entry, copying, first.at);
    return report(in, planned.tasks, copying, first.at);
}

}  // namespace crossfade::ctl::backfill
