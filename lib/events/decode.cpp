#include <crossfade/v1/events.pb.h>

#include <boost/system/errc.hpp>
#include <chrono>
#include <limits>

#include "lib/events/codec.hpp"

namespace crossfade::events {

namespace {

namespace errc = boost::system::errc;

model::source_time time_of(std::int64_t microseconds) {
    return model::source_time{std::chrono::microseconds{microseconds}};
}

// What protobuf's own parser takes; more is no message of ours.
bool parse_into(google::protobuf::MessageLite& to, std::string_view bytes) {
    return bytes.size() <= static_cast<std::size_t>(std::numeric_limits<int>::max()) &&
           to.ParseFromArray(bytes.data(), static_cast<int>(bytes.size()));
}

// proto3 keeps unknown numbers in enums: each reader below says false for them.
bool read(v1::Relation_ReplicaIdentity from, model::replica_identity& to) {
    switch (from) {
        case v1::Relation::DEFAULT:
            to = model::replica_identity::primary_key;
            return true;
        case v1::Relation::NOTHING:
            to = model::replica_identity::nothing;
            return true;
        case v1::Relation::FULL:
            to = model::replica_identity::full;
            return true;
        case v1::Relation::INDEX:
            to = model::replica_identity::index;
            return true;
        default:
            return false;
    }
}

bool read(v1::RowChange_Kind from, model::row_operation& to) {
    switch (from) {
        case v1::RowChange::INSERT:
            to = model::row_operation::insert;
            return true;
        case v1::RowChange::UPDATE:
            to = model::row_operation::update;
            return true;
        case v1::RowChange::DELETE:
            to = model::row_operation::remove;
            return true;
        default:
            return false;
    }
}

bool read(v1::RowChange_Before from, model::before_image& to) {
    switch (from) {
        case v1::RowChange::ABSENT:
            to = model::before_image::absent;
            return true;
        case v1::RowChange::KEY:
            to = model::before_image::key;
            return true;
        case v1::RowChange::WHOLE:
            to = model::before_image::whole;
            return true;
        default:
            return false;
    }
}

// Takes the texts out of `from`.
bool read(v1::Row& from, const model::relation& rel, model::row& to) {
    const std::string& kinds = from.kinds();
    if (kinds.size() != rel.columns.size()) return false;
    to.resize(kinds.size());
    int value = 0;
    for (std::size_t i = 0; i < kinds.size(); ++i) {
        const auto kind = static_cast<model::cell_kind>(kinds[i]);
        switch (kind) {
            case model::cell_kind::text:
                if (value >= from.values_size()) return false;
                to[i].text = std::move(*from.mutable_values(value++));
                break;
            case model::cell_kind::null:
            case model::cell_kind::unchanged:
                break;
            default:
                return false;
        }
        to[i].kind = kind;
    }
    return value == from.values_size();
}

bool read(v1::RowChange& from, std::shared_ptr<const model::relation> rel, model::row_change& to) {
    if (!rel || !read(from.kind(), to.operation) || !read(from.before_kind(), to.before_kind)) return false;
    const bool has_before = to.before_kind != model::before_image::absent;
    const bool has_after = to.operation != model::row_operation::remove;
    if (from.has_before() != has_before || from.has_after() != has_after) return false;
    if (to.operation == model::row_operation::insert && has_before) return false;
    if (to.operation == model::row_operation::remove && !has_before) return false;
    if (has_before && !read(*from.mutable_before(), *rel, to.before)) return false;
    if (has_after && !read(*from.mutable_after(), *rel, to.after)) return false;
    to.rel = std::move(rel);
    return true;
}

bool read(const v1::Truncate& from, relation_decoder& relations, model::truncate& to) {
    for (const auto& bytes : from.relations()) {
        to.relations.push_back(relations.parse(bytes));
        if (!to.relations.back()) return false;
    }
    to.cascade = from.cascade();
    to.restart_identity = from.restart_identity();
    return !to.relations.empty();
}

}  // namespace

std::shared_ptr<const model::relation> relation_decoder::parse(std::string_view bytes) {
    if (const auto found = known_.find(bytes); found != known_.end()) return found->second;
    v1::Relation from;
    auto rel = std::make_shared<model::relation>();
    // Bytes of something else may parse, all of their fields being unknown ones; what has no name is no relation.
    if (!parse_into(from, bytes) || from.name().empty() || !read(from.replica_identity(), rel->identity))
        return nullptr;
    rel->oid = from.oid();
    rel->table = {std::move(*from.mutable_schema()), std::move(*from.mutable_name())};
    rel->columns.reserve(static_cast<std::size_t>(from.columns_size()));
    for (auto& column : *from.mutable_columns()) {
        rel->columns.push_back(
            {std::move(*column.mutable_name()), column.type_oid(), column.type_modifier(), column.key()});
    }
    if (known_.size() >= capacity) known_.clear();
    known_.emplace(std::string{bytes}, rel);
    return rel;
}

boost::system::result<model::change_event> decode(std::string_view bytes, relation_decoder& relations) {
    const auto bad_message = errc::make_error_code(errc::bad_message);
    v1::Event from;
    if (!parse_into(from, bytes)) return bad_message;

    model::change_event event;
    event.at = {from.system_identifier(), from.timeline(), model::lsn{from.commit_lsn()}, from.ordinal()};
    event.publisher = from.publisher();
    if (from.has_previous()) event.previous = model::lsn{from.previous()};
    for (const auto& each : from.left()) event.left.push_back({each.timeline(), model::lsn{each.end_lsn()}});
    event.last = from.last();
    event.end_lsn = model::lsn{from.end_lsn()};
    event.commit_time = time_of(from.commit_time());
    event.xid = from.xid();
    if (from.has_partition_previous_lsn())
        event.partition_previous =
            model::place{model::lsn{from.partition_previous_lsn()}, from.partition_previous_ordinal()};
    if (from.has_after_others_lsn())
        event.after_others = model::place{model::lsn{from.after_others_lsn()}, from.after_others_ordinal()};
    event.barrier = from.barrier();
    event.barrier_partitions.assign(from.barrier_partitions().begin(), from.barrier_partitions().end());
    switch (from.body_case()) {
        case v1::Event::kRow:
            if (!read(*from.mutable_row(), relations.parse(from.relation()), event.body.emplace<model::row_change>()))
                return bad_message;
            return event;
        case v1::Event::kTruncate:
            if (!read(from.truncate(), relations, event.body.emplace<model::truncate>())) return bad_message;
            return event;
        case v1::Event::kMessage:
            event.body = model::logical_message{std::move(*from.mutable_message()->mutable_prefix()),
                                                std::move(*from.mutable_message()->mutable_content())};
            return event;
        case v1::Event::kHeartbeat:
            event.body = model::heartbeat{time_of(from.heartbeat().emitted_at())};
            return event;
        case v1::Event::BODY_NOT_SET:
            break;
    }
    return bad_message;
}

}  // namespace crossfade::events
