#include "cdc/apply/letter_box.hpp"

#include <charconv>

namespace crossfade::cdc::apply {
namespace {

constexpr int most_loaded = 200'000;

// bigint[] as PostgreSQL writes it.
waiting_rows::hashes hashes_in(std::string_view array) {
    waiting_rows::hashes rows;
    const char* at = array.data() + 1;
    const char* const end = array.data() + array.size() - 1;
    while (at < end) {
        std::int64_t value = 0;
        const auto [stop, error] = std::from_chars(at, end, value);
        if (error != std::errc{}) break;
        rows.push_back(static_cast<std::uint64_t>(value));
        at = stop + 1;
    }
    return rows;
}

model::table_name table_in(const pgclient::rows& got, int row, int column) {
    const auto text = got.text(row, column);
    const auto dot = text.find('.');
    return {std::string{text.substr(0, dot)}, std::string{text.substr(dot + 1)}};
}

}  // namespace

struct letter_box::letter {
    std::string id;
    bool discard = false;
    model::table_name table;
    model::change_event event{};
    std::int64_t offset = 0;
    bool behind = false;
};

pgclient::result<void> letter_box::load() {
    rows_.clear();
    auto got = to_.db.exec("SELECT table_name, keys, state FROM crossfade.dead_letters WHERE stream = $1 LIMIT " +
                               std::to_string(most_loaded + 1),
                           {settings_.stream});
    if (!got) return got.error();
    asked_ = false;
    const bool too_many = got->size() > most_loaded;
    for (int i = 0; i < got->size(); ++i) {
        const auto state = got->text(i, 2);
        asked_ = asked_ || state == "replay" || state == "discard";
        rows_.add(table_in(*got, i, 0),
                  too_many ? waiting_rows::hashes{waiting_rows::every_row} : hashes_in(got->text(i, 1)));
    }
    if (!too_many) return {};
    got = to_.db.exec(
        "SELECT DISTINCT table_name, bool_or(state IN ('replay', 'discard')) OVER ()"
        " FROM crossfade.dead_letters WHERE stream = $1",
        {settings_.stream});
    if (!got) return got.error();
    for (int i = 0; i < got->size(); ++i) {
        rows_.add(table_in(*got, i, 0), {waiting_rows::every_row});
        asked_ = got->boolean(i, 1);
    }
    return {};
}

pgclient::result<letter_box::outcome> letter_box::serve(const store::progress& at) {
    outcome done;
    auto& db = to_.db;
    if (auto begun = db.exec("BEGIN"); !begun) return begun.error();
    // As in each of the applier's transactions: whoever has moved the progress is the applier now.
    auto mine = db.exec(
        "SELECT 1 FROM crossfade.progress WHERE stream = $1 AND partition = $2 AND next_offset = $3"
        " AND commit_lsn = $4::pg_lsn FOR UPDATE",
        {settings_.stream, std::to_string(settings_.partition), std::to_string(at.next_offset),
         model::to_string(at.commit_lsn)});
    if (!mine) return mine.error();
    auto asked = db.exec(
        "SELECT l.id, l.state = 'discard', l.table_name, l.event, l.kafka_offset,"
        " EXISTS (SELECT FROM crossfade.dead_letters o WHERE o.stream = l.stream AND o.table_name = l.table_name"
        " AND (o.commit_lsn, o.ordinal) < (l.commit_lsn, l.ordinal) AND o.state IN ('refused', 'behind')"
        " AND (o.keys && l.keys OR 0 = ANY (o.keys) OR 0 = ANY (l.keys)))"
        " FROM crossfade.dead_letters l WHERE l.stream = $1 AND l.state IN ('replay', 'discard')"
        " ORDER BY l.commit_lsn, l.ordinal, l.id LIMIT " +
            std::to_string(most_at_a_time),
        {settings_.stream});
    if (!asked) return asked.error();
    waiting_rows kept;
    for (int i = 0; i < (mine->empty() ? 0 : asked->size()); ++i) {
        letter one{.id = std::string{asked->text(i, 0)},
                   .discard = asked->boolean(i, 1),
                   .table = table_in(*asked, i, 2),
                   .offset = asked->integer(i, 4).value_or(0),
                   .behind = asked->boolean(i, 5)};
        if (one.discard) {
            if (auto gone = db.exec("DELETE FROM crossfade.dead_letters WHERE id = $1", {one.id}); !gone)
                return gone.error();
            ++done.discarded;
            continue;
        }
        auto event = events::decode(asked->bytes(i, 3), relations_);
        if (!event) {
            if (auto kept_so = keep_unreadable(one, done); !kept_so) return kept_so.error();
            continue;
        }
        one.event = std::move(*event);
        // Those that were asked for, too, and stay.
        const auto* change = std::get_if<model::row_change>(&one.event.body);
        one.behind = one.behind || (change != nullptr ? kept.holds(one.table, *change) : kept.any(one.table));
        const auto replayed = done.replayed;
        if (auto tried = replay(one, done); !tried) return tried.error();
        if (done.replayed == replayed) {
            kept.add(one.table,
                     change != nullptr ? waiting_rows::of(*change) : waiting_rows::hashes{waiting_rows::every_row});
        } else if (change == nullptr) {
            kept.clear(one.table);  // by the TRUNCATE, with what waited before it
        }
    }
    if (auto committed = db.exec("COMMIT"); !committed) return committed.error();
    return done;
}

// Somebody else has written it: a failure would hold up the stream for good.
pgclient::result<void> letter_box::keep_unreadable(const letter& one, outcome& so_far) {
    ++so_far.refused;
    auto kept = to_.db.exec(
        "UPDATE crossfade.dead_letters SET state = 'refused', sqlstate = 'XX001', tries = tries + 1,"
        " reason = 'what is stored is no event of this table' WHERE id = $1",
        {one.id});
    if (!kept) return kept.error();
    return {};
}

pgclient::result<void> letter_box::replay(const letter& one, outcome& so_far) {
    auto& db = to_.db;
    if (one.behind) {
        ++so_far.behind;
        auto kept = db.exec("UPDATE crossfade.dead_letters SET state = 'behind' WHERE id = $1", {one.id});
        if (!kept) return kept.error();
        return {};
    }
    std::shared_ptr<const model::relation> rel;
    if (const auto* change = std::get_if<model::row_change>(&one.event.body)) {
        rel = change->rel;
    } else if (const auto* emptied = std::get_if<model::truncate>(&one.event.body)) {
        for (const auto& each : emptied->relations) rel = each->table == one.table ? each : rel;
    }
    if (rel == nullptr) return keep_unreadable(one, so_far);
    auto mapping = catalog_.mapping(db, rel);
    if (!mapping) return mapping.error();

    const consume::received from{one.event, one.offset, 0};
    const placed_event placed{&from, {*mapping}};
    careful_writer writer{*to_.pipe, settings_, to_.origins, rows_};
    if (auto tried = writer.apply_again(placed); !tried) return tried;
    if (writer.dead_letters() > 0) {
        ++so_far.refused;
        return {};
    }
    ++so_far.replayed;
    auto others = db.exec(
        "WITH gone AS (DELETE FROM crossfade.dead_letters WHERE id = $1 RETURNING *)"
        " SELECT 1 FROM crossfade.dead_letters o, gone g WHERE o.stream = g.stream AND o.table_name = g.table_name"
        " AND o.id <> g.id AND o.keys && g.keys LIMIT 1",
        {one.id});
    if (!others) return others.error();
    return others->empty() ? writer.note_mended(placed) : pgclient::result<void>{};
}

}  // namespace crossfade::cdc::apply
