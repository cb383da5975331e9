#include "ctl/stream/progress.hpp"

#include "ctl/catalog/database.hpp"

namespace crossfade::ctl::stream {

void set_progress(pgclient::connection& modern, const settings::stream& stream, const source_identity& source,
                  model::lsn at, std::int64_t next_offset) {
    catalog::ask(modern, "writing crossfade.progress",
                 "INSERT INTO crossfade.progress (stream, topic, partition, next_offset, system_identifier, timeline,"
                 " commit_lsn, end_lsn) VALUES ($1, $2, 0, $3, $4, $5, $6, $6)"
                 " ON CONFLICT (stream, partition) DO UPDATE SET topic = excluded.topic,"
                 " next_offset = excluded.next_offset, system_identifier = excluded.system_identifier,"
                 " timeline = excluded.timeline, commit_lsn = excluded.commit_lsn, end_lsn = excluded.end_lsn,"
                 " commit_time = NULL, left_timelines = '', updated_at = now()",
                 {stream.name, stream.topic(), std::to_string(next_offset), source.system_identifier,
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
