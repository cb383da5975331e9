#include "lib/events/codec.hpp"

#include <crossfade/v1/events.pb.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <array>
#include <optional>
#include <random>

#include "tests/unit/events/samples.hpp"

namespace crossfade::events {
namespace {

using model::before_image;
using model::row_operation;

TEST(events_codec, what_is_encoded_is_decoded) {
    relation_encoder encoder;
    relation_decoder decoder;
    // Twice and in both orders, so that nothing of one event is left in the next.
    auto events = one_of_each();
    events[2].event.left = {{1, model::lsn{7}}, {4, model::lsn{0x16B374D848}}};
    for (int round = 0; round < 2; ++round) {
        for (const auto& [name, event] : events) {
            const auto got = decode(encode(event, encoder), decoder);
            ASSERT_TRUE(got) << name;
            expect_equal(event, *got);
        }
        std::reverse(events.begin(), events.end());
    }
}

// Rows are written without protobuf's help; its own parser and serialiser have to agree with every byte.
TEST(events_codec, what_is_encoded_is_what_protobuf_writes) {
    relation_encoder encoder;
    const auto expect_canonical = [&](const std::string& name, const model::change_event& event) {
        const auto bytes = encode(event, encoder);
        v1::Event parsed;
        ASSERT_TRUE(parsed.ParseFromString(bytes)) << name;
        EXPECT_EQ(parsed.SerializeAsString(), bytes) << name;
        // Behind what is there already.
        std::string appended = "before";
        encode(event, encoder, appended);
        EXPECT_EQ(appended, "before" + bytes) << name;
    };
    for (const auto& [name, event] : one_of_each()) expect_canonical(name, event);
    model::change_event defaults;
    defaults.body = model::truncate{};
    expect_canonical("defaults and a truncate", defaults);
    defaults.body = model::logical_message{};
    expect_canonical("defaults and a message", defaults);
    defaults.body = model::heartbeat{};
    expect_canonical("defaults and a heartbeat", defaults);

    // Lengths and numbers around those where a varint grows.
    std::mt19937_64 random{20261130};
    const auto number = [&] { return random() >> (random() % 64); };
    const auto place = [&]() -> std::optional<model::place> {
        if (random() % 2 == 0) return std::nullopt;
        return model::place{model::lsn{number() % 3 == 0 ? 0 : number()}, number() % 200};
    };
    for (int round = 0; round < 500; ++round) {
        const auto columns = random() % 3 == 0 ? random() % 300 : random() % 4;
        model::relation rel{1, {"public", "t"}, model::replica_identity::full, {}};
        rel.columns.resize(columns);
        const auto row = [&] {
            model::row cells(columns);
            for (auto& cell : cells) {
                constexpr std::array lengths{0, 1, 126, 127, 128, 129, 16383, 16384};
                if (random() % 4 == 0) continue;
                cell = text(std::string(static_cast<std::size_t>(lengths[random() % (columns > 4 ? 3 : 8)]), 'x'));
            }
            return cells;
        };
        const auto operation = static_cast<row_operation>(random() % 3);
        auto before_kind = static_cast<before_image>(random() % 3);
        if (operation == row_operation::insert) before_kind = before_image::absent;
        if (operation == row_operation::remove && before_kind == before_image::absent) before_kind = before_image::key;
        auto event = event_of(model::row_change{std::make_shared<const model::relation>(rel), operation, before_kind,
                                                before_kind == before_image::absent ? model::row{} : row(),
                                                operation == row_operation::remove ? model::row{} : row()});
        event.at = {number(), static_cast<std::uint32_t>(number()), model::lsn{number()}, number()};
        event.publisher = number();
        if (random() % 2 == 0) event.previous = model::lsn{random() % 2 == 0 ? 0 : number()};
        for (auto left = random() % 3; left > 0; --left)
            event.left.push_back({static_cast<std::uint32_t>(number()), model::lsn{number()}});
        event.last = random() % 2 == 0;
        event.end_lsn = model::lsn{event.last ? number() : 0};
        event.xid = static_cast<std::uint32_t>(number());
        event.partition_previous = place();
        event.after_others = place();
        event.barrier = random() % 2 == 0;
        for (auto each = random() % 4; each > 0; --each)
            event.barrier_partitions.push_back(static_cast<std::uint32_t>(number()));
        expect_canonical("round " + std::to_string(round), event);

        relation_decoder decoder;
        const auto got = decode(encode(event, encoder), decoder);
        ASSERT_TRUE(got) << round;
        expect_equal(event, *got);
    }
}

TEST(events_codec, rows_of_one_version_of_a_table_share_the_parsed_relation) {
    relation_encoder encoder;
    relation_decoder decoder;
    const auto event = one_of_each().front().event;
    const auto first = decode(encode(event, encoder), decoder);
    const auto second = decode(encode(event, encoder), decoder);
    EXPECT_EQ(std::get<model::row_change>(first->body).rel, std::get<model::row_change>(second->body).rel);
}

TEST(events_codec, a_large_event_passes) {
    relation_encoder encoder;
    relation_decoder decoder;
    const auto event = event_of(model::row_change{orders(),
                                                  row_operation::insert,
                                                  before_image::absent,
                                                  {},
                                                  {text("1"), text(std::string(5'000'000, 'x')), null_cell}});
    expect_equal(event, *decode(encode(event, encoder), decoder));
    const auto small = one_of_each().front().event;
    expect_equal(small, *decode(encode(small, encoder), decoder));
}

TEST(events_codec, an_event_that_contradicts_itself_is_refused) {
    relation_encoder encoder;
    using edit = void (*)(v1::Event&);
    const std::vector<std::pair<const char*, edit>> edits{
        {"no body", [](v1::Event& e) { e.clear_row(); }},
        {"no relation", [](v1::Event& e) { e.clear_relation(); }},
        {"a relation that is none", [](v1::Event& e) { e.set_relation("\xff\xff"); }},
        {"one cell too few", [](v1::Event& e) { e.mutable_row()->mutable_after()->set_kinds("tt"); }},
        {"one cell too many", [](v1::Event& e) { e.mutable_row()->mutable_after()->set_kinds("ttnn"); }},
        {"a value too few", [](v1::Event& e) { e.mutable_row()->mutable_after()->set_kinds("ttt"); }},
        {"a value too many", [](v1::Event& e) { e.mutable_row()->mutable_after()->add_values("x"); }},
        {"a kind of cell unknown", [](v1::Event& e) { e.mutable_row()->mutable_after()->set_kinds("ttb"); }},
        {"a kind of change unknown", [](v1::Event& e) { e.mutable_row()->set_kind(v1::RowChange_Kind(7)); }},
        {"an insert without a row", [](v1::Event& e) { e.mutable_row()->clear_after(); }},
        {"an insert with a row before",
         [](v1::Event& e) {
             e.mutable_row()->set_before_kind(v1::RowChange::WHOLE);
             *e.mutable_row()->mutable_before() = e.row().after();
         }},
        {"a delete without its key",
         [](v1::Event& e) {
             e.mutable_row()->set_kind(v1::RowChange::DELETE);
             e.mutable_row()->clear_after();
         }},
        {"an image nobody announced", [](v1::Event& e) { e.mutable_row()->mutable_before()->set_kinds("nnn"); }},
        {"a truncate of nothing", [](v1::Event& e) { e.mutable_truncate()->set_cascade(true); }},
    };
    for (const auto& [name, apply] : edits) {
        relation_decoder decoder;
        v1::Event event;
        ASSERT_TRUE(event.ParseFromString(encode(one_of_each().front().event, encoder)));
        ASSERT_TRUE(decode(event.SerializeAsString(), decoder)) << name;
        apply(event);
        const auto got = decode(event.SerializeAsString(), decoder);
        ASSERT_FALSE(got) << name;
        EXPECT_EQ(got.error(), boost::system::errc::bad_message) << name;
    }
}

TEST(events_codec, no_bytes_make_decode_throw) {
    relation_encoder encoder;
    relation_decoder decoder;
    std::mt19937 random{20261120};
    for (const auto& [name, event] : one_of_each()) {
        const auto whole = encode(event, encoder);
        for (std::size_t length = 0; length < whole.size(); ++length)
            EXPECT_NO_THROW((void)decode(std::string_view{whole}.substr(0, length), decoder));
        for (int round = 0; round < 2000; ++round) {
            auto bent = whole;
            for (int i = 0; i < 3; ++i) bent[random() % bent.size()] = static_cast<char>(random());
            EXPECT_NO_THROW((void)decode(bent, decoder));
        }
    }
    for (int round = 0; round < 5000; ++round) {
        std::string noise(random() % 64, '\0');
        for (auto& c : noise) c = static_cast<char>(random());
        EXPECT_NO_THROW((void)decode(noise, decoder));
    }
}

TEST(message_key, names_the_row) {
    const auto key_of = [](model::replica_identity identity, before_image before_kind, model::row before,
                           model::row after) {
        const auto op = after.empty() ? row_operation::remove : row_operation::update;
        return message_key(
            event_of(model::row_change{orders(identity), op, before_kind, std::move(before), std::move(after)}));
    };
    const model::row row{text("17"), text("x"), null_cell};
    const model::row other{text("18"), null_cell, null_cell};
    const std::string prefix{"public.orders\0", 14};
    using model::replica_identity;
    EXPECT_EQ(key_of(replica_identity::primary_key, before_image::absent, {}, row), prefix + "2:17");
    EXPECT_EQ(key_of(replica_identity::index, before_image::key, other, row), prefix + "2:18");
    EXPECT_EQ(key_of(replica_identity::primary_key, before_image::key, other, {}), prefix + "2:18");
    EXPECT_EQ(key_of(replica_identity::full, before_image::whole, other, row), "public.orders");
    EXPECT_EQ(key_of(replica_identity::nothing, before_image::absent, {}, row), "public.orders");
    EXPECT_EQ(message_key(event_of(model::heartbeat{})), "");
}

}  // namespace
}  // namespace crossfade::events
