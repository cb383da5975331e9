#include "lib/pgoutput/assembler.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <chrono>

namespace crossfade::pgoutput {
namespace {

using model::before_image;
using model::cell_kind;
using model::row_operation;
using testing::ElementsAre;

// Feeds messages and writes down what comes out: "insert public.a @100/1 prev 50", with " last 120" where it ends.
class script {
  public:
    explicit script(std::uint64_t previous = 50, model::timeline_history timelines = {3, {}},
                    std::function<bool(std::string_view)> leaves_out = {})
        : assembler_({77, std::move(timelines), 4711, model::lsn{previous}}, std::move(leaves_out)) {}

    script& begins(std::uint64_t lsn, std::uint32_t xid = 9) {
        return feed(begin{model::lsn{lsn}, model::source_time{std::chrono::microseconds{lsn}}, xid});
    }
    script& comes_from(const std::string& name) { return feed(origin{model::lsn{1}, name}); }
    script& commits(std::uint64_t lsn, std::uint64_t end) { return feed(commit{model::lsn{lsn}, model::lsn{end}, {}}); }
    script& describes(std::uint32_t oid, const std::string& name, std::size_t columns = 1) {
        model::relation rel{oid, {"public", name}, model::replica_identity::primary_key, {}};
        for (std::size_t i = 0; i < columns; ++i) rel.columns.push_back({"c" + std::to_string(i), 25, -1, i == 0});
        return feed(relation{rel});
    }
    script& inserts(std::uint32_t oid, const std::string& value = "v") {
        return feed(row_message{oid, row_operation::insert, before_image::absent, {}, {{cell_kind::text, value}}});
    }
    script& truncates(std::vector<std::uint32_t> oids) { return feed(truncate{std::move(oids), true, false}); }
    script& marks(const std::string& prefix) { return feed(logical_message{true, model::lsn{1}, prefix, "content"}); }
    script& beats(std::uint64_t end, const std::string& content = "1000",
                  const std::string& prefix = "crossfade.heartbeat") {
        return feed(logical_message{false, model::lsn{end}, prefix, content});
    }
    script& feed(message&& one) {
        if (refused_) return *this;
        auto got = assembler_.take(std::move(one));
        if (!got) {
            refused_ = true;
            said_.push_back("refused: " + std::string{got.error().reason});
        } else if (*got) {
            said_.push_back(say(**got));
            events_.push_back(std::move(**got));
        }
        return *this;
    }

    const std::vector<std::string>& said() const { return said_; }
    const std::vector<model::change_event>& events() const { return events_; }

  private:
    static std::string say(const model::change_event& event) {
        std::string text;
        if (const auto* row = std::get_if<model::row_change>(&event.body)) {
            const std::string operations[]{"insert", "update", "delete"};
            text = operations[static_cast<int>(row->operation)] + ' ' + row->rel->table.name;
        } else if (const auto* all = std::get_if<model::truncate>(&event.body)) {
            text = "truncate";
            for (const auto& rel : all->relations) text += ' ' + rel->table.name;
        } else if (const auto* message = std::get_if<model::logical_message>(&event.body)) {
            text = "message " + message->prefix;
        } else {
            text = "heartbeat";
        }
        text += " @" + std::to_string(event.at.commit_lsn.value) + '/' + std::to_string(event.at.ordinal);
        if (event.previous) text += " prev " + std::to_string(event.previous->value);
        if (event.last) text += " last " + std::to_string(event.end_lsn.value);
        return text;
    }

    assembler assembler_;
    std::vector<std::string> said_;
    std::vector<model::change_event> events_;
    bool refused_ = false;
};

TEST(assembler, rows_get_ordinals_and_the_last_one_says_so) {
    script s;
    s.begins(100).describes(1, "a").inserts(1).inserts(1).inserts(1).commits(100, 120);
    EXPECT_THAT(s.said(), ElementsAre("insert a @100/1 prev 50", "insert a @100/2", "insert a @100/3 last 120"));
    for (const auto& event : s.events()) {
        EXPECT_EQ(event.at.system_identifier, 77U);
        EXPECT_EQ(event.at.timeline, 3U);
        EXPECT_EQ(event.publisher, 4711U);
        EXPECT_EQ(event.xid, 9U);
        EXPECT_EQ(event.commit_time.time_since_epoch().count(), 100);
    }
}

// A promoted server sends what its predecessor had written, too; and by its position it is known.
TEST(assembler, events_are_of_the_timeline_on_which_they_were_written) {
    script s{50, {3, {{1, model::lsn{100}}, {2, model::lsn{200}}}}};
    s.begins(90).describes(1, "a").inserts(1).inserts(1).commits(90, 100);
    s.begins(100).inserts(1).inserts(1).commits(100, 120);
    s.beats(200).begins(200).inserts(1).commits(200, 210);
    std::vector<std::string> got;
    for (const auto& event : s.events()) {
        got.push_back(std::to_string(event.at.timeline));
        for (const auto& left : event.left)
            got.back() += ' ' + std::to_string(left.timeline) + '@' + std::to_string(left.end.value);
    }
    EXPECT_THAT(got, ElementsAre("1", "1", "2 1@100", "2", "2", "3 1@100 2@200"));
}

TEST(assembler, the_newest_row_is_held_back_until_its_successor_is_there) {
    script s;
    s.begins(100).describes(1, "a").inserts(1, "first");
    EXPECT_TRUE(s.said().empty());
    s.inserts(1, "second");
    ASSERT_EQ(s.said().size(), 1U);
    EXPECT_EQ(std::get<model::row_change>(s.events()[0].body).after[0].text, "first");
}

// DBZ-6204, dbz#76: a commit's end and what comes next may share an LSN, and so may BEGIN and a transaction's rows.
TEST(assembler, transactions_that_touch_keep_apart) {
    script s;
    s.begins(100).describes(1, "a").inserts(1).commits(100, 120);
    s.begins(120).inserts(1).commits(120, 140);
    s.begins(140).inserts(1).commits(140, 160);
    EXPECT_THAT(s.said(), ElementsAre("insert a @100/1 prev 50 last 120", "insert a @120/1 prev 120 last 140",
                                      "insert a @140/1 prev 140 last 160"));
}

// A heartbeat whose record ends where a commit record begins, as one written within that transaction's lifetime does.
TEST(assembler, a_heartbeat_right_before_a_commit_keeps_apart) {
    script s;
    s.describes(1, "a").begins(100).inserts(1).commits(100, 120);
    s.beats(200).begins(200).inserts(1).commits(200, 220).beats(300);
    EXPECT_THAT(s.said(), ElementsAre("insert a @100/1 prev 50 last 120", "heartbeat @199/0 prev 120 last 200",
                                      "insert a @200/1 prev 200 last 220", "heartbeat @299/0 prev 220 last 300"));
    EXPECT_EQ(std::get<model::heartbeat>(s.events()[1].body).emitted_at.time_since_epoch().count(), 1000);
}

// debezium/dbz#2058: nothing after a message within a transaction is lost.
TEST(assembler, messages_within_a_transaction_are_counted_if_they_are_ours) {
    script s;
    s.describes(1, "a").begins(100).marks("crossfade").inserts(1).marks("another's").inserts(1).marks("crossfade.x");
    s.commits(100, 120).begins(130).inserts(1).commits(130, 140);
    EXPECT_THAT(s.said(), ElementsAre("message crossfade @100/1 prev 50", "insert a @100/2", "insert a @100/3",
                                      "message crossfade.x @100/4 last 120", "insert a @130/1 prev 120 last 140"));
}

TEST(assembler, empty_transactions_and_messages_of_others_leave_no_trace) {
    script s;
    s.describes(1, "a").begins(100).commits(100, 120).begins(130).marks("another's").commits(130, 140);
    s.beats(150, "1000", "another's").beats(160, "not a number").beats(170, "").beats(180, "99999999999999999999");
    s.begins(200).inserts(1).commits(200, 220);
    EXPECT_THAT(s.said(), ElementsAre("insert a @200/1 prev 50 last 220"));
}

// Any role may emit one. It would be the stream's time.
TEST(assembler, a_heartbeat_of_no_clock_s_time_leaves_no_trace) {
    script s;
    for (const auto* time : {"9223372036854775807", "-9223372036854775808", "-1", "7258118400000001"})
        s.beats(150, time);
    s.beats(160, "7258118400000000").beats(170, "0");
    EXPECT_THAT(s.said(), ElementsAre("heartbeat @159/0 prev 50 last 160", "heartbeat @169/0 prev 160 last 170"));
}

TEST(assembler, a_heartbeat_within_a_transaction_is_left_out) {
    script s;
    s.describes(1, "a").begins(100).inserts(1).beats(90).inserts(1).commits(100, 120);
    EXPECT_THAT(s.said(), ElementsAre("insert a @100/1 prev 50", "insert a @100/2 last 120"));
}

// What the way back has brought, of a stream that goes both ways.
TEST(assembler, what_comes_from_an_origin_that_is_left_out_leaves_no_trace) {
    script s{50, {3, {}}, [](std::string_view origin) { return origin == "ours"; }};
    s.begins(100).describes(1, "a").inserts(1).commits(100, 120);
    s.begins(130).comes_from("ours").describes(2, "b").inserts(1).truncates({1, 2}).marks("crossfade").inserts(2);
    s.commits(130, 140);
    s.begins(150).inserts(2).inserts(1).commits(150, 160);
    s.begins(170).comes_from("another's").inserts(2).commits(170, 180);
    s.begins(190).comes_from("ours").commits(190, 200).beats(220);
    EXPECT_THAT(s.said(),
                ElementsAre("insert a @100/1 prev 50 last 120", "insert b @150/1 prev 120", "insert a @150/2 last 160",
                            "insert b @170/1 prev 160 last 180", "heartbeat @219/0 prev 180 last 220"));
}

TEST(assembler, every_origin_is_published_unless_one_is_named) {
    script s;
    s.begins(100).comes_from("ours").describes(1, "a").inserts(1).commits(100, 120);
    EXPECT_THAT(s.said(), ElementsAre("insert a @100/1 prev 50 last 120"));
}

// It would be a way to have half of a transaction published.
TEST(assembler, what_is_left_out_is_looked_at_all_the_same) {
    script s{50, {3, {}}, [](std::string_view) { return true; }};
    s.begins(100).comes_from("ours").inserts(1);
    EXPECT_THAT(s.said(), ElementsAre(testing::StartsWith("refused: ")));
}

TEST(assembler, row_images_pass_unaltered) {
    script s;
    const model::row key{{cell_kind::text, "1"}, {}};
    const model::row after{{cell_kind::text, "2"}, {cell_kind::unchanged, ""}};
    s.describes(1, "a", 2).begins(100);
    s.feed(row_message{1, row_operation::update, before_image::key, key, after});
    s.feed(row_message{1, row_operation::remove, before_image::whole, after, {}}).commits(100, 120);
    ASSERT_THAT(s.said(), ElementsAre("update a @100/1 prev 50", "delete a @100/2 last 120"));
    const auto& update = std::get<model::row_change>(s.events()[0].body);
    EXPECT_EQ(update.before_kind, before_image::key);
    EXPECT_EQ(update.before, key);
    EXPECT_EQ(update.after, after);
    EXPECT_EQ(std::get<model::row_change>(s.events()[1].body).before, after);
}

TEST(assembler, truncate_of_many_tables_is_one_event) {
    script s;
    s.describes(1, "a").describes(2, "b").begins(100).truncates({2, 1}).inserts(1).commits(100, 120);
    EXPECT_THAT(s.said(), ElementsAre("truncate b a @100/1 prev 50", "insert a @100/2 last 120"));
    EXPECT_TRUE(std::get<model::truncate>(s.events()[0].body).cascade);
}

TEST(assembler, a_table_described_anew_applies_from_there_on) {
    script s;
    s.describes(1, "a").begins(100).inserts(1).describes(1, "a").inserts(1).describes(1, "renamed").inserts(1);
    s.commits(100, 120);
    ASSERT_THAT(s.said(), ElementsAre("insert a @100/1 prev 50", "insert a @100/2", "insert renamed @100/3 last 120"));
    // The same description again is the same object: that is what encoders keep its bytes by.
    EXPECT_EQ(std::get<model::row_change>(s.events()[0].body).rel, std::get<model::row_change>(s.events()[1].body).rel);
}

TEST(assembler, what_a_server_must_not_send_is_refused) {
    const std::vector<std::pair<const char*, void (*)(script&)>> wrongs{
        {"begin within", [](script& s) { s.begins(100).begins(200); }},
        {"origin without", [](script& s) { s.comes_from("ours"); }},
        {"a late origin", [](script& s) { s.begins(100).inserts(1).comes_from("ours"); }},
        {"commit without", [](script& s) { s.commits(100, 120); }},
        {"another's commit", [](script& s) { s.begins(100).commits(101, 120); }},
        {"row without", [](script& s) { s.inserts(1); }},
        {"truncate without", [](script& s) { s.truncates({1}); }},
        {"message without", [](script& s) { s.marks("crossfade"); }},
        {"unknown table", [](script& s) { s.begins(100).inserts(2); }},
        {"unknown table truncated",
         [](script& s) {
             s.begins(100).truncates({1, 2});
         }},
        {"missing column", [](script& s) { s.describes(1, "a", 2).begins(100).inserts(1); }},
        {"going back", [](script& s) { s.begins(100).inserts(1).commits(100, 120).begins(119); }},
        {"heartbeat going back", [](script& s) { s.begins(100).inserts(1).commits(100, 120).beats(120); }},
        {"heartbeat at zero", [](script& s) { s.beats(0); }},
    };
    for (const auto& [name, play] : wrongs) {
        script s;
        s.describes(1, "a");
        play(s);
        ASSERT_FALSE(s.said().empty()) << name;
        EXPECT_THAT(s.said().back(), testing::StartsWith("refused: ")) << name;
    }
}

}  // namespace
}  // namespace crossfade::pgoutput
