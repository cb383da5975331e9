#pragma once

#include <cstdint>
#include <string>
#include <unordered_map>
#include <unordered_set>
#include <vector>

#include "cdc/apply/target.hpp"
#include "lib/model/change.hpp"

namespace crossfade::cdc::apply {

// Which rows have a change among the dead letters: what happens to such a row later has to wait behind it, or a replay
// would bring old values back. Rows are known by a hash of their key; two of one hash wait without need, and lose
// nothing. What rows are known by may have changed since the letter was written: then all of the table wait.
class waiting_rows {
  public:
    // Rows of one table that are kept apart at most; beyond it all of the table's wait.
    static constexpr std::size_t most_rows = 100'000;
    // A hash that stands for every row of its table.
    static constexpr std::uint64_t every_row = 0;
    using hashes = std::vector<std::uint64_t>;

    // Of the row before and after the change: by the replica identity's columns, or by all where it names none; then by
    // the mapping's key, too, by which such a row is written. Every row, as long as that isn't known. Every row, and
    // those, where the follower finds a row by a key that is equal and has another text: by a collation that isn't
    // deterministic, for instance.
    static hashes of(const model::row_change& change, const table_mapping& mapping);

    // Tables are named as crossfade.dead_letters names them: model::to_string of the name, which can't be taken apart
    // again where a schema has a dot in it.
    void add(const std::string& table, const hashes& rows);
    // All of the table, for a command that changed it on legacy.
    void hold(const std::string& table) {
        add(table, {every_row});
        held_.insert(table);
    }
    bool held(const std::string& table) const { return held_.contains(table); }
    const std::unordered_set<std::string>& held_tables() const { return held_; }
    // Changes that wait for such tables, as far as they have been counted.
    void count_held(std::size_t more) { held_changes_ += more; }
    std::size_t held_changes() const { return held_changes_; }
    void clear() {
        tables_.clear();
        held_.clear();
        held_changes_ = 0;
    }
    void clear(const std::string& table) { tables_.erase(table); }

    bool any(const std::string& table) const { return tables_.contains(table); }
    bool holds(const std::string& table, const hashes& rows) const;
    bool holds(const std::string& table, const model::row_change& change, const table_mapping& mapping) const {
        return tables_.contains(table) && holds(table, of(change, mapping));
    }
    bool empty() const { return tables_.empty(); }
    std::size_t size() const;

  private:
    std::unordered_map<std::string, std::unordered_set<std::uint64_t>> tables_;
    std::unordered_set<std::string> held_;
    std::size_t held_changes_ = 0;
};

}  // namespace crossfade::cdc::apply
