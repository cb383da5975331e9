#include "cdc/backfill/backfiller.hpp"

#include <spdlog/spdlog.h>

#include <algorithm>

#include "cdc/apply/fault.hpp"
#include "lib/failpoint/failpoint.hpp"

namespace crossfade::cdc::backfill {

namespace {

using namespace std::chrono_literals;
using stage = store::backfill::stage;

// The stream stands still for a chunk: long enough that what a chunk costs by itself is a small part of it, and twice
// as long as what the stream has to do between two, lest a machine with much to do has no time to copy.
constexpr std::chrono::duration<double> chunk_time = 100ms;
constexpr std::chrono::duration<double> longest_chunk_time = 400ms;
// Who has a table that is to be cleared may have it for long, and the stream stands still while he is waited for.
constexpr const char* clearing_timeout_sql = "SET LOCAL lock_timeout = '100ms'";
constexpr std::chrono::seconds between_clearings{1};
constexpr std::int64_t least_rows = 1;
constexpr std::int64_t most_rows = 100'000;
constexpr double newest_share = 0.3;  // of the last chunk's speed in what the next one is planned by
constexpr std::int64_t most_refetched = 500;
constexpr int most_conflicts = 30;
constexpr std::string_view unique_violation = "23505";
constexpr std::string_view lock_not_available = "55P03";

bool passing(const pgclient::failure& why) {
    return why.transient() || why.sqlstate == lock_not_available;
}

}  // namespace

backfiller::backfiller(apply::session& to, apply::target_catalog& catalog, apply::recent_transactions& recent,
                       apply::careful_settings settings, std::string source_dsn,
                       std::function<settings::snapshot()> in_force, std::function<bool()> interrupted)
    : to_(to),
      catalog_(catalog),
      recent_(recent),
      settings_(std::move(settings)),
      in_force_(std::move(in_force)),
      interrupted_(std::move(interrupted)),
      source_(std::move(source_dsn)) {}

pgclient::result<backfiller::turn> backfiller::take(const store::progress& at, std::chrono::milliseconds lag) {
    if (steady::now() - looked_ >= look_interval || due(lag)) {
        auto loaded = store::load_backfills(to_.db, settings_.stream);
        if (!loaded) return loaded.error();
        tables_ = std::move(*loaded);
        looked_ = steady::now();
        note_asked();
        // A table that waits for the stream doesn't keep the next one from being copied.
        current_ = nullptr;
        for (const auto& each : tables_) {
            if (each.now == stage::done || !each.reason.empty()) continue;
            if (current_ == nullptr || current_->now == stage::catching_up) current_ = &each;
            if (each.now == stage::catching_up && each.settled_lsn <= at.end_lsn &&
                known_[each.table].not_before <= at.end_lsn) {
                current_ = &each;
                break;
            }
        }
        if (current_ == nullptr) known_.clear();
    }
    if (!due(lag)) return turn{};
    if (auto ready = source_.ready(); !ready) {
        source_failed(ready.error());
        return turn{};
    }
    const auto began = steady::now();
    // By max_rate it is the copy that waits.
    stream_took_ = current_->max_rate == 0 ? began - left_ : steady::duration{0};
    auto done = pgclient::result<turn>{turn{}};
    switch (current_->now) {
        case stage::asked:
            done = begin(at);
            break;
        case stage::copying:
            done = copy(at);
            break;
        case stage::catching_up:
            done = finish(at);
            break;
        case stage::done:
            break;
    }
    if (!done) return done;
    left_ = steady::now();
    done->took = left_ - began;
    if (current_->max_rate > 0 && done->bytes > 0)
        not_before_ = began + std::chrono::microseconds{done->bytes * 1'000'000 / current_->max_rate};
    return done;
}

std::optional<view> backfiller::open_view(memory& of, const store::progress& at) {
    if (at.end_lsn < of.not_before) return std::nullopt;
    if (recent_.in_doubt()) {
        auto drawn = source_.fence();
        if (!drawn) {
            source_failed(drawn.error());
            return std::nullopt;
        }
        fence_ = *drawn;
        recent_.settle_doubt();
    }
    if (of.table == nullptr) {
        auto found = source_.look_at(current_->table);
        if (!found) {
            source_failed(found.error());
            return std::nullopt;
        }
        of.table = std::move(*found);
        if (of.table == nullptr) {
            hopeless_ = "legacy has no such table";
            return std::nullopt;
        }
    }
    auto opened = source_.open(*of.table);
    if (!opened) {
        of.table.reset();
        source_failed(opened.error());
        source_.close();
        if (!passing(opened.error())) hopeless_ = "legacy: " + pgclient::to_string(opened.error());
        return std::nullopt;
    }
    // What has been applied has to be in what is copied.
    if (fence_ && opened->snapshot.oldest_running() <= *fence_) {
        source_.close();
        const std::string waits = "waits for transactions on legacy that began before it";
        if (waits != std::exchange(said_, waits)) spdlog::info("backfill of {}: {}", current_->table, waits);
        return std::nullopt;
    }
    fence_.reset();
    if (!recent_.all_in(opened->snapshot)) {
        source_.close();
        return std::nullopt;
    }
    if (*opened->table->rel == *of.table->rel) {
        opened->table->rel = of.table->rel;  // by which its mapping is known
    } else {
        of.table->rel = opened->table->rel;
    }
    return std::move(*opened);
}

void backfiller::source_failed(const pgclient::failure& why) {
    if (why.connection_lost()) source_.abandon();
    auto text = pgclient::to_string(why);
    if (text == said_) return;
    said_ = std::move(text);
    spdlog::warn("backfill{}: legacy: {}", current_ == nullptr ? "" : " of " + current_->table, said_);
}

pgclient::result<void> backfiller::leave() {
    to_.pipe->add("ROLLBACK");
    if (auto left = to_.pipe->run(); !left) return left.error();
    return {};
}

pgclient::result<bool> backfiller::commit(failpoint::listed written) {
    auto& pipe = *to_.pipe;
    auto answers = pipe.run();
    if (!answers) return answers.error();
    const bool ours = std::ranges::all_of(*answers, &apply::pipeline::answer::as_expected);
    if (ours) {
        failpoint::pass(written);
        pipe.add("COMMIT");
        answers = pipe.run();
    }
    source_.close();
    if (!answers) return answers.error();
    if (ours) return true;
    catalog_.forget();  // perhaps it was the follower's table
    if (auto left = leave(); !left) return left.error();
    return false;
}

pgclient::result<backfiller::turn> backfiller::hold(const std::string& reason) {
    spdlog::warn("backfill of {} stands still: {}", current_->table, reason);
    auto noted = to_.db.exec(
        "UPDATE crossfade.backfills SET reason = $3, updated_at = now() WHERE stream = $1 AND table_name = $2",
        {settings_.stream, current_->table, reason});
    if (!noted) return noted.error();
    return turn{.worked = true};
}

// TRUNCATE where it can be had. False: somebody holds the table, try again.
pgclient::result<bool> backfiller::clear(const apply::table_mapping& of) {
    auto& db = to_.db;
    auto kind = db.exec("SELECT relkind = 'p' FROM pg_class WHERE oid = $1::regclass", {model::quoted(of.target)});
    if (!kind) return kind.error();
    const std::string only = (kind->boolean(0, 0) ? "" : "ONLY ") + model::quoted(of.target);
    auto any = db.exec("SELECT 1 FROM " + only + " LIMIT 1");
    if (!any) return any.error();
    if (any->empty()) return true;
    if (auto set = db.exec(clearing_timeout_sql); !set) return set.error();
    if (auto marked = db.exec("SAVEPOINT clearing"); !marked) return marked.error();
    auto emptied = db.exec("TRUNCATE " + only);
    if (emptied) return true;
    if (emptied.error().sqlstate == lock_not_available) return false;
    if (emptied.error().connection_lost()) return emptied.error();
    // Other tables refer to it; under session_replication_role = replica DELETE doesn't ask them.
    if (auto back = db.exec("ROLLBACK TO SAVEPOINT clearing"); !back) return back.error();
    emptied = db.exec("DELETE FROM " + only);
    if (!emptied) return emptied.error();
    return true;
}

pgclient::result<backfiller::turn> backfiller::begin(const store::progress& at) {
    auto alone = is_known_of();
    if (!alone) return alone.error();
    if (!*alone) return turn{};
    if (!to_.replica_role)
        return hold("no right to set session_replication_role: crossfade backfill without --live can copy it");
    auto& known = known_[current_->table];
    known = {};
    auto found = source_.look_at(current_->table);
    if (!found) {
        source_failed(found.error());
        return turn{};
    }
    if (*found == nullptr) return hold("legacy has no such table");
    known.table = std::move(*found);
    const auto& table = *known.table;
    catalog_.forget();  // the follower's indexes may be others by now
    auto mapping = catalog_.mapping(to_.db, table.rel);
    if (!mapping) return mapping.error();
    if ((*mapping)->refused) return hold((*mapping)->refused->reason);

    auto instead = enter(at);
    if (!instead) return instead.error();
    if (*instead) return **instead;
    auto cleared = clear(**mapping);
    if (!cleared && cleared.error().connection_lost()) return cleared.error();
    if (!cleared || !*cleared) {
        if (auto left = leave(); !left) return left.error();
        if (!cleared && !passing(cleared.error())) return hold("clearing it: " + pgclient::to_string(cleared.error()));
        again_at_ = steady::now() + between_clearings;
        return turn{};
    }
    const auto key = chunk_key(**mapping, table);
    auto& pipe = *to_.pipe;
    const std::vector<apply::sql_parameter> which{settings_.stream, current_->table};
    pipe.add(
        {"INSERT INTO crossfade.tables AS t (stream, table_name, state) VALUES ($1::text, $2::text, 'backfilling')"
         " ON CONFLICT (stream, table_name) DO UPDATE SET state = excluded.state, copied_lsn = NULL,"
         " stale_since = NULL, updated_at = now()",
         which, 1});
    // Their rows will be in the copy, newer than they are.
    pipe.add({"DELETE FROM crossfade.dead_letters WHERE stream = $1::text AND table_name = $2::text", which, {}});
    pipe.add({"DELETE FROM crossfade.refetch WHERE stream = $1::text AND table_name = $2::text", which, {}});
    pipe.add(
        {"UPDATE crossfade.backfills SET state = 'copying', key_columns = $3::text, last_key = NULL,"
         " source_snapshot = NULL, settled_lsn = NULL, estimated_rows = $4::bigint, copied_rows = 0,"
         " copied_bytes = 0, began_at = now(), updated_at = now()"
         " WHERE stream = $1::text AND table_name = $2::text AND state = 'asked'",
         {settings_.stream, current_->table, key, std::to_string(table.estimated_rows)},
         1});
    auto committed = commit("backfill.begun");
    if (!committed) return committed.error();
    if (!*committed) return turn{};
    spdlog::info("backfill of {} begins: {}, about {} rows", current_->table,
                 key.empty() ? "whole, as it has no key" : "by chunks", table.estimated_rows);
    recent_.doubt();  // of what was applied to this table nothing has been noted
    return turn{.worked = true, .tables_changed = true};
}

// The keys are the source's, as text; the follower's types read them.
pgclient::relayed backfiller::remove(const apply::table_mapping& mapping, const rows_query& what) {
    pgclient::relayed done;
    auto keys = source_.db().exec(what.keys);
    if (!keys) {
        done.source = keys.error();
        return done;
    }
    auto removed = to_.db.exec(remove_sql(mapping, what), {std::string{keys->text(0, 0)}});
    if (!removed) done.target = removed.error();
    return done;
}

pgclient::relayed backfiller::write(const apply::table_mapping& mapping, const rows_query& what, bool expected) {
    for (bool in_the_way = expected;; in_the_way = true) {
        pgclient::relayed done;
        // Going back to a savepoint takes the setting back, too.
        if (auto marked = to_.db.exec("SAVEPOINT chunk"); !marked) done.target = marked.error();
        auto set = source_.db().exec("ROLLBACK TO SAVEPOINT chunk");
        if (set && !what.setting.empty())
            set = source_.db().exec("SELECT set_config($1, $2, true)", {what.setting, what.value});
        if (!set) done.source = set.error();
        if (done.fine() && in_the_way) done = remove(mapping, what);
        if (done.fine())
            done = pgclient::relay_copy(source_.db(), "COPY (" + what.rows + ") TO STDOUT", to_.db,
                                        apply::copy_into(mapping), interrupted_);
        const bool conflict = done.target && done.target->sqlstate == unique_violation;
        if (!conflict || in_the_way || what.columns.empty()) return done;
        // The stream has brought rows of this chunk already, and they are older.
        if (auto back = to_.db.exec("ROLLBACK TO SAVEPOINT chunk"); !back) {
            done.target = back.error();
            return done;
        }
    }
}

// Nothing of the chunk is written.
pgclient::result<backfiller::turn> backfiller::give_up(memory& of, const pgclient::relayed& failed, const view& now) {
    source_.close();
    if (failed.target && failed.target->connection_lost()) return *failed.target;
    if (auto left = leave(); !left) return left.error();
    if (failed.source) {
        if (failed.source->sqlstate == "57014") return turn{};
        source_failed(*failed.source);
        // DDL, perhaps; the next attempt looks at the table again.
        of.table.reset();
        if (passing(*failed.source)) return turn{};
        return hold("legacy: " + pgclient::to_string(*failed.source));
    }
    const auto& why = *failed.target;
    if (passing(why)) return turn{};
    catalog_.forget();
    if (why.sqlstate != unique_violation) return hold(pgclient::to_string(why));
    // Another row has what one of these has, and is older, or newer: a smaller chunk, when the stream has come here.
    if (++of.conflicts == most_conflicts || current_->key_columns.empty()) {
        of.conflicts = 0;
        return hold("rows of modern are in the way: " + pgclient::to_string(why));
    }
    of.not_before = now.not_newer;
    of.rows = std::max(least_rows, of.rows / 2);
    of.growth = 2;  // where one is in the way others may be
    return turn{};
}

pgclient::result<backfiller::turn> backfiller::copy(const store::progress& at) {
    auto& known = known_[current_->table];
    auto now = open_view(known, at);
    if (!now) return hopeless_.empty() ? turn{} : hold(std::exchange(hopeless_, {}));
    const auto& table = *now->table;
    catalog_.forget_refused();
    auto found = catalog_.mapping(to_.db, table.rel);
    if (!found) return found.error();
    const auto& mapping = **found;
    const bool by_chunks = !current_->key_columns.empty();
    std::string trouble;
    if (mapping.refused) {
        trouble = mapping.refused->reason;
    } else if (by_chunks && chunk_key(mapping, table) != current_->key_columns) {
        trouble = "its key is another one than when it began: begin anew";
    }
    if (!trouble.empty()) {
        source_.close();
        return hold(trouble);
    }
    const auto what =
        by_chunks ? next_chunk(mapping, table, current_->last_key, known.rows) : whole_table(mapping, table);
    auto instead = enter(at);
    if (!instead) return instead.error();
    if (*instead) return **instead;
    const auto began = steady::now();
    // Where the follower refuses no second row of a key, nothing says that the stream has brought one.
    const auto written = write(mapping, what, known.conflicts > 0 || (by_chunks && !mapping.keyed));
    if (!written.fine()) return give_up(known, written, *now);
    const bool last = !by_chunks || written.rows < known.rows;
    auto& pipe = *to_.pipe;
    pipe.add(apply::unless_as_mapped(mapping));
    pipe.add(
        {"UPDATE crossfade.backfills SET state = $3::text, last_key = $4::text[], source_snapshot = $5::text,"
         " settled_lsn = $6::pg_lsn, copied_rows = copied_rows + $7::bigint,"
         " copied_bytes = copied_bytes + $8::bigint, updated_at = now()"
         " WHERE stream = $1::text AND table_name = $2::text AND state = 'copying'",
         {settings_.stream, current_->table, last ? "catching_up" : "copying",
          last ? apply::sql_parameter{} : key_of(what, written.last_row),
          by_chunks ? apply::sql_parameter{} : now->snapshot_text, model::to_string(now->not_newer),
          std::to_string(written.rows), std::to_string(written.bytes)},
         1});
    auto committed = commit("backfill.chunk");
    if (!committed) return committed.error();
    if (!*committed) return turn{};
    failpoint::pass("backfill.chunk_committed");

    known.conflicts = 0;
    said_.clear();
    known.sized_by(static_cast<double>(written.rows), steady::now() - began, 2 * stream_took_);
    return turn{.worked = true, .tables_changed = last, .rows = written.rows, .bytes = written.bytes};
}

void backfiller::memory::sized_by(double written, std::chrono::duration<double> took,
                                  std::chrono::duration<double> fair) {
    const double last = written / std::max(took.count(), 1e-4);
    speed = speed == 0 ? last : (1 - newest_share) * speed + newest_share * last;
    const double next =
        std::min(speed * std::clamp(fair, chunk_time, longest_chunk_time).count(), static_cast<double>(rows) * growth);
    rows = std::clamp(static_cast<std::int64_t>(next), least_rows, most_rows);
}

pgclient::result<backfiller::turn> backfiller::finish(const store::progress& at) {
    // What the stream has passed is as it should be.
    auto waiting = to_.db.exec(
        "WITH passed AS (DELETE FROM crossfade.refetch WHERE stream = $1 AND table_name = $2"
        " AND settled_lsn <= $3::pg_lsn)"
        " SELECT count(*) FILTER (WHERE settled_lsn IS NULL), count(*) FILTER (WHERE settled_lsn > $3::pg_lsn)"
        " FROM crossfade.refetch WHERE stream = $1 AND table_name = $2",
        {settings_.stream, current_->table, model::to_string(at.end_lsn)});
    if (!waiting) return waiting.error();
    if (waiting->integer(0, 0) != 0) return refetch(at);
    if (waiting->integer(0, 1) != 0 || at.end_lsn < current_->settled_lsn.value_or(model::lsn{})) return turn{};
    auto instead = enter(at);
    if (!instead) return instead.error();
    if (*instead) return **instead;
    auto& pipe = *to_.pipe;
    const std::vector<apply::sql_parameter> which{settings_.stream, current_->table};
    pipe.add(
        {"UPDATE crossfade.tables t SET state = 'live', copied_lsn = b.settled_lsn, copied_rows = b.copied_rows,"
         " updated_at = now() FROM crossfade.backfills b WHERE t.stream = $1::text AND t.table_name = $2::text"
         " AND b.stream = t.stream AND b.table_name = t.table_name AND t.state = 'backfilling'",
         which, 1});
    pipe.add(
        {"UPDATE crossfade.backfills SET state = 'done', source_snapshot = NULL, updated_at = now()"
         " WHERE stream = $1::text AND table_name = $2::text AND state = 'catching_up'",
         which, 1});
    pipe.add(
        {"UPDATE crossfade.drift SET state = 'repaired', last_seen = now() WHERE stream = $1::text"
         " AND table_name = $2::text AND state IN ('suspect', 'confirmed')",
         which,
         {}});
    auto committed = commit("backfill.finishing");
    if (!committed) return committed.error();
    if (!*committed) return turn{};
    spdlog::info("backfill of {} is done: {} rows", current_->table, current_->copied_rows);
    return turn{.worked = true, .tables_changed = true};
}

// Rows of which the events did not say all, or that could not be written when they came.
pgclient::result<backfiller::turn> backfiller::refetch(const store::progress& at) {
    auto& known = known_[current_->table];
    const auto most = std::min(known.rows, most_refetched);
    auto picked = to_.db.exec(
        "SELECT json_agg(key), max(id) FROM (SELECT key, id FROM crossfade.refetch WHERE stream = $1"
        " AND table_name = $2 AND settled_lsn IS NULL ORDER BY id LIMIT " +
            std::to_string(most) + ") AS r",
        {settings_.stream, current_->table});
    if (!picked) return picked.error();
    auto now = open_view(known, at);
    if (!now) return hopeless_.empty() ? turn{} : hold(std::exchange(hopeless_, {}));
    const auto& table = *now->table;
    catalog_.forget_refused();
    auto found = catalog_.mapping(to_.db, table.rel);
    if (!found) return found.error();
    const auto& mapping = **found;
    if (mapping.refused || mapping.key.empty()) {
        source_.close();
        return hold(mapping.refused ? mapping.refused->reason : "it has lost its key: begin anew");
    }
    const auto what = by_keys(mapping, table, std::string{picked->text(0, 0)});
    auto instead = enter(at);
    if (!instead) return instead.error();
    if (*instead) return **instead;
    const auto written = write(mapping, what, true);
    if (!written.fine()) {
        const bool conflict = written.target && written.target->sqlstate == unique_violation;
        auto given_up = give_up(known, written, *now);
        if (!given_up || !conflict || most > 1) return given_up;
        // Others first.
        auto moved =
            to_.db.exec("UPDATE crossfade.refetch SET id = DEFAULT WHERE id = $1", {std::string{picked->text(0, 1)}});
        if (!moved) return moved.error();
        return given_up;
    }
    auto& pipe = *to_.pipe;
    pipe.add(apply::unless_as_mapped(mapping));
    pipe.add(
        {"UPDATE crossfade.refetch SET settled_lsn = $4::pg_lsn WHERE stream = $1::text AND table_name = $2::text"
         " AND id <= $3::bigint AND settled_lsn IS NULL",
         {settings_.stream, current_->table, std::string{picked->text(0, 1)}, model::to_string(now->not_newer)},
         {}});
    pipe.add(
        {"UPDATE crossfade.backfills SET updated_at = now() WHERE stream = $1::text AND table_name = $2::text"
         " AND state = 'catching_up'",
         {settings_.stream, current_->table},
         1});
    auto committed = commit("backfill.refetched");
    if (!committed) return committed.error();
    if (!*committed) return turn{};
    known.conflicts = 0;
    said_.clear();
    known.rows = std::min(most_rows, known.rows * 2);
    return turn{.worked = true, .rows = written.rows, .bytes = written.bytes};
}

}  // namespace crossfade::cdc::backfill
