#include "cdc/apply/waiting_rows.hpp"

#include <algorithm>
#include <string_view>

namespace crossfade::cdc::apply {
namespace {

using model::before_image;
using model::cell_kind;
using model::replica_identity;

// FNV-1a, as it is kept in the database: the same in every version of Crossfade.
class row_hash {
  public:
    void add(const model::cell& cell) {
        add_byte(static_cast<unsigned char>(cell.kind == cell_kind::text ? 't' : 'n'));
        if (cell.kind != cell_kind::text) return;
        for (std::uint64_t size = cell.text.size(), i = 0; i < sizeof size; ++i)
            add_byte(static_cast<unsigned char>(size >> (8 * i)));
        for (const char c : cell.text) add_byte(static_cast<unsigned char>(c));
    }
    std::uint64_t value() const { return value_ == waiting_rows::every_row ? 1 : value_; }

  private:
    void add_byte(unsigned char byte) { value_ = (value_ ^ byte) * 1099511628211U; }

    std::uint64_t value_ = 14695981039346656037U;
};

bool has_key(const model::relation& rel) {
    return (rel.identity == replica_identity::primary_key || rel.identity == replica_identity::index) &&
           std::ranges::any_of(rel.columns, &model::column::key);
}

// `otherwise`: where a value that the UPDATE did not touch is found.
std::uint64_t hash_of(const model::relation& rel, const model::row& row, const model::row* otherwise) {
    const bool keyed = has_key(rel);
    row_hash hash;
    for (std::size_t i = 0; i < rel.columns.size() && i < row.size(); ++i) {
        if (keyed && !rel.columns[i].key) continue;
        const bool elsewhere = row[i].kind == cell_kind::unchanged && otherwise != nullptr && i < otherwise->size();
        hash.add(elsewhere ? (*otherwise)[i] : row[i]);
    }
    return hash.value();
}

std::uint64_t hash_of_key(const table_mapping& mapping, const model::row& row, const model::row* otherwise) {
    row_hash hash;
    for (const auto at : mapping.key) {
        const auto source = mapping.columns[at].source;
        hash.add(row[source].kind == cell_kind::unchanged && otherwise != nullptr ? (*otherwise)[source] : row[source]);
    }
    return hash.value();
}

}  // namespace

waiting_rows::hashes waiting_rows::of(const model::row_change& change, const table_mapping& mapping) {
    const bool keyed = has_key(*change.rel);
    if (!keyed && mapping.refused && mapping.key.empty()) return {every_row};
    hashes rows;
    const auto add = [&](std::uint64_t row) {
        if (std::ranges::find(rows, row) == rows.end()) rows.push_back(row);
    };
    const bool by_its_key = !keyed && !mapping.key.empty();
    const auto* before = change.before_kind == before_image::absent ? nullptr : &change.before;
    if (before != nullptr) add(hash_of(*change.rel, *before, nullptr));
    if (!change.after.empty()) add(hash_of(*change.rel, change.after, before));
    if (by_its_key && before != nullptr) add(hash_of_key(mapping, *before, nullptr));
    if (by_its_key && !change.after.empty()) add(hash_of_key(mapping, change.after, before));
    return rows;
}

void waiting_rows::add(const std::string& table, const hashes& rows) {
    auto& known = tables_[table];
    known.insert(rows.begin(), rows.end());
    if (known.size() > most_rows || known.contains(every_row)) known = {every_row};
}

bool waiting_rows::holds(const std::string& table, const hashes& rows) const {
    const auto known = tables_.find(table);
    if (known == tables_.end()) return false;
    if (known->second.contains(every_row)) return true;
    return std::ranges::any_of(rows, [&](auto row) { return known->second.contains(row); });
}

std::size_t waiting_rows::size() const {
    std::size_t sum = 0;
    for (const auto& [table, rows] : tables_) sum += rows.size();
    return sum;
}

}  // namespace crossfade::cdc::apply
