#include "cdc/apply/target.hpp"

#include <algorithm>

namespace crossfade::cdc::apply {

const target_column* target_table::find(std::string_view column) const {
    const auto found = std::find_if(columns.begin(), columns.end(), [&](const auto& c) { return c.name == column; });
    return found == columns.end() ? nullptr : &*found;
}

namespace {

std::optional<std::size_t> written(const table_mapping& mapping, std::string_view column) {
    for (std::size_t i = 0; i < mapping.columns.size(); ++i) {
        if (mapping.columns[i].target.name == column) return i;
    }
    return std::nullopt;
}

bool has_identity_columns(const model::relation& rel) {
    return rel.identity == model::replica_identity::primary_key || rel.identity == model::replica_identity::index;
}

std::vector<std::string> identity_columns(const model::relation& rel) {
    std::vector<std::string> names;
    for (const auto& column : rel.columns)
        if (has_identity_columns(rel) && column.key) names.push_back(column.name);
    return names;
}

std::vector<std::size_t> key_of(const table_mapping& mapping, const target_table& target) {
    std::vector<std::size_t> key;
    if (has_identity_columns(*mapping.rel)) {
        for (const auto& name : identity_columns(*mapping.rel)) {
            const auto at = written(mapping, name);
            if (!at) return {};
            key.push_back(*at);
        }
        return key;
    }
    for (const auto& candidate : target.keys) {
        key.clear();
        for (const auto& name : candidate.columns) {
            if (const auto at = written(mapping, name)) key.push_back(*at);
        }
        if (key.size() == candidate.columns.size()) return key;
    }
    return {};
}

bool refuses_twins(const table_mapping& mapping, const target_table& target) {
    const auto in_key = [&](const std::string& column) {
        const auto at = written(mapping, column);
        return at && std::ranges::find(mapping.key, *at) != mapping.key.end();
    };
    return std::ranges::any_of(target.keys,
                               [&](const auto& each) { return std::ranges::all_of(each.columns, in_key); });
}

}  // namespace

table_mapping map_table(std::shared_ptr<const model::relation> rel, const target_table* target,
                        std::string_view tenant_column) {
    table_mapping made;
    made.rel = std::move(rel);
    made.target = made.rel->table;
    const auto& columns = made.rel->columns;
    for (std::size_t i = 0; i < columns.size(); ++i) {
        if (!tenant_column.empty() && columns[i].name == tenant_column) made.tenant = i;
    }
    if (target == nullptr) {
        made.refused = unmappable{"42P01", "the follower has no table " + model::to_string(made.target)};
        return made;
    }
    std::string missing;
    std::string generated;
    for (std::size_t i = 0; i < columns.size(); ++i) {
        const auto* column = target->find(columns[i].name);
        if (column == nullptr) {
            missing += (missing.empty() ? "" : ", ") + columns[i].name;
        } else if (column->generated) {
            generated += (generated.empty() ? "" : ", ") + columns[i].name;
        } else {
            made.columns.push_back({i, *column});
        }
    }
    if (!missing.empty()) {
        made.refused =
            unmappable{"42703", "the follower's table " + model::to_string(made.target) + " has no column " + missing};
        return made;
    }
    if (!generated.empty()) {
        made.refused = unmappable{"428C9", "the follower's table " + model::to_string(made.target) + " generates " +
                                               generated + ", which the source has values of"};
        return made;
    }
    made.key = key_of(made, *target);
    made.keyed = refuses_twins(made, *target);
    made.copyable = target->copyable;
    made.tied = target->tied;
    made.partitioned = target->partitioned;
    made.shape = target->shape;
    for (const auto& column : target->columns)
        if (!column.generated && !written(made, column.name)) made.unmapped.push_back(column.name);
    for (std::size_t i = 0; i < made.columns.size(); ++i) {
        if (std::ranges::find(made.key, i) != made.key.end()) continue;
        if (made.columns[i].target.tied) made.tied_columns.push_back(i);
        if (made.columns[i].target.identity_always) made.always.push_back(i);
    }
    made.tied_by = model::tied_by(identity_columns(*made.rel), target->ties);
    return made;
}

}  // namespace crossfade::cdc::apply
