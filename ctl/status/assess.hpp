#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "ctl/catalog/facts.hpp"
#include "ctl/exit_code.hpp"
#include "ctl/status/program.hpp"
#include "lib/settings/settings.hpp"
#include "lib/store/backfill.hpp"

namespace crossfade::ctl::status {

// What was found out; each part may be missing, with the reason.
struct picture {
    settings::configuration config;
    program_answer proxy;
    program_answer cdc;
    std::string legacy_problem;  // empty: it answered
    std::optional<catalog::slot> slot;
    model::lsn legacy_position;
    std::string modern_problem;
    catalog::store_facts store;
    std::map<std::string, std::int64_t> drift;  // rows by state
    std::int64_t dead_letters = 0;
    std::vector<std::string>
        paused;  // tables that wait for DDL: "public.orders waits for ALTER TABLE (crossfade ddl show 3)"
    std::vector<store::backfill> backfills;  // beside the stream
};

struct assessment {
    std::vector<std::pair<std::string, std::string>> lines;  // part, state
    std::vector<std::string> troubles;
    std::vector<std::string> unreachable;

    exit_code code() const {
        return !unreachable.empty() ? exit_code::unreachable : !troubles.empty() ? exit_code::no : exit_code::fine;
    }
};

// Pure.
assessment assess(const picture& of);

}  // namespace crossfade::ctl::status
