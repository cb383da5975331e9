#pragma once

#include <memory>
#include <string>
#include <vector>

#include "lib/model/change.hpp"
#include "lib/pgclient/connection.hpp"

namespace crossfade::cdc::backfill {

// A table as the source has it now.
struct source_table {
    // As the stream describes it: without generated columns.
    std::shared_ptr<const model::relation> rel;
    std::vector<std::string> types;  // of its columns, as SQL takes them: qualified, without modifier
    struct comparison {
        std::string equals = "=";
        std::string after = ">";
    };
    std::vector<comparison> compared;  // its columns' values, by the order that ORDER BY has
    bool partitioned = false;
    // The columns of a unique index without nulls, in its order, the primary key's if there is one; empty where there
    // is none.
    std::vector<std::size_t> key;
    std::int64_t estimated_rows = 0;
};

// Takes "schema.table" as crossfade.tables spells it. Null where there is no such table.
pgclient::result<std::unique_ptr<source_table>> load_source_table(pgclient::connection& db, const std::string& name);

}  // namespace crossfade::cdc::backfill
