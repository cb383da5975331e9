#pragma once

#include <string>
#include <string_view>

#include "lib/pgclient/connection.hpp"

// Who has changed what, when and why: crossfade.audit, a table to which rows are only ever added, each of which holds
// the hash of the one before (docs/adr/0027). Each of the two databases has one; all streams of a database share it.
namespace crossfade::store {

// No row values, statements' parameters or credentials, in none of them.
struct audit_entry {
    std::string stream;
    std::string by_whom;  // as far as the one who ordered it has said; the role is added by the database
    std::string program;  // "crossfade", "crossfade-proxy shop-1 127.0.0.1:6432 (4711)"
    std::string action;   // "flip", "flags reload", "deadletters replay"
    std::string scope;    // what it is about: tables, a side, sessions
    std::string reason;
    std::string before_json;  // any JSON; empty: NULL
    std::string after_json;
    std::string outcome;  // "done", "refused: ..."
};

// Makes crossfade.audit, the trigger that refuses to change it (XF007), and crossfade.audit_append(). Idempotent; for
// one transaction.
std::string_view audit_sql();

// One SELECT without a semicolon, quoted whatever is in the entry, that appends it and gives its hash in hex: with the
// transaction that it is sent in, or not at all. That one has to be READ COMMITTED, and holds up everybody else's
// entries from here to its end: this belongs at its end. What looks like a password is left out, what isn't UTF-8 is
// replaced.
std::string append_audit_sql(const audit_entry& entry);

// The same, sent.
pgclient::result<pgclient::rows> append_audit(pgclient::connection& db, const audit_entry& entry);

// Whether a failure of that means that audit_sql() has not run there.
bool audit_is_missing(const pgclient::failure& why);

// Walks the chain; a session whose search_path is pg_catalog. One row: how many entries there are, the last one's hash
// in hex (or
// ''), whether the trigger is there and always enabled; then of the first entry that doesn't fit, or NULL: its id,
// whether its content is not what was hashed, whether entries before it are missing, whether it doesn't hold the hash
// of the one before; and that one's id.
std::string_view audit_walk_sql();

// $1 hashes in hex as text[]: those of them that are in the chain.
inline constexpr std::string_view audit_heads_sql =
    "SELECT encode(hash, 'hex') FROM crossfade.audit WHERE encode(hash, 'hex') = ANY ($1::text[])";

// Whoever appends holds the advisory lock of these two keys (int4) until his transaction is over.
inline constexpr int audit_lock_class = 0x63666175;  // "cfau" in ASCII; the other one is 0

}  // namespace crossfade::store
