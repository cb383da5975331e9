#pragma once

#include <optional>
#include <string>
#include <vector>

#include "ctl/catalog/facts.hpp"
#include "ctl/stream/progress.hpp"
#include "ctl/stream/topic.hpp"
#include "lib/settings/settings.hpp"

namespace crossfade::ctl::init {

// What to do about tables that the stream needs another replica identity of.
enum class unfit_identity { refuse, set_full };

// What init found.
struct situation {
    settings::stream stream;
    std::string legacy_system_identifier;
    std::string legacy_database;
    std::vector<catalog::table> tables;  // of legacy
    std::vector<catalog::table> modern_tables;
    std::optional<catalog::publication> publication;
    std::optional<catalog::slot> slot;
    std::optional<catalog::progress> progress;
    int topic_partitions = 0;               // 0: no such topic
    std::vector<stream::topic_tail> topic;  // by partition; empty unless it has as many as by the file
    int source_version = catalog::oldest_server;
    int follower_version = catalog::oldest_server;
    std::string source = "legacy";  // what stands in legacy's place, and in modern's: for messages
    std::string follower = "modern";
    std::string begin_anew{stream::begin_anew};
};

using stream::objection;

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
plan make_plan(const situation& found, unfit_identity unfit, purpose of = purpose::begin);

}  // namespace crossfade::ctl::init
