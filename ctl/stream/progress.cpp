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

}  // namespace crossfade::ctl::stream
