#pragma once

#include <pg_query/pg_query.pb-c.h>

#include <cstddef>
#include <span>
#include <string>
#include <string_view>

namespace crossfade::sql {

// Lists of nodes come as a count and a pointer.
inline std::span<PgQuery__Node* const> list(std::size_t count, PgQuery__Node* const* nodes) {
    return {nodes, count};
}

// protobuf-c's empty string stands for PostgreSQL's null.
inline std::string_view text_of(const char* value) {
    return value == nullptr ? std::string_view{} : value;
}

// As PostgreSQL compares the names of settings: ASCII alone folds.
inline std::string lower_case(std::string_view name) {
    std::string folded{name};
    for (char& letter : folded)
        if (letter >= 'A' && letter <= 'Z') letter = static_cast<char>(letter - 'A' + 'a');
    return folded;
}

// Of a String node; empty for another.
inline std::string_view name_of(const PgQuery__Node* node) {
    if (node == nullptr || node->node_case != PG_QUERY__NODE__NODE_STRING) return {};
    return text_of(node->string->sval);
}

// The node itself, whatever its type. A Node is one pointer of a union, and a message begins with its base.
inline const ProtobufCMessage* message_of(const PgQuery__Node& node) {
    if (node.node_case == PG_QUERY__NODE__NODE__NOT_SET) return nullptr;
    return reinterpret_cast<const ProtobufCMessage*>(node.alias);
}

// Calls visit(message, offset) with each message that is a field of this one; the offset tells the field in its struct.
// Fields of a union are left out: those of Node, for which message_of is, and the values of A_Const.
template <class Visitor>
void for_each_child(const ProtobufCMessage& parent, Visitor visit) {
    const auto* base = reinterpret_cast<const char*>(&parent);
    for (const auto& field : std::span{parent.descriptor->fields, parent.descriptor->n_fields}) {
        if (field.type != PROTOBUF_C_TYPE_MESSAGE || (field.flags & PROTOBUF_C_FIELD_FLAG_ONEOF) != 0) continue;
        const char* at = base + field.offset;
        if (field.label == PROTOBUF_C_LABEL_REPEATED) {
            const auto count = *reinterpret_cast<const std::size_t*>(base + field.quantifier_offset);
            const auto* const* messages = *reinterpret_cast<const ProtobufCMessage* const* const*>(at);
            for (const auto* message : std::span{messages, count}) visit(*message, field.offset);
        } else if (const auto* message = *reinterpret_cast<const ProtobufCMessage* const*>(at)) {
            visit(*message, field.offset);
        }
    }
}

}  // namespace crossfade::sql
