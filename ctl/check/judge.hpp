#pragma once

#include <optional>
#include <string>
#include <vector>

#include "ctl/catalog/facts.hpp"
#include "ctl/check/finding.hpp"
#include "ctl/kafka/facts.hpp"
#include "lib/handover/unknown_settings.hpp"
#include "lib/settings/settings.hpp"

namespace crossfade::ctl::check {

// What was gathered. A side that could not be asked has only a problem.
struct evidence {
    settings::stream stream;
    settings::flag_set flags;
    std::optional<catalog::database> legacy;
    std::string legacy_problem;
    std::optional<catalog::database> modern;
    std::string modern_problem;
    // A lock that is taken in one of the two databases is held in the other: asked where nothing else tells them apart.
    bool one_server = false;
    // What legacy says to every session, and modern doesn't take.
    std::vector<handover::unknown_setting> unknown_settings;
    kafka::facts kafka;
    // The names of the two sides in the places of `legacy` and `modern`: the way back's have changed places.
    std::string source = "legacy";
    std::string follower = "modern";
    // How a stream begins anew that can't go on.
    std::string begin_anew = "crossfade backfill --resync";
};

// Whether the two are one database, or the files of one are a copy of the other's.
bool look_alike(const catalog::database& legacy, const catalog::database& modern);

// The whole preflight. Pure: the same evidence gives the same findings, in a fixed order.
findings judge(const evidence& of);
// What is to be added for the way back, with the evidence of its configuration (settings::turned): the identifiers
// begin with "back.", and name the sides as they are. Pure.
void judge_back(evidence of, findings& into);

// Its parts.
void judge_source(const evidence& of, const catalog::database& legacy, findings& into);
void judge_failover(const evidence& of, const catalog::database& legacy, findings& into);
void judge_parts(const catalog::database& legacy, findings& into);
void judge_ddl(const evidence& of, const catalog::database& legacy, findings& into);
void judge_target(const evidence& of, const catalog::database& modern, findings& into);
void judge_pair(const evidence& of, const catalog::database& legacy, const catalog::database& modern, findings& into);
void judge_ties(const evidence& of, const catalog::database& legacy, const catalog::database& modern, findings& into);
void judge_settings(const evidence& of, findings& into);
void judge_schema(const catalog::database& legacy, const catalog::database& modern, findings& into);
void judge_kafka(const evidence& of, findings& into);

}  // namespace crossfade::ctl::check
