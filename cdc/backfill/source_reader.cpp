#include "cdc/backfill/source_reader.hpp"

#include <charconv>

namespace crossfade::cdc::backfill {

namespace {

constexpr std::chrono::seconds pause{5};

}  // namespace

pgclient::result<void> source_reader::ready() {
    if (db_ && PQstatus(db_->native()) == CONNECTION_OK) return {};
    db_.reset();
    if (refused_ && std::chrono::steady_clock::now() < again_at_) return *refused_;
    refused_.reset();
    if (auto opened = connect(); !opened) {
        db_.reset();
        refused_ = opened.error();
        again_at_ = std::chrono::steady_clock::now() + pause;
        return *refused_;
    }
    return {};
}

pgclient::result<void> source_reader::connect() {
    pgclient::open_options options;
    options.application_name = "crossfade-cdc backfill";
    options.connect_timeout = std::chrono::seconds{2};
    auto opened = pgclient::connection::open(dsn_, options);
    if (!opened) return opened.error();
    db_.emplace(std::move(*opened));
    // Chunks are read by the key's index, however the planner estimates what a setting's value will be. Whoever wants a
    // stronger lock on the table than ours would make others wait behind it while we waited for him.
    auto set = db_->exec(
        "SET row_security = off; SET statement_timeout = 0; SET idle_in_transaction_session_timeout = '60s';"
        " SET lock_timeout = '200ms'; SET enable_seqscan = off; SET enable_bitmapscan = off; SET jit = off");
    if (!set) return set.error();
    return {};
}

pgclient::result<std::unique_ptr<source_table>> source_reader::look_at(const std::string& table) {
    return load_source_table(*db_, table);
}

pgclient::result<std::uint64_t> source_reader::fence() {
    auto got = db_->exec("SELECT pg_current_xact_id()::text");
    if (!got) return got.error();
    const auto text = got->text(0, 0);
    std::uint64_t xid = 0;
    std::from_chars(text.data(), text.data() + text.size(), xid);
    return xid;
}

pgclient::result<view> source_reader::open(const source_table& what) {
    // The lock before the snapshot, which is taken by the first query.
    auto begun = db_->exec("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY; LOCK TABLE " +
                           std::string{what.partitioned ? "" : "ONLY "} + model::quoted(what.rel->table) +
                           " IN ACCESS SHARE MODE");
    if (!begun) return begun.error();
    auto now = db_->exec("SELECT pg_current_snapshot()::text, pg_current_wal_insert_lsn()::text");
    if (!now) return now.error();
    view made;
    made.snapshot_text = now->text(0, 0);
    const auto snapshot = apply::source_snapshot::parse(made.snapshot_text);
    const auto lsn = model::parse_lsn(now->text(0, 1));
    if (!snapshot || !lsn) return pgclient::failure{"XX000", "pg_current_snapshot() can't be read", {}, {}, {}};
    made.snapshot = *snapshot;
    made.not_newer = *lsn;
    auto table = look_at(model::to_string(what.rel->table));
    if (!table) return table.error();
    if (*table == nullptr) return pgclient::failure{"42P01", "the table is gone", {}, {}, {}};
    made.table = std::move(*table);
    if (auto marked = db_->exec("SAVEPOINT chunk"); !marked) return marked.error();
    return made;
}

void source_reader::close() {
    if (db_ && PQtransactionStatus(db_->native()) != PQTRANS_IDLE && !db_->exec("ROLLBACK")) db_.reset();
}

}  // namespace crossfade::cdc::backfill
