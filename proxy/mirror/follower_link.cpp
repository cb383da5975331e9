#include "proxy/mirror/follower_link.hpp"

#include <openssl/ssl.h>
#include <poll.h>

#include <algorithm>
#include <utility>

#include "lib/store/schema.hpp"
#include "proxy/mirror/outfit.hpp"

namespace crossfade::proxy::mirror {
namespace {

// Who else waits for the same rows is done within milliseconds, or waits for us: the stream brings them then.
constexpr std::string_view lock_timeout = "100ms";
// Of PQgetResult in a row; libpq is asked for answers then that it doesn't know of.
constexpr int most_nothings = 10;
// Behind a server's last words there is the end of the connection.
constexpr int most_last_words = 3;
// Origins that are tried before there is none.
constexpr int most_origins = 1000;

// Origins that whoever applies, and a backfill, may still need. Each one that was ever used keeps its place.
constexpr int left_for_others = 6;
constexpr const char* free_places =
    "SELECT coalesce(current_setting('max_active_replication_origins', true), "
    "current_setting('max_replication_slots'))::int - count(*), coalesce(bool_or(external_id = $1), false)"
    " FROM pg_replication_origin_status";

pgclient::result<void> take_origin(pgclient::connection& db, const std::string& stream) {
    for (int writer = store::first_mirror; writer < store::first_mirror + most_origins; ++writer) {
        const auto name = store::origin_name(stream, writer);
        const auto places = db.exec(free_places, {name});
        if (!places) return places.error();
        if (!places->boolean(0, 1) && places->integer(0, 0) <= left_for_others) {
            return pgclient::failure{"53400",
                                     "no more replication origins: raise max_replication_slots on modern, "
                                     "max_active_replication_origins from PostgreSQL 18 on",
                                     {},
                                     {},
                                     {}};
        }
        auto made = db.exec(std::string{store::make_origin_sql}, {name});
        // Another one may have made it at the same moment.
        if (!made && made.error().sqlstate != "23505") return made.error();
        const auto set = db.exec("SELECT pg_replication_origin_session_setup($1)", {name});
        if (set) return {};
        if (set.error().sqlstate != "55006") return set.error();
    }
    return pgclient::failure{"55006", "all replication origins are in use", {}, {}, {}};
}

std::string marks_of(const mirrored_transaction& of) {
    std::vector<std::int64_t> marks;
    for (const auto& row : of.rows) {
        std::vector<std::pair<std::string_view, std::string_view>> key;
        for (std::size_t i = 0; i < row.table->columns.size(); ++i) {
            const auto& value = row.values[i];
            if (row.table->columns[i].key)
                key.emplace_back(row.table->columns[i].name, value ? *value : std::string_view{});
        }
        marks.push_back(store::row_mark(row.table->name, key));
    }
    std::ranges::sort(marks);
    const auto repeats = std::ranges::unique(marks);
    marks.erase(repeats.begin(), repeats.end());
    std::string text;
    for (const auto mark : marks) text += (text.empty() ? "{" : ",") + std::to_string(mark);
    return text + '}';
}

const table_facts::row_sql& sql_of(const mirrored_row& row) {
    switch (row.what) {
        case mirrored_row::change::insert:
            return row.table->insert;
        case mirrored_row::change::put:
            return row.table->put;
        case mirrored_row::change::update:
            return row.table->update;
        case mirrored_row::change::remove:
            break;
    }
    return row.table->remove;
}

}  // namespace

pgclient::result<std::unique_ptr<follower_link>> follower_link::open(const options& how) {
    auto db = pgclient::connection::open(how.dsn, as_mirror("crossfade-mirror " + how.stream));
    if (!db) return db.error();
    // A proxy that is stopped in the middle must not keep others from its rows: the server ends its transaction.
    const auto timeout = std::to_string(how.timeout.count());
    for (const auto& setting :
         {std::string{store::do_not_flush_sql}, "SET lock_timeout = '" + std::string{lock_timeout} + "'",
          "SET statement_timeout = " + timeout,
          "SET idle_in_transaction_session_timeout = " + std::to_string(2 * how.timeout.count()),
          std::string{"SET plan_cache_mode = force_generic_plan"}, std::string{"SET jit = off"},
          std::string{"SET tcp_keepalives_idle = 10"}, std::string{"SET tcp_user_timeout = 30000"}}) {
        if (auto done = db->exec(setting); !done) return done.error();
    }
    const auto replica = db->exec("SET session_replication_role = replica");
    if (!replica && replica.error().connection_lost()) return replica.error();
    if (how.needs_origin) {
        if (auto taken = take_origin(*db, how.stream); !taken) return taken.error();
    }
    auto* const conn = db->native();
    if (PQsetnonblocking(conn, 1) != 0 || PQenterPipelineMode(conn) != 1) return db->failure_of(nullptr);
    return std::unique_ptr<follower_link>{new follower_link{std::move(*db), how.stream, replica.has_value()}};
}

int follower_link::socket() const {
    return PQsocket(db_.native());
}

bool follower_link::lives() {
    pollfd readable{socket(), POLLIN, 0};
    for (int heard = 0; heard < most_last_words && poll(&readable, 1, 0) > 0; ++heard)
        if (PQconsumeInput(db_.native()) != 1) return false;
    return PQstatus(db_.native()) == CONNECTION_OK;
}

bool follower_link::ask(const std::string& name, const std::string& sql, const parameters& values,
                        std::shared_ptr<const table_facts> row_of, bool sets_ties) {
    auto* const conn = db_.native();
    open_ = true;
    if (!prepared_.contains(name)) {
        if (PQsendPrepare(conn, name.c_str(), sql.c_str(), 0, nullptr) != 1) return false;
        prepared_.insert(name);
        asked_.push_back({row_of, name});
    }
    std::vector<const char*> pointers;
    pointers.reserve(values.size());
    for (const auto& value : values) pointers.push_back(value ? value->c_str() : nullptr);
    asked_.push_back({std::move(row_of), {}, sets_ties});
    return PQsendQueryPrepared(conn, name.c_str(), static_cast<int>(pointers.size()), pointers.data(), nullptr, nullptr,
                               0) == 1;
}

bool follower_link::ask_row(const mirrored_row& row) {
    const auto& sql = sql_of(row);
    parameters values;
    values.reserve(sql.parameters.size());
    for (const auto column : sql.parameters) values.push_back(row.values[column]);
    return ask(sql.name, sql.text, values, row.table, row.sets_ties);
}

bool follower_link::ask_to_begin_ahead(store::source_xid of) {
    return ask("begin", "BEGIN", {}) &&
           ask("lock", std::string{store::take_mirroring_lock_sql},
               {std::to_string(store::mirroring_lock_class), std::to_string(store::mirroring_lock_id(of))});
}

bool follower_link::ask_rows_of(const mirrored_transaction& what) {
    if (rows_asked_ == 0) tables_.clear();
    while (rows_asked_ < what.rows.size()) {
        const auto& row = what.rows[rows_asked_++];
        if (std::ranges::find(tables_, row.table->oid) == tables_.end()) tables_.push_back(row.table->oid);
        if (!ask_row(row)) return false;
    }
    return true;
}

follower_link::state follower_link::send_ahead(const mirrored_transaction& so_far) {
    const bool well = rows_asked_ > 0 || ask_to_begin_ahead(so_far.id);
    return sent(well && ask_rows_of(so_far), piece::to_tell);
}

follower_link::state follower_link::write(const mirrored_transaction& what) {
    const auto marks = marks_of(what);
    const auto id = std::to_string(what.id);
    if (rows_asked_ > 0) {
        const bool all_there = rows_asked_ == what.rows.size() && asked_.empty();
        const bool well = ask_rows_of(what) &&
                          ask("receipt behind", std::string{store::leave_receipt_behind_sql}, {stream_, id, marks});
        // If they are, nothing is sent yet: libpq keeps it until there is more.
        return !all_there ? sent(well) : well ? state::done : fail(nullptr);
    }
    const bool well = ask("begin", "BEGIN", {}) && ask("receipt", std::string{store::leave_receipt_sql},
                                                       {stream_, id, marks, std::to_string(store::mirroring_lock_class),
                                                        std::to_string(store::mirroring_lock_id(what.id))});
    return sent(well && ask_rows_of(what));
}

follower_link::state follower_link::commit() {
    rows_asked_ = 0;
    return sent(ask("commit", "COMMIT", {}));
}

bool follower_link::roll_back() {
    rows_asked_ = 0;
    // What is under way may take as long as it likes.
    if (ends_ > 0 || wants_room_ || broken_ || why_.connection_lost() || PQstatus(db_.native()) != CONNECTION_OK)
        return false;
    why_ = {};
    lacks_ties_ = false;
    at_fault_.reset();
    for (auto& each : asked_) each.given_up = true;
    // After an error the server skips all that comes before the pipeline's end.
    if (open_ && sent(true) == state::failed) return false;
    return sent(ask("rollback", "ROLLBACK", {})) != state::failed;
}

follower_link::state follower_link::sent(bool well, piece as) {
    auto* const conn = db_.native();
    const bool whole = as == piece::whole;
    if (!well || (whole ? PQpipelineSync(conn) : PQsendFlushRequest(conn)) != 1) return fail(nullptr);
    if (whole) {
        ++ends_;
        open_ = false;
    }
    // An answer can't be there yet; the socket will say so.
    return flush() ? state::busy : fail(nullptr);
}

bool follower_link::flush() {
    const int left = PQflush(db_.native());
    wants_room_ = left > 0;
    return left >= 0;
}

follower_link::state follower_link::fail(const PGresult* with) {
    broken_ = true;
    why_ = db_.failure_of(with);
    return state::failed;
}

follower_link::state follower_link::look() {
    // Whoever waits for the socket hears of it once, and libpq reads a TLS record, or a bufferful, at a time.
    auto now = state::busy;
    do {
        now = look_once();
    } while (now == state::busy && has_more_to_read());
    return now;
}

bool follower_link::has_more_to_read() const {
    auto* const tls = static_cast<SSL*>(PQsslStruct(db_.native(), "OpenSSL"));
    pollfd readable{socket(), POLLIN, 0};
    return (tls != nullptr && SSL_pending(tls) > 0) || poll(&readable, 1, 0) > 0;
}

follower_link::state follower_link::look_once() {
    auto* const conn = db_.native();
    if (!flush() || PQconsumeInput(conn) != 1) return fail(nullptr);
    for (int nothings = 0; is_due() && PQisBusy(conn) == 0;) {
        const std::unique_ptr<PGresult, pgclient::clear_result> got{PQgetResult(conn)};
        if (PQstatus(conn) != CONNECTION_OK) return fail(got.get());
        // One comes between two answers.
        nothings = got ? 0 : nothings + 1;
        if (nothings == most_nothings) return fail(nullptr);
        if (!got) continue;
        const auto status = PQresultStatus(got.get());
        if (status == PGRES_PIPELINE_SYNC) {
            --ends_;
            continue;
        }
        if (asked_.empty()) return fail(got.get());
        auto [row_of, prepares, sets_ties, given_up] = std::move(asked_.front());
        asked_.pop_front();
        if (!prepares.empty() && status != PGRES_COMMAND_OK) prepared_.erase(prepares);
        if (status == PGRES_PIPELINE_ABORTED || given_up) continue;
        if (status != PGRES_COMMAND_OK && status != PGRES_TUPLES_OK) {
            refuse(db_.failure_of(got.get()), std::move(row_of));
        } else if (row_of && prepares.empty() && std::string_view{PQcmdTuples(got.get())} != "1") {
            // It should be there and isn't: the stream finds out what is the matter.
            lacks_ties_ = why_.sqlstate.empty() && sets_ties;
            refuse({"02000", "the follower's row is not there", {}, {}, {}}, std::move(row_of));
        }
    }
    if (is_due()) return state::busy;
    return why_.sqlstate.empty() ? state::done : state::failed;
}

void follower_link::refuse(pgclient::failure why, std::shared_ptr<const table_facts> row_of) {
    if (!why_.sqlstate.empty()) return;
    why_ = std::move(why);
    at_fault_ = std::move(row_of);
}

const table_facts* follower_link::at_fault() const {
    // A row that is there, or isn't, or is locked, is this one row's matter.
    const bool by_kind = why_.sqlstate.starts_with("42") || why_.sqlstate.starts_with("0A") ||
                         why_.sqlstate.starts_with("22") ||
                         (why_.sqlstate.starts_with("23") && why_.sqlstate != "23505");
    return by_kind ? at_fault_.get() : nullptr;
}

}  // namespace crossfade::proxy::mirror
