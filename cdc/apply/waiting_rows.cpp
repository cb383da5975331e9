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

}  // namespace

waiting_rows::hashes waiting_rows::of(const model::row_change& change) {
    hashes rows;
    const auto* before = change.before_kind == before_image::absent ? nullptr : &change.before;
    if (before != nullptr) rows.push_back(hash_of(*change.rel, *before, nullptr));
    if (!change.after.empty()) rows.push_back(hash_of(*change.rel, change.after, before));
    if (rows.size() == 2 && rows[0] == rows[1]) rows.pop_back();
    return rows;
}

void waiting_rows::add(const std::string& table, const hashes& rows) {
    auto& known = tables_[table];
    known.insert(rows.begin(), rows.end());
    if (known.size() > most_rows || known.contains(every_row)) known = {every_row};
}

bool waiting_rows::holds(const std::string& table, const model::row_change& change) const {
    const auto known = tables_.find(table);
    if (known == tables_.end()) return false;
    if (known->second.contains(every_row)) return true;
    return std::ranges::any_of(of(change), [&](auto row) { return known->second.contains(row); });
}

std::size_t waiting_rows::size() const {
    std::size_t sum = 0;
    for (const auto& [table, rows] : tables_) sum += rows.size();
    return sum;
}

}  // namespace crossfade::cdc::apply
