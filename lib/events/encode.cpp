#include <crossfade/v1/events.pb.h>

#include <chrono>

#include "lib/events/codec.hpp"

namespace crossfade::events {

namespace {

std::int64_t microseconds(model::source_time at) {
    return at.time_since_epoch().count();
}

v1::Relation_ReplicaIdentity wire(model::replica_identity identity) {
    switch (identity) {
        case model::replica_identity::nothing:
            return v1::Relation::NOTHING;
        case model::replica_identity::full:
            return v1::Relation::FULL;
        case model::replica_identity::index:
            return v1::Relation::INDEX;
        case model::replica_identity::primary_key:
            break;
    }
    return v1::Relation::DEFAULT;
}

v1::RowChange_Kind wire(model::row_operation operation) {
    switch (operation) {
        case model::row_operation::update:
            return v1::RowChange::UPDATE;
        case model::row_operation::remove:
            return v1::RowChange::DELETE;
        case model::row_operation::insert:
            break;
    }
    return v1::RowChange::INSERT;
}

v1::RowChange_Before wire(model::before_image before) {
    switch (before) {
        case model::before_image::key:
            return v1::RowChange::KEY;
        case model::before_image::whole:
            return v1::RowChange::WHOLE;
        case model::before_image::absent:
            break;
    }
    return v1::RowChange::ABSENT;
}

void write(const model::row& cells, v1::Row& to) {
    auto& kinds = *to.mutable_kinds();
    kinds.reserve(cells.size());
    for (const auto& cell : cells) {
        kinds += static_cast<char>(cell.kind);
        if (cell.kind == model::cell_kind::text) *to.add_values() = cell.text;
    }
}

struct write_body {
    v1::Event& to;
    relation_encoder& relations;

    void operator()(const model::row_change& change) const {
        to.set_relation(relations.bytes(change.rel));
        // Not Clear() of the whole event: that would throw away the row's strings with the oneof.
        auto& row = *to.mutable_row();
        row.Clear();
        row.set_kind(wire(change.operation));
        row.set_before_kind(wire(change.before_kind));
        if (change.before_kind != model::before_image::absent) write(change.before, *row.mutable_before());
        if (change.operation != model::row_operation::remove) write(change.after, *row.mutable_after());
    }
    void operator()(const model::truncate& change) const {
        to.clear_relation();
        auto& truncate = *to.mutable_truncate();
        truncate.Clear();
        for (const auto& rel : change.relations) truncate.add_relations(relations.bytes(rel));
        truncate.set_cascade(change.cascade);
        truncate.set_restart_identity(change.restart_identity);
    }
    void operator()(const model::logical_message& message) const {
        to.clear_relation();
        to.mutable_message()->set_prefix(message.prefix);
        to.mutable_message()->set_content(message.content);
    }
    void operator()(const model::heartbeat& beat) const {
        to.clear_relation();
        to.mutable_heartbeat()->set_emitted_at(microseconds(beat.emitted_at));
    }
};

}  // namespace

const std::string& relation_encoder::bytes(const std::shared_ptr<const model::relation>& rel) {
    if (const auto found = known_.find(rel); found != known_.end()) return found->second;
    v1::Relation to;
    to.set_oid(rel->oid);
    to.set_schema(rel->table.schema);
    to.set_name(rel->table.name);
    to.set_replica_identity(wire(rel->identity));
    for (const auto& column : rel->columns) {
        auto& added = *to.add_columns();
        added.set_name(column.name);
        added.set_type_oid(column.type_oid);
        added.set_type_modifier(column.type_modifier);
        added.set_key(column.key);
    }
    if (known_.size() >= capacity) known_.clear();
    return known_.emplace(rel, to.SerializeAsString()).first->second;
}

std::string encode(const model::change_event& event, relation_encoder& relations) {
    // Kept from event to event, so that its strings are; given up after a large one, so that it stays small.
    thread_local v1::Event to;
    constexpr std::size_t kept = std::size_t{1} << 20;

    to.set_system_identifier(event.at.system_identifier);
    to.set_timeline(event.at.timeline);
    to.set_commit_lsn(event.at.commit_lsn.value);
    to.set_ordinal(event.at.ordinal);
    to.set_publisher(event.publisher);
    if (event.previous) {
        to.set_previous(event.previous->value);
    } else {
        to.clear_previous();
    }
    to.clear_left();
    for (const auto& each : event.left) {
        auto& added = *to.add_left();
        added.set_timeline(each.timeline);
        added.set_end_lsn(each.end.value);
    }
    to.set_last(event.last);
    to.set_end_lsn(event.end_lsn.value);
    to.set_commit_time(microseconds(event.commit_time));
    to.set_xid(event.xid);
    if (event.partition_previous) {
        to.set_partition_previous_lsn(event.partition_previous->commit_lsn.value);
        to.set_partition_previous_ordinal(event.partition_previous->ordinal);
    } else {
        to.clear_partition_previous_lsn();
        to.clear_partition_previous_ordinal();
    }
    if (event.after_others) {
        to.set_after_others_lsn(event.after_others->commit_lsn.value);
        to.set_after_others_ordinal(event.after_others->ordinal);
    } else {
        to.clear_after_others_lsn();
        to.clear_after_others_ordinal();
    }
    to.set_barrier(event.barrier);
    to.clear_barrier_partitions();
    for (const auto each : event.barrier_partitions) to.add_barrier_partitions(each);
    std::visit(write_body{to, relations}, event.body);

    std::string bytes = to.SerializeAsString();
    if (bytes.size() > kept) to = v1::Event{};
    return bytes;
}

namespace {

// `otherwise`: where a cell of the first is one that the change did not touch.
std::string key_of(const model::relation& rel, const model::row& cells, const model::row& otherwise) {
    std::string key = to_string(rel.table);
    if (rel.identity == model::replica_identity::nothing || rel.identity == model::replica_identity::full) return key;
    key += '\0';
    for (std::size_t i = 0; i < rel.columns.size() && i < cells.size(); ++i) {
        if (!rel.columns[i].key) continue;
        const bool untouched = cells[i].kind == model::cell_kind::unchanged && i < otherwise.size();
        const auto& text = untouched ? otherwise[i].text : cells[i].text;
        key += std::to_string(text.size());
        key += ':';
        key += text;
    }
    return key;
}

}  // namespace

std::string message_key(const model::change_event& event) {
    const auto* change = std::get_if<model::row_change>(&event.body);
    if (change == nullptr) return {};
    const bool after = change->before_kind == model::before_image::absent;
    return key_of(*change->rel, after ? change->after : change->before, {});
}

std::string message_key_after(const model::change_event& event) {
    const auto* change = std::get_if<model::row_change>(&event.body);
    if (change == nullptr || change->operation == model::row_operation::remove) return message_key(event);
    return key_of(*change->rel, change->after, change->before);
}

}  // namespace crossfade::events
