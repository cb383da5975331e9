#include "lib/events/codec.hpp"

#include <crossfade/v1/events.pb.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <chrono>
#include <random>

namespace crossfade::events {
namespace {

using model::before_image;
using model::cell_kind;
using model::row_operation;

std::shared_ptr<const model::relation> orders(model::replica_identity identity = model::replica_identity::primary_key) {
    model::relation rel{16384, {"public", "orders"}, identity, {}};
    rel.columns = {{"id", 20, -1, true}, {"note", 25, -1, false}, {"amount", 1700, 655366, false}};
    return std::make_shared<const model::relation>(rel);
}

model::cell text(std::string value) {
    return {cell_kind::text, std::move(value)};
}
const model::cell null_cell{};
const model::cell unchanged{cell_kind::unchanged, {}};

model::change_event event_of(decltype(model::change_event::body) body) {
    using namespace std::chrono_literals;
    model::change_event event;
    event.at = {7301234567890123456U, 3, model::lsn{0x16B374D848}, 2};
    event.publisher = 0xFEDCBA9876543210U;
    event.last = true;
    event.end_lsn = model::lsn{0x16B374D880};
    event.commit_time = model::source_time{-1us};
    event.xid = 4000000000U;
    event.body = std::move(body);
    return event;
}

void expect_equal(const model::change_event& a, const model::change_event& b) {
    EXPECT_EQ(a.at, b.at);
    EXPECT_EQ(a.publisher, b.publisher);
    EXPECT_EQ(a.previous, b.previous);
    EXPECT_EQ(a.last, b.last);
    EXPECT_EQ(a.end_lsn, b.end_lsn);
    EXPECT_EQ(a.commit_time, b.commit_time);
    EXPECT_EQ(a.xid, b.xid);
    ASSERT_EQ(a.body.index(), b.body.index());
    if (const auto* row = std::get_if<model::row_change>(&a.body)) {
        const auto& other = std::get<model::row_change>(b.body);
        EXPECT_EQ(*row->rel, *other.rel);
        EXPECT_EQ(row->operation, other.operation);
        EXPECT_EQ(row->before_kind, other.before_kind);
        EXPECT_EQ(row->before, other.before);
        EXPECT_EQ(row->after, other.after);
    } else if (const auto* truncate = std::get_if<model::truncate>(&a.body)) {
        const auto& other = std::get<model::truncate>(b.body);
        ASSERT_EQ(truncate->relations.size(), other.relations.size());
        for (std::size_t i = 0; i < other.relations.size(); ++i)
            EXPECT_EQ(*truncate->relations[i], *other.relations[i]);
        EXPECT_EQ(truncate->cascade, other.cascade);
        EXPECT_EQ(truncate->restart_identity, other.restart_identity);
    } else if (const auto* message = std::get_if<model::logical_message>(&a.body)) {
        EXPECT_EQ(message->prefix, std::get<model::logical_message>(b.body).prefix);
        EXPECT_EQ(message->content, std::get<model::logical_message>(b.body).content);
    } else {
        EXPECT_EQ(std::get<model::heartbeat>(a.body).emitted_at, std::get<model::heartbeat>(b.body).emitted_at);
    }
}

std::vector<model::change_event> one_of_each() {
    using namespace std::chrono_literals;
    const auto rel = orders();
    const auto full = orders(model::replica_identity::full);
    const model::row row{text("1"), text(std::string{"a\0b", 3}), null_cell};
    const model::row patched{text("2"), unchanged, text("")};
    const model::row key{text("1"), null_cell, null_cell};
    std::vector<model::change_event> all;
    all.push_back(event_of(model::row_change{rel, row_operation::insert, before_image::absent, {}, row}));
    all.push_back(event_of(model::row_change{rel, row_operation::update, before_image::absent, {}, patched}));
    all.push_back(event_of(model::row_change{rel, row_operation::update, before_image::key, key, patched}));
    all.push_back(event_of(model::row_change{full, row_operation::update, before_image::whole, row, patched}));
    all.push_back(event_of(model::row_change{rel, row_operation::remove, before_image::key, key, {}}));
    all.push_back(event_of(model::row_change{full, row_operation::remove, before_image::whole, row, {}}));
    all.push_back(event_of(model::truncate{{rel, full}, true, false}));
    all.push_back(event_of(model::truncate{{rel}, false, true}));
    all.push_back(event_of(model::logical_message{"crossfade", std::string{"\0\xff", 2}}));
    all.push_back(event_of(model::heartbeat{model::source_time{1700000000000000us}}));
    for (auto& event : all) event.previous = model::lsn{event.body.index() * 7};
    all.front().previous.reset();
    all.back().last = false;
    return all;
}

TEST(events_codec, what_is_encoded_is_decoded) {
    relation_encoder encoder;
    relation_decoder decoder;
    // Twice and in both orders, so that nothing of one event is left in the next.
    auto events = one_of_each();
    for (int round = 0; round < 2; ++round) {
        for (const auto& event : events) {
            const auto got = decode(encode(event, encoder), decoder);
            ASSERT_TRUE(got) << "body " << event.body.index();
            expect_equal(event, *got);
        }
        std::reverse(events.begin(), events.end());
    }
}

TEST(events_codec, rows_of_one_version_of_a_table_share_the_parsed_relation) {
    relation_encoder encoder;
    relation_decoder decoder;
    const auto event = one_of_each().front();
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
    const auto small = one_of_each().front();
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
        ASSERT_TRUE(event.ParseFromString(encode(one_of_each().front(), encoder)));
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
    for (const auto& event : one_of_each()) {
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
