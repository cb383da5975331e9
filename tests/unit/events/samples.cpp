#include "tests/unit/events/samples.hpp"

#include <gtest/gtest.h>

#include <chrono>

namespace crossfade::events {

using model::before_image;
using model::row_operation;

std::shared_ptr<const model::relation> orders(model::replica_identity identity) {
    model::relation rel{16384, {"public", "orders"}, identity, {}};
    rel.columns = {{"id", 20, -1, true}, {"note", 25, -1, false}, {"amount", 1700, 655366, false}};
    return std::make_shared<const model::relation>(rel);
}

model::cell text(std::string value) {
    return {model::cell_kind::text, std::move(value)};
}

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

std::vector<sample> one_of_each() {
    using namespace std::chrono_literals;
    using model::replica_identity;
    const auto rel = orders();
    const auto full = orders(replica_identity::full);
    const model::row row{text("1"), text(std::string{"a\0b", 3}), null_cell};
    const model::row patched{text("2"), unchanged, text("")};
    const model::row key{text("1"), null_cell, null_cell};
    std::vector<sample> all;
    const auto add = [&all](std::string name, decltype(model::change_event::body) body) {
        auto& added = all.emplace_back(sample{std::move(name), event_of(std::move(body))});
        added.event.previous = model::lsn{added.event.body.index() * 7};
    };
    const auto add_row = [&](std::string name, const auto& of, row_operation operation, before_image before_kind,
                             model::row before, model::row after) {
        add(std::move(name), model::row_change{of, operation, before_kind, std::move(before), std::move(after)});
    };
    add_row("insert", rel, row_operation::insert, before_image::absent, {}, row);
    add_row("update", rel, row_operation::update, before_image::absent, {}, patched);
    add_row("update_of_key", rel, row_operation::update, before_image::key, key, patched);
    add_row("update_full", full, row_operation::update, before_image::whole, row, patched);
    add_row("delete", rel, row_operation::remove, before_image::key, key, {});
    add_row("delete_full", full, row_operation::remove, before_image::whole, row, {});
    add("truncate_cascade", model::truncate{{rel, full}, true, false});
    add("truncate_restart_identity", model::truncate{{rel}, false, true});
    add("message", model::logical_message{"crossfade", std::string{"\0\xff", 2}});
    add("heartbeat", model::heartbeat{model::source_time{1700000000000000us}});
    add_row("insert_identity_nothing", orders(replica_identity::nothing), row_operation::insert, before_image::absent,
            {}, row);
    add_row("insert_identity_index", orders(replica_identity::index), row_operation::insert, before_image::absent, {},
            row);
    add_row("insert_by_key", rel, row_operation::insert, before_image::absent, {}, row);
    all.back().event.partition_previous = model::place{model::lsn{0x16B374D000}, 77};
    all.back().event.after_others = model::place{model::lsn{0x16B3740000}, 3};
    add("barrier", model::truncate{{rel}, false, false});
    all.back().event.partition_previous = model::place{model::lsn{}, 0};
    all.back().event.barrier = true;
    all.back().event.barrier_partitions = {7, 0};
    all.front().event.previous.reset();
    all[9].event.last = false;
    return all;
}

namespace {

void expect_equal(const model::row_change& a, const model::row_change& b) {
    EXPECT_EQ(*a.rel, *b.rel);
    EXPECT_EQ(a.operation, b.operation);
    EXPECT_EQ(a.before_kind, b.before_kind);
    EXPECT_EQ(a.before, b.before);
    EXPECT_EQ(a.after, b.after);
}
void expect_equal(const model::truncate& a, const model::truncate& b) {
    ASSERT_EQ(a.relations.size(), b.relations.size());
    for (std::size_t i = 0; i < a.relations.size(); ++i) EXPECT_EQ(*a.relations[i], *b.relations[i]);
    EXPECT_EQ(a.cascade, b.cascade);
    EXPECT_EQ(a.restart_identity, b.restart_identity);
}
void expect_equal(const model::logical_message& a, const model::logical_message& b) {
    EXPECT_EQ(a.prefix, b.prefix);
    EXPECT_EQ(a.content, b.content);
}
void expect_equal(const model::heartbeat& a, const model::heartbeat& b) {
    EXPECT_EQ(a.emitted_at, b.emitted_at);
}

}  // namespace

void expect_equal(const model::change_event& a, const model::change_event& b) {
    EXPECT_EQ(a.at, b.at);
    EXPECT_EQ(a.publisher, b.publisher);
    EXPECT_EQ(a.previous, b.previous);
    EXPECT_EQ(a.partition_previous, b.partition_previous);
    EXPECT_EQ(a.after_others, b.after_others);
    EXPECT_EQ(a.barrier, b.barrier);
    EXPECT_EQ(a.barrier_partitions, b.barrier_partitions);
    EXPECT_EQ(a.left, b.left);
    EXPECT_EQ(a.last, b.last);
    EXPECT_EQ(a.end_lsn, b.end_lsn);
    EXPECT_EQ(a.commit_time, b.commit_time);
    EXPECT_EQ(a.xid, b.xid);
    ASSERT_EQ(a.body.index(), b.body.index());
    std::visit([&b](const auto& body) { expect_equal(body, std::get<std::decay_t<decltype(body)>>(b.body)); }, a.body);
}

}  // namespace crossfade::events
