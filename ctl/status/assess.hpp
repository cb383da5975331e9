#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "ctl/catalog/facts.hpp"
#include "ctl/exit_code.hpp"
#include "ctl/status/program.hpp"
#include "lib/settings/settings.hpp"
#include "lib/store/authority.hpp"
#include "lib/store/backfill.hpp"

namespace crossfade::ctl::status {

// What was found out of one stream; each part may be missing, with the reason. `legacy` is where its changes come from
// and `modern` where they go: of the way back, by the configuration that it has (settings::turned).
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
    // Of stream.both_ways: what each side has of who the authority is.
    std::optional<store::authority_row> authority_by_legacy;
    std::optional<store::authority_row> authority_by_modern;
    std::set<settings::flag_scope> were_on_modern{};  // by the history: scopes that a flip has taken there
};

// What a program says of the way back, as if it had no other stream. Pure.
program_answer of_back(const program_answer& program);

struct assessment {
    std::vector<std::pair<std::string, std::string>> lines;  // part, state
    std::vector<std::string> troubles;
    std::vector<std::string> unreachable;

    exit_code code() const {
        return !unreachable.empty() ? exit_code::unreachable : !troubles.empty() ? exit_code::no : exit_code::fine;
    }
};

// What a scope has come to (docs/operations.md, Flips): "pending", "ready", "cutover", "completed" or "rolled_back".
// `healthy`: nothing of the stream, or of the way back, needs a hand. Pure.
std::string_view stage_of(const picture& of, const settings::flag_scope& scope, bool healthy);
// The row of the side on which a flip is noted that is under way; the newest where there is none, and null where there
// is no row. Pure.
const store::authority_row* flip_of(const picture& of);
// Everything, the file's groups, and what is apart. Pure.
std::vector<settings::flag_scope> scopes_of(const picture& of);

// `back`: of the way back; null where there is none. Pure.
assessment assess(const picture& of, const picture* back = nullptr);

}  // namespace crossfade::ctl::status
