#include "ctl/stream/progress.hpp"

#include "ctl/catalog/database.hpp"
#include "lib/pgwire/array_literal.hpp"

namespace crossfade::ctl::stream {

std::optional<objection> object_to_partitions(const settings::stream& stream, const catalog::progress& there) {
    if (there.covers(stream.topic_partitions())) return std::nullopt;
    const auto count = there.partitions.size();
    return objection{
        "modern has progress of " + std::to_string(count) + (count == 1 ? " partition, and " : " partitions, and ") +
            (stream.by_key() ? "stream.partitions says " + std::to_string(stream.partitions)
                             : std::string{"stream.ordering: transaction has one"}) +
            ": the stream was begun otherwise",
        "set stream.ordering and stream.partitions back, or delete topic " + stream.topic() + ", then " + begin_anew};
}

void set_progress(pgclient::connection& modern, const settings::stream& stream, const source_identity& source,
                  model::lsn at, const std::vector<std::int64_t>& next_offsets) {
    pgwire::array_literal offsets;
    for (const auto each : next_offsets) offsets.add(std::to_string(each));
    catalog::ask(modern, "writing crossfade.progress",
                 "WITH others AS (DELETE FROM crossfade.progress"
                 "  WHERE stream = $1::text AND partition >= cardinality($3::bigint[])),"
                 // The stream doesn't come by these any more, or as by rows that nobody has written beforehand.
                 " receipts AS (DELETE FROM crossfade.receipts WHERE stream = $1::text)"
                 " INSERT INTO crossfade.progress (stream, topic, partition, next_offset, system_identifier, timeline,"
                 " commit_lsn, end_lsn)"
                 " SELECT $1::text, $2::text, o.place - 1, o.next_offset, $4::numeric, $5::bigint, $6::pg_lsn,"
                 " $6::pg_lsn FROM unnest($3::bigint[]) WITH ORDINALITY AS o (next_offset, place)"
                 " ON CONFLICT (stream, partition) DO UPDATE SET topic = excluded.topic,"
                 " next_offset = excluded.next_offset, system_identifier = excluded.system_identifier,"
                 " timeline = excluded.timeline, commit_lsn = excluded.commit_lsn, end_lsn = excluded.end_lsn,"
                 " ordinal = 0, waiting_lsn = NULL, waiting_ordinal = NULL, waiting_offset = NULL,"
                 " commit_time = NULL, left_timelines = '', updated_at = now()",
                 {stream.name, stream.topic(), offsets.take(), source.system_identifier,
                  std::to_string(source.timeline), to_string(at)});
}

void mark_new(pgclient::connection& modern, const settings::stream& stream, const model::table_name& table,
              const std::string& since) {
    catalog::ask(modern, "writing crossfade.tables",
                 "INSERT INTO crossfade.tables (stream, table_name, state, stale_since) VALUES ($1, $2, 'new', $3)"
                 " ON CONFLICT (stream, table_name) DO UPDATE SET state = 'new', stale_since = excluded.stale_since,"
                 " copied_lsn = NULL, updated_at = now()",
                 {stream.name, to_string(table), since});
}

}  // namespace crossfade::ctl::stream
