#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "ctl/catalog/facts.hpp"
#include "ctl/catalog/snapshot.hpp"

namespace crossfade::ctl::backfill {

enum class copy_format { binary, text };
enum class clearing { truncate, remove };

// One table to copy.
struct task {
    model::table_name table;
    catalog::table_kind kind = catalog::table_kind::plain;  // of legacy
    catalog::table_kind modern_kind = catalog::table_kind::plain;
    std::vector<catalog::stored_column> columns;  // with legacy's types, which `format` goes by
    copy_format format = copy_format::text;
    clearing clear = clearing::truncate;  // how rows that are there already go
    std::int64_t estimated_rows = 0;
    std::int64_t bytes = 0;
    std::string refused{};  // why it can't be copied as it has become since
};

// As an operator reads them: "public.a, public.b".
std::string names(const std::vector<task>& of);

struct plan {
    std::vector<task> tasks;
    std::vector<std::string> problems;  // why not; nothing is to be copied then
};

// side_by_side: foreign keys are not checked while copying, the largest table first. by_foreign_keys: they are, so
// referenced tables come first; tables that refer to each other in a circle are a problem.
enum class order { side_by_side, by_foreign_keys };

// Pure. `follower`: modern's name. `modern_keys` are the foreign keys on modern with either end among the tables.
plan make_plan(const std::vector<catalog::table>& legacy, const std::vector<catalog::table>& modern,
               const std::vector<catalog::foreign_key>& modern_keys, order by, std::string_view follower = "modern");

}  // namespace crossfade::ctl::backfill
