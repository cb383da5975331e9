// Old readers with new writers, and the reverse: every version of the event contract that was released, against the
// one this program is built with.
#include <crossfade/v1/events.pb.h>
#include <gmock/gmock.h>
#include <google/protobuf/text_format.h>
#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <functional>
#include <map>
#include <sstream>

#include "lib/events/codec.hpp"
#include "tests/support/temp_dir.hpp"
#include "tests/unit/events/contract.hpp"
#include "tests/unit/events/samples.hpp"

namespace crossfade::events {
namespace {

namespace fs = std::filesystem;

const fs::path releases = fs::path{CROSSFADE_SOURCE_DIR} / "tests/unit/events/released";

std::string content(const fs::path& path) {
    std::ifstream in(path);
    std::stringstream all;
    all << in.rdbuf();
    return all.str();
}

std::string to_hex(std::string_view bytes) {
    constexpr std::string_view digits = "0123456789abcdef";
    std::string text;
    for (const unsigned char byte : bytes) {
        text += digits[byte >> 4U];
        text += digits[byte & 15U];
    }
    return text;
}

std::string from_hex(std::string_view text) {
    std::string bytes;
    for (std::size_t i = 0; i + 1 < text.size(); i += 2)
        bytes += static_cast<char>(std::stoi(std::string{text.substr(i, 2)}, nullptr, 16));
    return bytes;
}

std::string encoded(const model::change_event& event) {
    relation_encoder relations;
    return encode(event, relations);
}

using google::protobuf::FileDescriptorProto;

FileDescriptorProto written_now() {
    FileDescriptorProto described;
    v1::Event::descriptor()->file()->CopyTo(&described);
    return described;
}

struct release {
    std::string version;
    FileDescriptorProto proto;
    std::map<std::string, std::string> messages;  // by the sample's name
};

void record(const fs::path& folder) {
    fs::create_directories(folder);
    std::string described;
    google::protobuf::TextFormat::PrintToString(written_now(), &described);
    std::ofstream(folder / "events.descriptor") << described;
    std::ofstream lines(folder / "messages.hex");
    for (const auto& [name, event] : one_of_each()) lines << name << ' ' << to_hex(encoded(event)) << '\n';
}

release read(const fs::path& folder) {
    release one{folder.filename(), {}, {}};
    EXPECT_TRUE(google::protobuf::TextFormat::ParseFromString(content(folder / "events.descriptor"), &one.proto));
    std::ifstream lines(folder / "messages.hex");
    std::string name;
    std::string hex;
    while (lines >> name >> hex) one.messages.emplace(name, from_hex(hex));
    return one;
}

std::vector<release> all_releases() {
    std::vector<release> all;
    for (const auto& folder : fs::directory_iterator{releases}) {
        if (folder.is_directory()) all.push_back(read(folder.path()));
    }
    return all;
}

std::map<std::string, model::change_event> samples() {
    std::map<std::string, model::change_event> all;
    for (auto& [name, event] : one_of_each()) all.emplace(name, std::move(event));
    return all;
}

TEST(event_contract, has_a_release_to_be_held_against) {
    const auto all = all_releases();
    ASSERT_FALSE(all.empty());
    for (const auto& each : all) EXPECT_GE(each.messages.size(), 12U) << each.version;
}

TEST(event_contract, breaks_with_no_release) {
    for (const auto& each : all_releases()) {
        const contract released{each.proto};
        EXPECT_THAT(breaks(released.file(), *v1::Event::descriptor()->file()), testing::IsEmpty()) << each.version;
    }
}

TEST(event_contract, what_a_released_writer_wrote_is_read) {
    const auto known = samples();
    for (const auto& each : all_releases()) {
        for (const auto& [name, bytes] : each.messages) {
            SCOPED_TRACE(each.version + ' ' + name);
            ASSERT_TRUE(known.contains(name));
            relation_decoder relations;
            const auto got = decode(bytes, relations);
            ASSERT_TRUE(got);
            expect_equal(known.at(name), *got);
        }
    }
}

TEST(event_contract, a_released_reader_reads_what_is_written_now) {
    const auto known = samples();
    for (const auto& each : all_releases()) {
        contract reader{each.proto};
        for (const auto& [name, bytes] : each.messages) {
            SCOPED_TRACE(each.version + ' ' + name);
            const auto then = reader.read(bytes);
            EXPECT_THAT(then, testing::HasSubstr("system_identifier: 7301234567890123456"));
            EXPECT_EQ(reader.read(encoded(known.at(name))), then);
        }
    }
}

TEST(event_contract, fields_of_a_later_version_are_skipped) {
    for (const auto& [name, event] : one_of_each()) {
        SCOPED_TRACE(name);
        v1::Event message;
        ASSERT_TRUE(message.ParseFromString(encoded(event)));
        add_unknown_fields(message);
        const auto with_unknown = [](const std::string& bytes) {
            v1::Relation relation;
            EXPECT_TRUE(relation.ParseFromString(bytes));
            add_unknown_fields(relation);
            return relation.SerializeAsString();
        };
        if (!message.relation().empty()) message.set_relation(with_unknown(message.relation()));
        if (message.has_truncate())
            for (auto& bytes : *message.mutable_truncate()->mutable_relations()) bytes = with_unknown(bytes);
        const auto later = message.SerializeAsString();

        relation_decoder relations;
        const auto got = decode(later, relations);
        ASSERT_TRUE(got);
        expect_equal(event, *got);
        for (const auto& each : all_releases()) {
            contract reader{each.proto};
            EXPECT_EQ(reader.read(later), reader.read(encoded(event))) << each.version;
        }
    }
}

template <class Named>
auto& one_of(Named& all, const std::string& name) {
    for (auto& each : all)
        if (each.name() == name) return each;
    throw std::runtime_error("nothing is named " + name);
}

struct change {
    std::function<void(FileDescriptorProto&)> make;
    std::vector<std::string> complaints;
};

TEST(event_contract, a_change_that_breaks_is_named) {
    using proto = FileDescriptorProto;
    using google::protobuf::FieldDescriptorProto;
    static const auto message = [](proto & of, const char* name) -> auto& {
        return one_of(*of.mutable_message_type(), name);
    };
    static const auto field = [](proto & of, const char* in, const char* name) -> auto& {
        return one_of(*message(of, in).mutable_field(), name);
    };
    static const auto enumeration = [](proto & of, const char* in, const char* name) -> auto& {
        return one_of(*message(of, in).mutable_enum_type(), name);
    };
    const std::vector<change> changes{
        {[](proto& p) { field(p, "Event", "last").set_number(17); }, {"crossfade.v1.Event.last = 7: is gone"}},
        {[](proto& p) { message(p, "RowChange").mutable_field()->RemoveLast(); },
         {"crossfade.v1.RowChange.after = 4: is gone"}},
        {[](proto& p) { field(p, "Event", "xid").set_name("server"); },
         {"crossfade.v1.Event.xid = 10: its number now means server"}},
        {[](proto& p) { field(p, "Event", "ordinal").set_type(FieldDescriptorProto::TYPE_FIXED64); },
         {"crossfade.v1.Event.ordinal = 4: was uint64, is now fixed64"}},
        {[](proto& p) {
             field(p, "Event", "end_lsn").set_proto3_optional(true);
             field(p, "Event", "end_lsn").set_oneof_index(message(p, "Event").oneof_decl_size());
             message(p, "Event").add_oneof_decl()->set_name("_end_lsn");
         },
         {"crossfade.v1.Event.end_lsn = 8: was without presence, is now with presence"}},
        {[](proto& p) { field(p, "Event", "heartbeat").clear_oneof_index(); },
         {"crossfade.v1.Event.heartbeat = 15: was in oneof body, is now with presence"}},
        {[](proto& p) { field(p, "Row", "values").set_label(FieldDescriptorProto::LABEL_OPTIONAL); },
         {"crossfade.v1.Row.values = 2: was repeated bytes, is now bytes"}},
        {[](proto& p) { field(p, "Event", "truncate").set_type_name(".crossfade.v1.LogicalMessage"); },
         {"crossfade.v1.Event.truncate = 13: was message crossfade.v1.Truncate, is now message "
          "crossfade.v1.LogicalMessage"}},
        {[](proto& p) { enumeration(p, "RowChange", "Before").mutable_value()->RemoveLast(); },
         {"crossfade.v1.RowChange.Before.WHOLE = 2: is gone"}},
        {[](proto& p) { enumeration(p, "Relation", "ReplicaIdentity").mutable_value(1)->set_name("OTHER"); },
         {"crossfade.v1.Relation.ReplicaIdentity.NOTHING = 1: its number now means OTHER"}},
        // No harm:
        {[](proto& p) {
             auto& added = *message(p, "Event").add_field();
             added = field(p, "Event", "relation");
             added.set_name("origin");
             added.set_json_name("origin");
             added.set_number(16);
         },
         {}},
        {[](proto& p) {
             auto& added = *enumeration(p, "Relation", "ReplicaIdentity").add_value();
             added.set_name("LATER");
             added.set_number(4);
         },
         {}},
        {[](proto& p) { p.add_message_type()->set_name("Later"); }, {}},
    };
    const contract before{written_now()};
    for (std::size_t i = 0; i < changes.size(); ++i) {
        SCOPED_TRACE(i);
        auto described = written_now();
        changes[i].make(described);
        const contract after{described};
        EXPECT_THAT(breaks(before.file(), after.file()), testing::ElementsAreArray(changes[i].complaints));
    }
}

// With CROSSFADE_RECORD_EVENTS=VERSION it records a release, see released/README.md.
TEST(event_contract, is_recorded_as_it_is_read) {
    const support::temp_dir anywhere;
    const char* version = std::getenv("CROSSFADE_RECORD_EVENTS");  // NOLINT(concurrency-mt-unsafe)
    const auto folder = version == nullptr ? anywhere.path() / "now" : releases / version;
    ASSERT_FALSE(fs::exists(folder)) << "what a release wrote stays as it is";
    record(folder);
    const auto now = read(folder);
    EXPECT_EQ(now.proto.SerializeAsString(), written_now().SerializeAsString());
    std::map<std::string, std::string> messages;
    for (const auto& [name, event] : one_of_each()) messages.emplace(name, encoded(event));
    EXPECT_EQ(now.messages, messages);
}

}  // namespace
}  // namespace crossfade::events
