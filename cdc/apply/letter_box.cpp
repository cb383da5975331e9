#include "cdc/apply/letter_box.hpp"

#include <algorithm>

#include "cdc/apply/ddl_keeper.hpp"
#include "cdc/apply/receipts.hpp"
#include "cdc/apply/turn.hpp"

namespace crossfade::cdc::apply {
namespace {

constexpr int most_loaded = 200'000;
constexpr int most_altered = 5;  // times that letters are replayed anew because of it

// Another letter, `o`, of what `l` is about, and before it.
const std::string an_earlier_one =
    "SELECT FROM crossfade.dead_letters o WHERE o.stream = l.stream AND o.table_name = l.table_name"
    " AND (o.commit_lsn, o.ordinal) < (l.commit_lsn, l.ordinal)"
    " AND " +
    drift::may_share_a_row("o.keys", "l.keys");

row_marks marks_of(const model::change_event& event, const table_mapping& mapping) {
    row_marks made;
    const auto* change = std::get_if<model::row_change>(&event.body);
    if (change == nullptr) return made;
    for (const auto side : {row_side::before, row_side::after})
        if (const auto mark = mark_of(mapping, *change, side)) made.insert(*mark);
    return made;
}

}  // namespace

struct letter_box::letter {
    std::string id;
    bool discard = false;
    std::string table;
    model::change_event event{};
    std::int64_t offset = 0;
    bool behind = false;
    bool of_ddl = false;
};

// Rows of which proxies have written what comes later in the stream.
struct letter_box::mirrored {
    row_marks ahead;    // as it was before the first letter
    row_marks written;  // by letters
};

pgclient::result<void> letter_box::load() {
    if (settings_.by_key) {
        if (auto freed = free_what_waited(); !freed) return freed;
    }
    rows_.clear();
    auto asked = to_.db.exec(
        "SELECT EXISTS (SELECT FROM crossfade.dead_letters WHERE stream = $1 AND state IN ('replay', 'discard')" +
            std::string{mine()} + ")",
        {settings_.stream});
    if (!asked) return asked.error();
    asked_ = asked->boolean(0, 0);
    // A letter without a key still keeps its table from being written past it.
    const std::string by_row =
        "SELECT DISTINCT table_name, key FROM crossfade.dead_letters LEFT JOIN LATERAL unnest(keys) AS key ON true"
        " WHERE stream = $1 LIMIT " +
        std::to_string(most_loaded + 1);
    auto got = to_.db.exec(by_row, {settings_.stream});
    if (got && got->size() > most_loaded)
        got = to_.db.exec("SELECT DISTINCT table_name, 0 FROM crossfade.dead_letters WHERE stream = $1",
                          {settings_.stream});
    if (!got) return got.error();
    static_assert(waiting_rows::every_row == 0);
    for (int i = 0; i < got->size(); ++i) {
        waiting_rows::hashes rows;
        if (const auto key = got->integer(i, 1)) rows.push_back(static_cast<std::uint64_t>(*key));
        rows_.add(std::string{got->text(i, 0)}, rows);
    }
    auto held =
        to_.db.exec("SELECT DISTINCT table_name FROM crossfade.dead_letters WHERE stream = $1 AND operation = $2",
                    {settings_.stream, std::string{ddl_operation}});
    if (!held) return held.error();
    if (held->empty()) return {};
    for (int i = 0; i < held->size(); ++i) rows_.hold(std::string{held->text(i, 0)});
    auto changes = to_.db.exec(
        "SELECT count(*) FROM crossfade.dead_letters WHERE stream = $1 AND operation <> $2 AND table_name IN"
        " (SELECT table_name FROM crossfade.dead_letters WHERE stream = $1 AND operation = $2)",
        {settings_.stream, std::string{ddl_operation}});
    if (!changes) return changes.error();
    rows_.count_held(static_cast<std::size_t>(changes->integer(0, 0).value_or(0)));
    return {};
}

// Each partition's letters are its applier's.
std::string letter_box::mine() const {
    return settings_.by_key ? " AND partition = " + std::to_string(settings_.partition) : std::string{};
}

// What other partitions' appliers have yet to replay, or to take away, comes first where it is of the same rows.
std::string letter_box::in_their_turn() const {
    return settings_.by_key ? " AND NOT EXISTS (" + an_earlier_one +
                                  " AND o.partition <> l.partition AND o.state IN ('replay', 'discard'))"
                            : std::string{};
}

// The applier that is told of a table's DDL frees what waits for it, but for what another was just about to put there.
pgclient::result<void> letter_box::free_what_waited() {
    for (const auto& table : rows_.held_tables()) {
        auto freed = to_.db.exec(
            "UPDATE crossfade.dead_letters l SET state = 'replay' WHERE stream = $1 AND table_name = $2"
            " AND state = 'behind'" +
                mine() +
                " AND NOT EXISTS (SELECT FROM crossfade.dead_letters o WHERE o.stream = l.stream"
                " AND o.table_name = l.table_name AND o.operation = $3)",
            {settings_.stream, table, std::string{ddl_operation}});
        if (!freed) return freed.error();
    }
    return {};
}

pgclient::result<letter_box::outcome> letter_box::serve(const store::progress& at) {
    for (int times = 0; times < most_altered; ++times) {
        catalog_.forget();
        used_.clear();
        auto done = serve_once(at);
        if (!done) return done.error();
        if (*done) return **done;
    }
    return pgclient::failure{
        "40001", "tables are altered while dead letters are replayed, again and again", {}, {}, {}};
}

pgclient::result<std::shared_ptr<const table_mapping>> letter_box::mapping_of(
    const std::shared_ptr<const model::relation>& rel) {
    auto mapping = catalog_.mapping(to_.db, rel);
    if (mapping && !(*mapping)->refused) used_.insert(*mapping);
    return mapping;
}

pgclient::result<bool> letter_box::are_as_mapped() {
    if (used_.empty()) return true;
    for (const auto& each : used_) to_.pipe->add(unless_as_mapped(*each));
    const auto got = to_.pipe->run();
    if (!got) return got.error();
    return std::ranges::all_of(*got, &pipeline::answer::as_expected);
}

pgclient::result<std::optional<letter_box::outcome>> letter_box::serve_once(const store::progress& at) {
    outcome done;
    auto& db = to_.db;
    auto turn = begin_turn(to_, settings_, at);
    if (!turn) return turn.error();
    if (!*turn) return std::optional{done};
    auto asked = db.exec(
        "SELECT l.id, l.state = 'discard', l.table_name, l.event, l.kafka_offset,"
        " EXISTS (" +
            an_earlier_one +
            " AND o.state IN ('refused', 'behind')), l.operation"
            " FROM crossfade.dead_letters l WHERE l.stream = $1 AND l.state IN ('replay', 'discard')" +
            mine() + in_their_turn() + " ORDER BY l.commit_lsn, l.ordinal, l.id LIMIT " +
            std::to_string(most_at_a_time),
        {settings_.stream});
    if (!asked) return asked.error();
    mirrored rows_of_proxies;
    if (auto read = read_rows_ahead(rows_of_proxies); !read) return read.error();
    waiting_rows kept;
    for (int i = 0; i < asked->size(); ++i) {
        letter one{.id = std::string{asked->text(i, 0)},
                   .discard = asked->boolean(i, 1),
                   .table = std::string{asked->text(i, 2)},
                   .offset = asked->integer(i, 4).value_or(0),
                   .behind = asked->boolean(i, 5),
                   .of_ddl = asked->text(i, 6) == ddl_operation};
        if (one.discard || one.of_ddl) {
            // That modern has been changed by hand is the operator's word.
            if (auto gone = db.exec("DELETE FROM crossfade.dead_letters WHERE id = $1", {one.id}); !gone)
                return gone.error();
            ++(one.discard ? done.discarded : done.replayed);
            // Those that waited for it: here, as the applier alone knows all of them.
            auto freed = one.of_ddl ? db.exec(
                                          "UPDATE crossfade.dead_letters SET state = 'replay' WHERE stream = $1"
                                          " AND table_name = $2 AND state = 'behind'",
                                          {settings_.stream, one.table})
                                    : pgclient::result<pgclient::rows>{pgclient::rows{nullptr}};
            if (!freed) return freed.error();
            continue;
        }
        auto event = events::decode(asked->bytes(i, 3), relations_);
        if (!event) {
            if (auto kept_so = keep_unreadable(one, done); !kept_so) return kept_so.error();
            continue;
        }
        one.event = std::move(*event);
        // Those that were asked for, too, and stay.
        waiting_rows::hashes rows{waiting_rows::every_row};
        const auto* change = std::get_if<model::row_change>(&one.event.body);
        if (change != nullptr) {
            const auto mapping = mapping_of(change->rel);
            if (!mapping) return mapping.error();
            rows = waiting_rows::of(*change, **mapping);
        }
        one.behind = one.behind || (change != nullptr ? kept.holds(one.table, rows) : kept.any(one.table));
        const auto replayed = done.replayed;
        if (auto tried = replay(one, rows_of_proxies, done); !tried) return tried.error();
        if (done.replayed == replayed) {
            kept.add(one.table, rows);
        } else if (change == nullptr) {
            kept.clear(one.table);  // by the TRUNCATE, with what waited before it
        }
    }
    if (auto told = take_back(rows_of_proxies); !told) return told.error();
    const auto as_mapped = are_as_mapped();
    if (!as_mapped) return as_mapped.error();
    if (auto ended = db.exec(*as_mapped ? "COMMIT" : "ROLLBACK"); !ended) return ended.error();
    return *as_mapped ? std::optional{done} : std::nullopt;
}

// Where the stream is ordered by key no proxy leaves receipts.
pgclient::result<void> letter_box::read_rows_ahead(mirrored& of) {
    if (settings_.by_key) return {};
    to_.pipe->add(rows_ahead(settings_.stream));
    auto got = to_.pipe->run();
    if (!got) return got.error();
    of.ahead = marks_in(got->front().got);
    return {};
}

// What a proxy has written of these rows is written over: the stream is to bring it again. They are locked by now, so
// that there is nothing newer.
pgclient::result<void> letter_box::take_back(const mirrored& of) {
    if (of.written.empty()) return {};
    to_.pipe->add(take_rows_back(settings_.stream, of.written));
    if (auto taken = to_.pipe->run(); !taken) return taken.error();
    return {};
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

pgclient::result<void> letter_box::replay(const letter& one, mirrored& rows, outcome& so_far) {
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
        for (const auto& each : emptied->relations) rel = to_string(each->table) == one.table ? each : rel;
    }
    if (rel == nullptr) return keep_unreadable(one, so_far);
    auto mapping = mapping_of(rel);
    if (!mapping) return mapping.error();

    const consume::received from{one.event, one.offset, 0};
    placed_event placed{&from, {*mapping}};
    const auto marks = settings_.by_key ? row_marks{} : marks_of(one.event, **mapping);
    // What is there is no difference then.
    if (std::ranges::any_of(marks, [&](auto mark) { return rows.ahead.contains(mark); }))
        placed.judged = judgement::loosely;
    careful_writer writer{*to_.pipe, settings_, to_.origins, rows_};
    if (auto tried = writer.apply_again(placed); !tried) return tried;
    if (writer.dead_letters() > 0) {
        ++so_far.refused;
        return {};
    }
    rows.written.insert(marks.begin(), marks.end());
    ++so_far.replayed;
    auto others = db.exec(
        "WITH gone AS (DELETE FROM crossfade.dead_letters WHERE id = $1 RETURNING *)"
        " SELECT 1 FROM crossfade.dead_letters o, gone g WHERE o.stream = g.stream AND o.table_name = g.table_name"
        // What keeps a table in order as a whole says nothing of which row it was.
        " AND o.id <> g.id AND o.keys && CASE g.keys WHEN '{0}' THEN g.keys ELSE array_remove(g.keys, 0::bigint) END "
        "LIMIT 1",
        {one.id});
    if (!others) return others.error();
    return others->empty() ? writer.note_mended(placed) : pgclient::result<void>{};
}

}  // namespace crossfade::cdc::apply
