#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "lib/pgclient/connection.hpp"

namespace crossfade::store {

// What legacy does about DDL of the tables whose rows it gives to a stream (docs/adr/0016). Schema `crossfade` there:
//
//   ddl_streams     one row a stream: publication, patterns of its tables, policy, and the secret that seals what is
//                   said of it
//   ddl_partitions  partitions of published tables: of one that was dropped the catalog no longer says whose it was
//   on_ddl, note_ddl, on_rewrite   functions of the event triggers crossfade_ddl_command_end, crossfade_sql_drop and
//                   crossfade_table_rewrite. They emit one logical message (lib/events/ddl.hpp) in the place of the
//                   transaction where the command is, or, by policy, refuse the command (SQLSTATE XF001). Their own
//                   failures are warnings; a command fails by nothing but that policy.
//   on_truncate     of the triggers crossfade_truncate on partitions and crossfade_truncate_whole on what has some:
//                   TRUNCATE of a partition by its own name, which the stream doesn't have, in a message of that kind
//   identify_by_all gives partitions REPLICA IDENTITY FULL as they come, of tables that aren't known by a primary key
//
// Idempotent, and to be run in one transaction. Needs a superuser, or what a provider has for one: 42501 otherwise.
std::string_view ddl_watch_sql();

// Writes a stream's row: $1 stream, $2 publication, $3 patterns as LIKE takes them (text[]), $4 policy. The secret of
// one that is there is kept. Gives the secret as hexadecimal digits.
std::string_view watch_stream_sql();

// The partitions that are there already: $1 publication.
std::string_view note_partitions_sql();

// Partitions, and what has some, whose TRUNCATE is not noticed: $1 publication. Gives each one's oid and its name as
// SQL has it, to be given to crossfade.watch_truncate(oid), which locks it against writers.
std::string unwatched_truncates_sql();

// On the follower: $1 stream, $2 the secret.
std::string_view keep_seal_sql();

// What `ddl_watch_sql` has made that is there and enabled, of its three event triggers; one row of one number.
std::string_view count_watches_sql();
inline constexpr int ddl_watches = 3;

}  // namespace crossfade::store
