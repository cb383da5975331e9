#pragma once

#include <optional>
#include <string>

#include "lib/kafka/client.hpp"
#include "lib/pgclient/connection.hpp"
#include "lib/settings/settings.hpp"
#include "proxy/capture/setback.hpp"
#include "proxy/publish/topic_tail.hpp"

namespace crossfade::proxy::capture {

// What the source says of the stream's slot and publication.
struct slot_facts {
    bool slot = false;
    bool publication = false;
    bool active = false;  // somebody reads from the slot
    bool same_database = true;
    std::string plugin;
    std::string wal_status;
    std::string invalidation;  // why it is lost; PostgreSQL 17 and later say it
    bool in_recovery = false;  // the server is a standby
};

// The question, for a connection to the source, and its answer.
std::string slot_query(const settings::stream& stream);
// Of a way back: a row where the cutover was completed (docs/adr/0032), so that nobody is to read the slot any more. It
// fails where there is no crossfade.authority yet.
std::string completed_query(const settings::configuration& config);
// `at`: what that row says.
setback completed(std::string_view at, const settings::configuration& config);
slot_facts read_slot(const pgclient::rows& answer);

// What stands in the way, and in which state it leaves the publisher; nullopt: nothing. All pure.
std::optional<setback> judge(const slot_facts& facts, const settings::configuration& config);
setback judge(const pgclient::failure& from, const settings::configuration& config);
setback judge(const kafka::failure& from, const settings::stream& stream);
setback judge(const publish::tail_problem& from);
// `wanted`: how many the topic has to have.
std::optional<setback> judge_partitions(int partitions, int wanted, const std::string& topic);

}  // namespace crossfade::proxy::capture
