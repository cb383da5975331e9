#pragma once

#include <optional>
#include <string>
#include <vector>

#include "ctl/catalog/facts.hpp"
#include "ctl/stream/topic.hpp"
#include "lib/settings/settings.hpp"

namespace crossfade::ctl::init {

enum class keyless_tables { refuse, set_replica_identity_full };

// What init found.
struct situation {
    settings::stream stream;
    std::string legacy_system_identifier;
    std::string legacy_database;
    std::vector<catalog::table> tables;
    std::optional<catalog::publication> publication;
    std::optional<catalog::slot> slot;
    std::optional<catalog::progress> progress;
    std::optional<stream::topic_tail> topic;  // nullopt: no such topic
};

struct objection {
    std::string what;
    std::string way_out;
};

// What init is to do. Nothing of it is done when there is an objection.
struct plan {
    std::vector<model::table_name> replica_identity_full;
    bool create_publication = false;
    std::vector<model::table_name> add_to_publication;
    bool create_slot = false;
    bool enable_failover = false;  // of the slot that is there
    bool begin_progress = false;   // at the slot's position
    std::vector<objection> objections;
};

// anew: a backfill of every table follows, which sets progress itself; the slot and the publication alone matter.
enum class purpose { begin, anew };

// Pure. The pair of slot (what legacy keeps) and progress (what modern has) must have begun together: one without the
// other is mended only while the topic shows that nothing was published in between.
plan make_plan(const situation& found, keyless_tables keyless, purpose of = purpose::begin);

}  // namespace crossfade::ctl::init
