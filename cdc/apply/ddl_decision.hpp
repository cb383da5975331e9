#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "lib/events/ddl.hpp"
#include "lib/sql/table_change.hpp"

namespace crossfade::cdc::apply {

// A column of the follower's table, as format_type names its type.
struct shape_column {
    std::string name;
    std::string type;
    bool demanding = false;  // NOT NULL without a default: a row that doesn't bring it is refused
    bool generated = false;  // a row that brings it is refused
};
// The two sides' names, for advice.
struct stream_ends {
    std::string source = "legacy";
    std::string follower = "modern";
};

using table_shape = std::optional<std::vector<shape_column>>;  // empty: the follower has no such table

// Whether the source's rows go into the follower's table as it is; else why not. Types are compared of the columns in
// `retyped`, of every column where that is null: the sides' types may differ on purpose.
std::optional<std::string> shape_objection(const events::ddl_table& source, const table_shape& follower,
                                           const std::vector<std::string>* retyped, const stream_ends& ends = {});

enum class ddl_action {
    note,   // rows can be applied as before; what is left to do is in the advice
    pass,   // the statement is to be run on the follower
    pause,  // the changes of some tables are to wait until an operator has done it
};
std::string_view to_string(ddl_action what);

// Whether what the source does to a table is applied, at this position.
enum class ddl_standing {
    left_out,  // it is copied, or new, or legacy-only
    applied,
    being_copied,     // by chunks, of which those that are there may be of before
    round_the_fence,  // what is done to its rows is refused, as the follower is their authority
};
// Advice about the third.
inline constexpr std::string_view begins_anew = "the table's copy begins anew";
// Advice about the first.
inline constexpr std::string_view not_applied = "changes of the table are not applied now, or a copy made since has it";

struct ddl_decision {
    ddl_action what = ddl_action::note;
    std::string advice;                     // what to do, for people; no literals of the statement
    std::vector<model::table_name> paused;  // under `pass`: those to pause if it fails; none: note it
};

// Whether rows of the table that were read before it may be others now.
bool changes_rows(const events::ddl_notice& seen, const sql::table_change& change, const events::ddl_table& table);

// What to do about a command. `tables` has the follower's shape for each of the notice's tables in their order, nullopt
// for one whose changes aren't applied anyway. Pure.
ddl_decision decide(const events::ddl_notice& seen, const sql::table_change& change,
                    const std::vector<std::optional<table_shape>>& tables, const stream_ends& ends = {});

}  // namespace crossfade::cdc::apply
