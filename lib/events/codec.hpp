#pragma once

#include <boost/system/result.hpp>
#include <cstddef>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <unordered_map>

#include "lib/model/change.hpp"

namespace crossfade::events {

// Version of proto/crossfade/v1 as the Kafka header "crossfade-schema" carries it.
inline constexpr std::string_view schema_version = "1";

// A relation's bytes, made once for each version of a table (publisher's side). Keyed by identity of the shared
// pointer; bounded: beyond `capacity` relations it starts anew.
class relation_encoder {
  public:
    const std::string& bytes(const std::shared_ptr<const model::relation>& rel);

  private:
    static constexpr std::size_t capacity = 10000;
    std::unordered_map<std::shared_ptr<const model::relation>, std::string> known_;
};

// Never fails: any event has an encoding. The first appends it.
void encode(const model::change_event& event, relation_encoder& relations, std::string& bytes);
std::string encode(const model::change_event& event, relation_encoder& relations);

// The Kafka message key: "schema.table" NUL and then each key cell's length, colon and text, so that it is unique. The
// key of an UPDATE that changes the key is the old one. Without a replica identity that has columns (NOTHING, FULL):
// the table alone. Empty for what is not about one table's row.
std::string message_key(const model::change_event& event);
void append_message_key(const model::change_event& event, std::string& key);
// The same of the row as it is after the change: another one for an UPDATE that changes the key.
std::string message_key_after(const model::change_event& event);

// Relations that have been parsed (reader's side), by their bytes; bounded the same way.
class relation_decoder {
  public:
    // Null when the bytes are no Relation.
    std::shared_ptr<const model::relation> parse(std::string_view bytes);

  private:
    // So that a view can be looked up without making a string of it.
    struct hash_bytes {
        using is_transparent = void;
        std::size_t operator()(std::string_view bytes) const noexcept { return std::hash<std::string_view>{}(bytes); }
    };
    static constexpr std::size_t capacity = 10000;
    std::unordered_map<std::string, std::shared_ptr<const model::relation>, hash_bytes, std::equal_to<>> known_;
};

// Fails with bad_message for what is no Event of a known body, or one that contradicts itself (row cells that do not
// match the relation's columns). Never throws, whatever the bytes.
boost::system::result<model::change_event> decode(std::string_view bytes, relation_decoder& relations);

}  // namespace crossfade::events
