#pragma once

#include <cstdint>
#include <span>
#include <string>

#include "lib/model/table_name.hpp"
#include "lib/settings/flags.hpp"
#include "lib/settings/reload.hpp"

namespace crossfade::proxy::strategy {

// What is known of a session once it has started.
struct session_facts {
    std::string tenant;  // tenant_of() of its start-up parameters; empty: none
    // Whether its database is the one that moves. Another one of legacy's server has no stream, no fence and no way
    // back: its sessions are legacy's, whatever the flags say.
    bool moves = true;
};

// What is known of a statement. The relay of this version looks at no SQL: it asks with no tables.
struct statement_facts {
    std::span<const model::table_name> tables;  // that it touches; empty: unknown
};

// How the rows of a transaction get to the other side.
enum class follower_path {
    none,            // not at all
    stream,          // from the authority's WAL, after the client has its answer
    mirror,          // by the proxy, before the client has its answer; the stream heals
    reverse_stream,  // from modern's WAL back to legacy
};
std::string_view to_string(follower_path path);

// What holds for one transaction; it keeps its plan whatever a reload brings meanwhile.
struct plan {
    settings::side authority = settings::side::legacy;  // reads go there too, as a transaction reads where it writes
    settings::write_strategy strategy = settings::write_strategy::legacy_only;  // after the master switch
    std::uint64_t epoch = 0;                                                    // of the flags that decided
    follower_path follower = follower_path::none;
    bool or_fail = false;  // under `mirror`: on_mirror_failure is `fail`

    friend bool operator==(const plan&, const plan&) = default;
};

// The decision. Pure, total, and cheap enough to be asked once a transaction. Tables of several groups in one
// statement: the strategy that owes the follower most wins, so that no group gets less than its flags promise. All
// scopes share one authority, which settings::load() and reload_objections() see to.
plan decide(const settings::in_force& flags, const session_facts& session, const statement_facts& statement);

// Of the session's statements whose tables aren't known.
settings::side authority_of(const settings::in_force& flags, const session_facts& session);

// Whether a flip may give the session another authority some day: any of its scopes keeps the other side up to date.
// As cheap as its groups are few; to be asked once for each configuration.
bool may_change_hands(const settings::in_force& flags, const session_facts& session);

// Whether any of the session's scopes is mirrored.
bool may_be_mirrored(const settings::in_force& flags, const session_facts& session);

// Whether all of them are.
bool is_mirrored_whole(const settings::in_force& flags, const session_facts& session);

// Whether, in any of them, a transaction that can't be mirrored is to fail.
bool may_have_to_fail(const settings::in_force& flags, const session_facts& session);

}  // namespace crossfade::proxy::strategy
