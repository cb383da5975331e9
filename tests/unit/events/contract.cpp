#include "tests/unit/events/contract.hpp"

#include <google/protobuf/text_format.h>

#include <memory>
#include <stdexcept>

namespace crossfade::events {

namespace pb = google::protobuf;

contract::contract(const pb::FileDescriptorProto& described) : file_(known_.BuildFile(described)) {
    if (file_ == nullptr) throw std::runtime_error("a description that contradicts itself");
}

std::string contract::read(std::string_view type, std::string_view bytes) {
    const auto* described = file_->FindMessageTypeByName(std::string{type});
    if (described == nullptr) throw std::runtime_error("no message " + std::string{type});
    const std::unique_ptr<pb::Message> message{messages_.GetPrototype(described)->New()};
    if (!message->ParseFromArray(bytes.data(), static_cast<int>(bytes.size()))) return {};
    message->DiscardUnknownFields();

    // Relations are bytes within: a field added to them would show as other bytes.
    std::string relations;
    const auto show = [&](const pb::Message& of, std::string_view field) {
        const auto* found = of.GetDescriptor()->FindFieldByName(std::string{field});
        const auto& reflection = *of.GetReflection();
        std::vector<std::string> all;
        if (found->is_repeated()) {
            for (int i = 0; i < reflection.FieldSize(of, found); ++i)
                all.push_back(reflection.GetRepeatedString(of, found, i));
        } else if (!reflection.GetString(of, found).empty()) {
            all.push_back(reflection.GetString(of, found));
        }
        for (const auto& each : all) relations += "relation {\n" + read("Relation", each) + "}\n";
        return found;
    };
    if (type == "Event") {
        auto& reflection = *message->GetReflection();
        reflection.ClearField(message.get(), show(*message, "relation"));
        const auto* truncate = described->FindFieldByName("truncate");
        if (reflection.HasField(*message, truncate)) {
            auto* within = reflection.MutableMessage(message.get(), truncate);
            within->GetReflection()->ClearField(within, show(*within, "relations"));
        }
    }
    std::string text;
    pb::TextFormat::PrintToString(*message, &text);
    return text + relations;
}

namespace {

std::string type_of(const pb::FieldDescriptor& of) {
    std::string text = of.is_repeated() ? "repeated " : "";
    text += of.type_name();
    if (of.message_type() != nullptr) text += ' ' + of.message_type()->full_name();
    if (of.enum_type() != nullptr) text += ' ' + of.enum_type()->full_name();
    return text;
}

std::string presence_of(const pb::FieldDescriptor& of) {
    if (of.real_containing_oneof() != nullptr) return "in oneof " + of.real_containing_oneof()->name();
    return of.has_presence() ? "with presence" : "without presence";
}

class comparison {
  public:
    void files(const pb::FileDescriptor& released, const pb::FileDescriptor& now) {
        if (released.package() != now.package()) say("package " + released.package(), "is now " + now.package());
        for (int i = 0; i < released.message_type_count(); ++i) {
            const auto& each = *released.message_type(i);
            messages(each, now.FindMessageTypeByName(each.name()));
        }
        for (int i = 0; i < released.enum_type_count(); ++i) {
            const auto& each = *released.enum_type(i);
            enums(each, now.FindEnumTypeByName(each.name()));
        }
    }
    std::vector<std::string> take() { return std::move(found_); }

  private:
    void say(const std::string& what, const std::string& how) { found_.push_back(what + ": " + how); }

    void messages(const pb::Descriptor& released, const pb::Descriptor* now) {
        if (now == nullptr) return say("message " + released.full_name(), "is gone");
        for (int i = 0; i < released.field_count(); ++i) {
            const auto& each = *released.field(i);
            fields(each, now->FindFieldByNumber(each.number()));
        }
        for (int i = 0; i < released.nested_type_count(); ++i) {
            const auto& each = *released.nested_type(i);
            messages(each, now->FindNestedTypeByName(each.name()));
        }
        for (int i = 0; i < released.enum_type_count(); ++i) {
            const auto& each = *released.enum_type(i);
            enums(each, now->FindEnumTypeByName(each.name()));
        }
    }

    void fields(const pb::FieldDescriptor& released, const pb::FieldDescriptor* now) {
        const auto what = released.full_name() + " = " + std::to_string(released.number());
        if (now == nullptr) return say(what, "is gone");
        if (now->name() != released.name()) say(what, "its number now means " + now->name());
        if (type_of(*now) != type_of(released)) say(what, "was " + type_of(released) + ", is now " + type_of(*now));
        if (presence_of(*now) != presence_of(released))
            say(what, "was " + presence_of(released) + ", is now " + presence_of(*now));
    }

    void enums(const pb::EnumDescriptor& released, const pb::EnumDescriptor* now) {
        if (now == nullptr) return say("enum " + released.full_name(), "is gone");
        for (int i = 0; i < released.value_count(); ++i) {
            const auto& each = *released.value(i);
            const auto* same = now->FindValueByNumber(each.number());
            const auto what = released.full_name() + '.' + each.name() + " = " + std::to_string(each.number());
            if (same == nullptr)
                say(what, "is gone");
            else if (same->name() != each.name())
                say(what, "its number now means " + same->name());
        }
    }

    std::vector<std::string> found_;
};

}  // namespace

std::vector<std::string> breaks(const pb::FileDescriptor& released, const pb::FileDescriptor& now) {
    comparison of;
    of.files(released, now);
    return of.take();
}

void add_unknown_fields(pb::Message& to) {
    constexpr int unknown = 1000;
    const auto& reflection = *to.GetReflection();
    auto& added = *reflection.MutableUnknownFields(&to);
    added.AddVarint(unknown, 7);
    added.AddFixed32(unknown + 1, 7);
    added.AddFixed64(unknown + 2, 7);
    added.AddLengthDelimited(unknown + 3)->assign("new");
    std::vector<const pb::FieldDescriptor*> set;
    reflection.ListFields(to, &set);
    for (const auto* field : set) {
        if (field->cpp_type() != pb::FieldDescriptor::CPPTYPE_MESSAGE) continue;
        if (!field->is_repeated()) {
            add_unknown_fields(*reflection.MutableMessage(&to, field));
            continue;
        }
        for (int i = 0; i < reflection.FieldSize(to, field); ++i)
            add_unknown_fields(*reflection.MutableRepeatedMessage(&to, field, i));
    }
}

}  // namespace crossfade::events
