#include "cdc/apply/waiting_rows.hpp"

#include <algorithm>
#include <string_view>

#include "cdc/drift/record.hpp"

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

constexpr int row_bits = 64 - drift::identity_bits;

// Of what the relation's rows are known by: names, types and modifiers, as values of another type have other texts. By
// the mapping's key, too, where the source names no columns.
std::uint64_t identity_of(const model::relation& rel, const table_mapping& mapping) {
    const bool keyed = has_key(rel);
    row_hash hash;
    const auto add = [&](const model::column& column) {
        hash.add({cell_kind::text, column.name});
        hash.add({cell_kind::text, std::to_string(column.type_oid) + ' ' + std::to_string(column.type_modifier)});
    };
    for (const auto& column : rel.columns)
        if (!keyed || column.key) add(column);
    if (keyed) return hash.value();
    hash.add({});
    for (const auto at : mapping.key) add(rel.columns[mapping.columns[at].source]);
    return hash.value();
}

std::uint64_t joined(std::uint64_t identity, std::uint64_t row) {
    // The upper bits of a product depend on all of it (Knuth's multiplicative method).
    constexpr std::uint64_t golden = 0x9E3779B97F4A7C15;
    const auto made = (identity << row_bits) | ((row * golden) >> drift::identity_bits);
    return made == waiting_rows::every_row ? 1 : made;
}

constexpr std::uint32_t bpchar_oid = 1042;
constexpr std::uint32_t numeric_oid = 1700;

// The follower's column of this one of the source, where it is in the key.
const target_column* key_column(const table_mapping& mapping, std::size_t source) {
    for (const auto at : mapping.key)
        if (mapping.columns[at].source == source) return &mapping.columns[at].target;
    return nullptr;
}

bool is_numeric(const model::column& from, const target_column* to) {
    return from.type_oid == numeric_oid || (to != nullptr && to->type == "numeric");
}
bool is_padded(const model::column& from, const target_column* to) {
    return from.type_oid == bpchar_oid || (to != nullptr && to->type == "bpchar");
}

// The same for what is equal: without the zeros that end 1.00, or the spaces that pad a char(n).
model::cell spelt_alike(const model::cell& cell, const model::column& from, const target_column* to) {
    auto made = cell;
    auto& text = made.text;
    if (is_numeric(from, to) && text.find('.') != std::string::npos && text.find_first_of("eE") == std::string::npos) {
        text.erase(text.find_last_not_of('0') + 1);
        if (text.ends_with('.')) text.pop_back();
    } else if (is_padded(from, to)) {
        text.erase(text.find_last_not_of(' ') + 1);
    }
    return made;
}

// Whether the follower takes for one row what the source's texts tell apart, and nobody here could say which.
bool may_be_another(const model::relation& rel, const table_mapping& mapping) {
    return std::ranges::any_of(mapping.key, [&](auto at) {
        const auto& [source, target] = mapping.columns[at];
        return !target.one_text && target.equals == "=" && !is_numeric(rel.columns[source], &target) &&
               !is_padded(rel.columns[source], &target);
    });
}

class hasher {
  public:
    hasher(const model::relation& rel, const table_mapping& mapping)
        : rel_(rel), mapping_(mapping), keyed_(has_key(rel)) {}

    // `otherwise`: where a value that the UPDATE did not touch is found.
    std::uint64_t of_row(const model::row& row, const model::row* otherwise) const {
        row_hash hash;
        for (std::size_t i = 0; i < rel_.columns.size() && i < row.size(); ++i) {
            if (!keyed_)
                hash.add(cell_of(i, row, otherwise));
            else if (rel_.columns[i].key)
                add_alike(hash, i, row, otherwise);
        }
        return hash.value();
    }
    std::uint64_t of_key(const model::row& row, const model::row* otherwise) const {
        row_hash hash;
        for (const auto at : mapping_.key) add_alike(hash, mapping_.columns[at].source, row, otherwise);
        return hash.value();
    }

  private:
    static const model::cell& cell_of(std::size_t at, const model::row& row, const model::row* otherwise) {
        const bool elsewhere = row[at].kind == cell_kind::unchanged && otherwise != nullptr && at < otherwise->size();
        return elsewhere ? (*otherwise)[at] : row[at];
    }
    void add_alike(row_hash& to, std::size_t at, const model::row& row, const model::row* otherwise) const {
        to.add(spelt_alike(cell_of(at, row, otherwise), rel_.columns[at], key_column(mapping_, at)));
    }

    const model::relation& rel_;
    const table_mapping& mapping_;
    bool keyed_;
};

}  // namespace

waiting_rows::hashes waiting_rows::of(const model::row_change& change, const table_mapping& mapping) {
    const bool keyed = has_key(*change.rel);
    if (!keyed && mapping.refused && mapping.key.empty()) return {every_row};
    hashes rows;
    const auto identity = identity_of(*change.rel, mapping);
    const auto add = [&](std::uint64_t hash) {
        const auto row = joined(identity, hash);
        if (std::ranges::find(rows, row) == rows.end()) rows.push_back(row);
    };
    if (may_be_another(*change.rel, mapping)) rows.push_back(every_row);
    const bool by_its_key = !keyed && !mapping.key.empty();
    const auto* before = change.before_kind == before_image::absent ? nullptr : &change.before;
    const hasher hash{*change.rel, mapping};
    if (before != nullptr) add(hash.of_row(*before, nullptr));
    if (!change.after.empty()) add(hash.of_row(change.after, before));
    if (by_its_key && before != nullptr) add(hash.of_key(*before, nullptr));
    if (by_its_key && !change.after.empty()) add(hash.of_key(change.after, before));
    return rows;
}

void waiting_rows::add(const std::string& table, const hashes& rows) {
    auto& known = tables_[table];
    const bool of_others = !known.empty() && std::ranges::any_of(rows, [&](auto row) {
        return (row >> row_bits) != (*known.begin() >> row_bits);
    });
    known.insert(rows.begin(), rows.end());
    if (known.size() > most_rows || known.contains(every_row) || of_others) known = {every_row};
}

bool waiting_rows::holds(const std::string& table, const hashes& rows) const {
    const auto known = tables_.find(table);
    if (known == tables_.end() || known->second.empty()) return false;
    if (known->second.contains(every_row) || std::ranges::find(rows, every_row) != rows.end()) return true;
    return std::ranges::any_of(rows, [&](auto row) {
        return known->second.contains(row) || (row >> row_bits) != (*known->second.begin() >> row_bits);
    });
}

std::size_t waiting_rows::size() const {
    std::size_t sum = 0;
    for (const auto& [table, rows] : tables_) sum += rows.size();
    return sum;
}

}  // namespace crossfade::cdc::apply
