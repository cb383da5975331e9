#include "ctl/backfill/copy.hpp"

#include <memory>

#include "ctl/catalog/database.hpp"
#include "ctl/catalog/snapshot.hpp"
#include "ctl/exit_code.hpp"
#include "lib/failpoint/failpoint.hpp"

namespace crossfade::ctl::backfill {

namespace {

using catalog::ask;
using model::quoted;

// On the source: the snapshot stays, the table's lock goes.
constexpr const char* leave_table = "ROLLBACK TO SAVEPOINT copy; RELEASE SAVEPOINT copy";

struct free_memory {
    void operator()(char* of) const { PQfreemem(of); }
};
struct free_cancel {
    void operator()(PGcancel* of) const { PQfreeCancel(of); }
};

std::string column_list(const task& what) {
    std::string list;
    for (const auto& column : what.columns) list += (list.empty() ? "" : ", ") + model::quote_identifier(column.name);
    return list;
}

std::string format_of(const task& what) {
    return what.format == copy_format::binary ? "(FORMAT binary)" : "(FORMAT text)";
}

// Modern's.
std::string only(const task& what) {
    return what.modern_kind == catalog::table_kind::plain ? "ONLY " : "";
}

std::string copy_out(const task& what) {
    // COPY of a plain table leaves its inheritors out; of a partitioned one it has to be a query.
    const std::string from = what.kind == catalog::table_kind::plain
                                 ? quoted(what.table) + " (" + column_list(what) + ")"
                                 : "(SELECT " + column_list(what) + " FROM " + quoted(what.table) + ")";
    return "COPY " + from + " TO STDOUT " + format_of(what);
}

std::string copy_in(const task& what) {
    return "COPY " + quoted(what.table) + " (" + column_list(what) + ") FROM STDIN " + format_of(what);
}

void fail(const task& what, const std::string& why) {
    throw stop(exit_code::no, to_string(what.table) + ": " + why);
}

// The result that ends a COPY, and the null that follows it. Returns the rows that the server counted.
std::int64_t finish_copy(const task& what, pgclient::connection& on, const char* side) {
    const pgclient::rows ended{PQgetResult(on.native())};
    const bool fine = ended.native() != nullptr && PQresultStatus(ended.native()) == PGRES_COMMAND_OK;
    std::string why;
    if (!fine) why = std::string{side} + ": " + to_string(on.failure_of(ended.native()));
    while (PGresult* more = PQgetResult(on.native())) PQclear(more);
    if (!fine) fail(what, why);
    return ended.affected();
}

std::int64_t pump(const task& what, const copy_order& how, pgclient::connection& source, pgclient::connection& target,
                  table_progress& progress) {
    while (true) {
        if (how.interrupted.load(std::memory_order_relaxed)) fail(what, "interrupted");
        char* raw = nullptr;
        const int length = PQgetCopyData(source.native(), &raw, 0);
        const std::unique_ptr<char, free_memory> row{raw};
        if (length < 0) break;
        // Blocking: memory stays bounded by the slower side.
        if (PQputCopyData(target.native(), row.get(), length) != 1)
            fail(what, "modern: " + to_string(target.failure_of(nullptr)));
        progress.rows.fetch_add(1, std::memory_order_relaxed);
        progress.bytes.fetch_add(length, std::memory_order_relaxed);
    }
    finish_copy(what, source, "legacy");
    if (PQputCopyEnd(target.native(), nullptr) != 1) fail(what, "modern: " + to_string(target.failure_of(nullptr)));
    return finish_copy(what, target, "modern");
}

void clear(const task& what, pgclient::connection& target) {
    const std::string doing = "clearing " + to_string(what.table);
    if (ask(target, doing, "SELECT 1 FROM " + only(what) + quoted(what.table) + " LIMIT 1").empty()) return;
    ask(target, doing,
        (what.clear == clearing::truncate ? "TRUNCATE " : "DELETE FROM ") + only(what) + quoted(what.table));
}

// In the transaction of the copy: what the copy makes true.
void write_down(const task& what, const copy_order& how, pgclient::connection& source, pgclient::connection& target,
                std::int64_t rows) {
    const std::string table = to_string(what.table);
    const std::string at = to_string(how.consistent_at);
    // Behind all that proxies had written to the table before it was cleared.
    const auto now = ask(source, "asking legacy", "SELECT pg_current_wal_insert_lsn()::text");
    ask(target, "writing crossfade.tables",
        "INSERT INTO crossfade.tables (stream, table_name, state, copied_lsn, copied_rows, filled_lsn)"
        " VALUES ($1, $2, 'live', $3, $4, $5)"
        " ON CONFLICT (stream, table_name) DO UPDATE SET state = 'live', copied_lsn = excluded.copied_lsn,"
        " copied_rows = excluded.copied_rows, filled_lsn = excluded.filled_lsn, stale_since = NULL, updated_at = now()",
        {how.stream, table, at, std::to_string(rows), std::string{now.text(0, 0)}});
    ask(target, "writing crossfade.drift",
        "UPDATE crossfade.drift SET state = 'repaired', last_seen = now()"
        " WHERE stream = $1 AND table_name = $2 AND state IN ('suspect', 'confirmed')",
        {how.stream, table});
    // To replay one now would bring back old values. Nobody applies while tables are copied so, and all letters are of
    // before; by their LSNs that is not to be told, as legacy may have begun anew at lower ones.
    ask(target, "writing crossfade.dead_letters",
        "DELETE FROM crossfade.dead_letters WHERE stream = $1 AND table_name = $2", {how.stream, table});
}

// Both sessions usable again after a copy that was broken off anywhere.
void recover(pgclient::connection& source, pgclient::connection& target) {
    const std::unique_ptr<PGcancel, free_cancel> cancel{PQgetCancel(source.native())};
    char reason[256];
    if (PQtransactionStatus(source.native()) == PQTRANS_ACTIVE && cancel) PQcancel(cancel.get(), reason, sizeof reason);
    for (auto* side : {&source, &target}) {
        // Only an open COPY FROM takes this; elsewhere it is refused without harm.
        if (side == &target) PQputCopyEnd(side->native(), "broken off");
        while (PGresult* left = PQgetResult(side->native())) {
            if (PQresultStatus(left) == PGRES_COPY_OUT) {
                char* raw = nullptr;
                while (PQgetCopyData(side->native(), &raw, 0) > 0) PQfreemem(raw);
            }
            const bool stuck = PQresultStatus(left) == PGRES_COPY_IN || PQstatus(side->native()) == CONNECTION_BAD;
            PQclear(left);
            if (stuck) break;
        }
    }
    // A connection that is gone rolls back by itself.
    (void)source.exec(leave_table);
    (void)target.exec("ROLLBACK");
}

}  // namespace

void copy_table(const task& what, const copy_order& how, pgclient::connection& source, pgclient::connection& target,
                table_progress& progress) {
    progress.now = table_progress::stage::copying;
    progress.rows = 0;
    progress.bytes = 0;
    if (!what.refused.empty()) {
        progress.now = table_progress::stage::failed;
        throw stop(exit_code::no, what.refused);
    }
    try {
        // The snapshot outlives a failed table inside its transaction only behind a savepoint.
        ask(source, "beginning a copy", "SAVEPOINT copy");
        ask(target, "beginning a copy", "BEGIN; SET LOCAL lock_timeout = '30s'");
        if (how.role == replica_role::set)
            ask(target, "beginning a copy", "SET LOCAL session_replication_role = replica");
        // What was altered in front of the snapshot the stream leaves out, as the copy has it.
        if (catalog::stored_columns(source, what.table) != what.columns) {
            recover(source, target);
            progress.now = table_progress::stage::overtaken;
            return;
        }
        if (how.existing == existing_rows::clear) clear(what, target);
        ask(target, "copying " + to_string(what.table), copy_in(what));
        ask(source, "copying " + to_string(what.table), copy_out(what));
        const std::int64_t rows = pump(what, how, source, target, progress);
        progress.rows = rows;  // a binary COPY has messages that are no rows
        // The COPY's lock keeps it so.
        if (catalog::emptied_behind(source, what.table)) {
            recover(source, target);
            progress.now = table_progress::stage::overtaken;
            return;
        }
        write_down(what, how, source, target, rows);
        failpoint::pass("backfill.copied");
        ask(target, "finishing a copy", "COMMIT");
        failpoint::pass("backfill.committed");
        // The lock would stop a TRUNCATE of the table until the last one is copied.
        ask(source, "finishing a copy", leave_table);
        progress.now = table_progress::stage::done;
    } catch (const stop&) {
        progress.now = table_progress::stage::failed;
        recover(source, target);
        throw;
    }
}

}  // namespace crossfade::ctl::backfill
