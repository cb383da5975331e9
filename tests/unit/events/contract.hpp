#pragma once

#include <google/protobuf/descriptor.h>
#include <google/protobuf/descriptor.pb.h>
#include <google/protobuf/dynamic_message.h>

#include <string>
#include <string_view>
#include <vector>

namespace crossfade::events {

// A version of proto/crossfade/v1/events.proto, and a reader made of it that knows nothing of the version this program
// is built with. Throws for a description that contradicts itself.
class contract {
  public:
    explicit contract(const google::protobuf::FileDescriptorProto& described);

    const google::protobuf::FileDescriptor& file() const { return *file_; }

    // An Event, with the Relations in it, as this version understands it: protobuf's text format, without fields that
    // this version doesn't know. Empty for bytes that are no Event.
    std::string read(std::string_view bytes) { return read("Event", bytes); }

  private:
    std::string read(std::string_view type, std::string_view bytes);

    google::protobuf::DescriptorPool known_;
    const google::protobuf::FileDescriptor* file_;
    google::protobuf::DynamicMessageFactory messages_;
};

// What of `now` a reader or writer of `released` would misunderstand: one line each, empty when the two get on. New
// fields, new values of enums and new messages are no harm: who doesn't know a field skips it.
std::vector<std::string> breaks(const google::protobuf::FileDescriptor& released,
                                const google::protobuf::FileDescriptor& now);

// Adds fields of every wire type that nobody knows, to the message and to all within it: what a later version may do.
void add_unknown_fields(google::protobuf::Message& to);

}  // namespace crossfade::events
