#include <crossfade/v1/events.pb.h>

#include <array>
#include <bit>
#include <charconv>
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

// Protobuf's encoding, as far as the contract needs it. By hand, because building a v1::Event of a row first costs more
// than all else that is done with it: the values would be copied once more, and measured before they are written.
class fields {
  public:
    explicit fields(std::string& to) : to_(to) {}

    // Left out where they have their default value, as proto3 does.
    void varint(int number, std::uint64_t value) {
        if (value != 0) set_varint(number, value);
    }
    void fixed64(int number, std::uint64_t value) {
        if (value != 0) set_fixed64(number, value);
    }
    void fixed32(int number, std::uint32_t value) {
        if (value == 0) return;
        tag(number, 5);
        little_endian(value);
    }
    void bytes(int number, std::string_view value) {
        if (!value.empty()) set_bytes(number, value);
    }

    // Whatever the value: `optional`, or an element of what is repeated.
    void set_varint(int number, std::uint64_t value) {
        tag(number, 0);
        plain_varint(value);
    }
    void set_fixed64(int number, std::uint64_t value) {
        tag(number, 1);
        little_endian(value);
    }
    void set_bytes(int number, std::string_view value) {
        message(number, value.size());
        to_ += value;
    }

    // So many bytes have to follow.
    void message(int number, std::size_t size) {
        tag(number, 2);
        plain_varint(size);
    }
    void plain(char byte) { to_ += byte; }
    void plain_varint(std::uint64_t value) {
        for (; value >= 0x80; value >>= 7U) plain(static_cast<char>(value | 0x80U));
        plain(static_cast<char>(value));
    }

  private:
    void tag(int number, unsigned type) { plain_varint(static_cast<unsigned>(number) << 3U | type); }
    template <class T>
    void little_endian(T value) {
        std::array<char, sizeof(T)> bytes{};
        for (auto& byte : bytes) {
            byte = static_cast<char>(value);
            value >>= 8U;
        }
        to_.append(bytes.data(), bytes.size());
    }

    std::string& to_;
};

constexpr std::size_t size_of_varint(std::uint64_t value) {
    return (static_cast<std::size_t>(std::bit_width(value | 1U)) + 6) / 7;
}
// Of a field whose number is below 16.
constexpr std::size_t size_of_bytes(std::size_t length) {
    return 1 + size_of_varint(length) + length;
}

std::size_t size_of(const model::row& cells) {
    std::size_t size = cells.empty() ? 0 : size_of_bytes(cells.size());
    for (const auto& cell : cells)
        if (cell.kind == model::cell_kind::text) size += size_of_bytes(cell.text.size());
    return size;
}

void write(const model::row& cells, fields& to) {
    if (cells.empty()) return;
    to.message(v1::Row::kKindsFieldNumber, cells.size());
    for (const auto& cell : cells) to.plain(static_cast<char>(cell.kind));
    for (const auto& cell : cells)
        if (cell.kind == model::cell_kind::text) to.set_bytes(v1::Row::kValuesFieldNumber, cell.text);
}

struct write_body {
    std::string& bytes;
    relation_encoder& relations;

    void operator()(const model::row_change& change) const {
        fields to{bytes};
        const bool has_before = change.before_kind != model::before_image::absent;
        const bool has_after = change.operation != model::row_operation::remove;
        const auto before = has_before ? size_of(change.before) : 0;
        const auto after = has_after ? size_of(change.after) : 0;
        const auto kind = static_cast<std::uint64_t>(wire(change.operation));
        const auto before_kind = static_cast<std::uint64_t>(wire(change.before_kind));

        to.bytes(v1::Event::kRelationFieldNumber, relations.bytes(change.rel));
        to.message(v1::Event::kRowFieldNumber, (kind != 0 ? 2U : 0U) + (before_kind != 0 ? 2U : 0U) +
                                                   (has_before ? size_of_bytes(before) : 0) +
                                                   (has_after ? size_of_bytes(after) : 0));
        to.varint(v1::RowChange::kKindFieldNumber, kind);
        to.varint(v1::RowChange::kBeforeKindFieldNumber, before_kind);
        if (has_before) {
            to.message(v1::RowChange::kBeforeFieldNumber, before);
            write(change.before, to);
        }
        if (has_after) {
            to.message(v1::RowChange::kAfterFieldNumber, after);
            write(change.after, to);
        }
    }
    // Nobody sends many of the others.
    void operator()(const model::truncate& change) const {
        v1::Truncate to;
        for (const auto& rel : change.relations) to.add_relations(relations.bytes(rel));
        to.set_cascade(change.cascade);
        to.set_restart_identity(change.restart_identity);
        fields{bytes}.set_bytes(v1::Event::kTruncateFieldNumber, to.SerializeAsString());
    }
    void operator()(const model::logical_message& message) const {
        v1::LogicalMessage to;
        to.set_prefix(message.prefix);
        to.set_content(message.content);
        fields{bytes}.set_bytes(v1::Event::kMessageFieldNumber, to.SerializeAsString());
    }
    void operator()(const model::heartbeat& beat) const {
        v1::Heartbeat to;
        to.set_emitted_at(microseconds(beat.emitted_at));
        fields{bytes}.set_bytes(v1::Event::kHeartbeatFieldNumber, to.SerializeAsString());
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

// In the order of their numbers, as protobuf writes them.
void encode(const model::change_event& event, relation_encoder& relations, std::string& bytes) {
    fields to{bytes};
    to.fixed64(v1::Event::kSystemIdentifierFieldNumber, event.at.system_identifier);
    to.varint(v1::Event::kTimelineFieldNumber, event.at.timeline);
    to.fixed64(v1::Event::kCommitLsnFieldNumber, event.at.commit_lsn.value);
    to.varint(v1::Event::kOrdinalFieldNumber, event.at.ordinal);
    to.fixed64(v1::Event::kPublisherFieldNumber, event.publisher);
    if (event.previous) to.set_fixed64(v1::Event::kPreviousFieldNumber, event.previous->value);
    to.varint(v1::Event::kLastFieldNumber, event.last ? 1 : 0);
    to.fixed64(v1::Event::kEndLsnFieldNumber, event.end_lsn.value);
    to.fixed64(v1::Event::kCommitTimeFieldNumber, static_cast<std::uint64_t>(microseconds(event.commit_time)));
    to.fixed32(v1::Event::kXidFieldNumber, event.xid);
    std::visit(write_body{bytes, relations}, event.body);
    for (const auto& each : event.left) {
        v1::LeftTimeline left;
        left.set_timeline(each.timeline);
        left.set_end_lsn(each.end.value);
        to.set_bytes(v1::Event::kLeftFieldNumber, left.SerializeAsString());
    }
    if (event.partition_previous) {
        to.set_fixed64(v1::Event::kPartitionPreviousLsnFieldNumber, event.partition_previous->commit_lsn.value);
        to.varint(v1::Event::kPartitionPreviousOrdinalFieldNumber, event.partition_previous->ordinal);
    }
    to.varint(v1::Event::kBarrierFieldNumber, event.barrier ? 1 : 0);
    if (event.after_others) {
        to.set_fixed64(v1::Event::kAfterOthersLsnFieldNumber, event.after_others->commit_lsn.value);
        to.varint(v1::Event::kAfterOthersOrdinalFieldNumber, event.after_others->ordinal);
    }
    if (event.barrier_partitions.empty()) return;
    std::size_t size = 0;
    for (const auto each : event.barrier_partitions) size += size_of_varint(each);
    to.message(v1::Event::kBarrierPartitionsFieldNumber, size);
    for (const auto each : event.barrier_partitions) to.plain_varint(each);
}

std::string encode(const model::change_event& event, relation_encoder& relations) {
    std::string bytes;
    encode(event, relations, bytes);
    return bytes;
}

namespace {

// `otherwise`: where a cell of the first is one that the change did not touch.
void append_key(std::string& key, const model::relation& rel, const model::row& cells, const model::row& otherwise) {
    key += rel.table.schema;
    key += '.';
    key += rel.table.name;
    if (rel.identity == model::replica_identity::nothing || rel.identity == model::replica_identity::full) return;
    key += '\0';
    for (std::size_t i = 0; i < rel.columns.size() && i < cells.size(); ++i) {
        if (!rel.columns[i].key) continue;
        const bool untouched = cells[i].kind == model::cell_kind::unchanged && i < otherwise.size();
        const auto& text = untouched ? otherwise[i].text : cells[i].text;
        std::array<char, 20> digits{};
        key.append(digits.data(), std::to_chars(digits.data(), digits.data() + digits.size(), text.size()).ptr);
        key += ':';
        key += text;
    }
}

}  // namespace

void append_message_key(const model::change_event& event, std::string& key) {
    const auto* change = std::get_if<model::row_change>(&event.body);
    if (change == nullptr) return;
    const bool after = change->before_kind == model::before_image::absent;
    append_key(key, *change->rel, after ? change->after : change->before, {});
}

std::string message_key(const model::change_event& event) {
    std::string key;
    append_message_key(event, key);
    return key;
}

std::string message_key_after(const model::change_event& event) {
    const auto* change = std::get_if<model::row_change>(&event.body);
    if (change == nullptr || change->operation == model::row_operation::remove) return message_key(event);
    std::string key;
    append_key(key, *change->rel, change->after, change->before);
    return key;
}

}  // namespace crossfade::events
