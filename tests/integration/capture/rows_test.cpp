#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <atomic>
#include <iostream>
#include <thread>

#include "tests/integration/capture/rig.hpp"
#include "tests/support/configured.hpp"
#include "tests/support/eventually.hpp"
#include "tests/support/kafka.hpp"

namespace crossfade::proxy::capture {
namespace {

using namespace std::chrono_literals;
using testing::ElementsAre;

// Waits until a message written after everything else is in the topic, so that all before it is.
std::vector<model::change_event> published(stream_fixture& stream) {
    stream.sql("SELECT pg_logical_emit_message(true, 'crossfade.end', 'x')");
    std::vector<model::change_event> events;
    EXPECT_TRUE(support::eventually(20s, [&] {
        events = read_topic(stream.settings()->config);
        for (const auto& event : events)
            if (describe(event) == "message crossfade.end x") return true;
        return false;
    }));
    return events;
}

std::vector<std::string> rows_of(const std::vector<model::change_event>& events, model::lsn start) {
    exactly_once_reader reader{start};
    reader.take(events);
    EXPECT_THAT(reader.faults(), testing::IsEmpty());
    auto rows = reader.rows();
    if (!rows.empty() && rows.back() == "message crossfade.end x") rows.pop_back();
    return rows;
}

class capture_rows : public testing::Test {
  protected:
    capture_rows() : stream_("rows", kafka_.config()) { kafka_.create_topic(stream_.stream().topic(), 1); }

    void begin() {
        stream_.make_slot();
        start_ = stream_.confirmed();
        publisher_.start();
    }

    support::mock_kafka kafka_;
    stream_fixture stream_;
    prometheus::Registry metrics_;
    stream_publisher publisher_{stream_.settings(), metrics_};
    model::lsn start_;
};

TEST_F(capture_rows, every_kind_of_change_arrives_once_and_in_order) {
    stream_.table("a", "id int PRIMARY KEY, v text");
    stream_.table("b", "id int PRIMARY KEY REFERENCES rows.a, v text");
    stream_.table("whole", "v text", "ALTER TABLE rows.whole REPLICA IDENTITY FULL");
    stream_.table("keyless", "v text");
    begin();
    stream_.sql("INSERT INTO rows.a VALUES (1, 'one'), (2, NULL)");
    stream_.sql("UPDATE rows.a SET v = 'two' WHERE id = 2");
    stream_.sql("UPDATE rows.a SET id = 3 WHERE id = 2");
    stream_.sql("DELETE FROM rows.a WHERE id = 3");
    stream_.sql("INSERT INTO rows.whole VALUES ('x'); UPDATE rows.whole SET v = 'y'; DELETE FROM rows.whole");
    stream_.sql("INSERT INTO rows.keyless VALUES ('same'), ('same')");
    stream_.sql("SELECT pg_logical_emit_message(true, 'crossfade', 'mark'); INSERT INTO rows.b VALUES (1, 'b')");
    stream_.sql("SELECT pg_logical_emit_message(true, 'not ours', 'x')");
    stream_.sql("SELECT pg_logical_emit_message(false, 'not ours', 'x')");
    stream_.sql("BEGIN; INSERT INTO rows.a VALUES (9, 'rolled back'); ROLLBACK");
    stream_.sql(
        "BEGIN; SAVEPOINT s; INSERT INTO rows.a VALUES (9, 'no'); ROLLBACK TO s;"
        " INSERT INTO rows.a VALUES (9, 'nine'); COMMIT");
    stream_.sql("TRUNCATE rows.a, rows.b");
    EXPECT_THAT(rows_of(published(stream_), start_),
                ElementsAre("insert a (1,one)", "insert a (2,-)", "update a ->(2,two)", "update a (2,-)->(3,two)",
                            "delete a (3,-)", "insert whole (x)", "update whole (x)->(y)", "delete whole (y)",
                            "insert keyless (same)", "insert keyless (same)", "message crossfade mark",
                            "insert b (1,b)", "insert a (9,nine)", "truncate a b"));
}

TEST_F(capture_rows, f01_rows_of_a_copy_have_positions_of_their_own) {
    stream_.table("a", "id int PRIMARY KEY");
    begin();
    stream_.sql("COPY rows.a FROM PROGRAM 'seq 1 500'");
    const auto events = published(stream_);
    exactly_once_reader reader{start_};
    reader.take(events);
    EXPECT_THAT(reader.faults(), testing::IsEmpty());
    EXPECT_EQ(reader.rows().size(), 501U);
}

TEST_F(capture_rows, f05_an_unchanged_toast_value_is_said_to_be_unchanged) {
    stream_.table("a", "id int PRIMARY KEY, big text, n int", "ALTER TABLE rows.a ALTER big SET STORAGE EXTERNAL");
    begin();
    stream_.sql("INSERT INTO rows.a VALUES (1, repeat('x', 100000), 1)");
    stream_.sql("UPDATE rows.a SET n = 2");
    stream_.sql("UPDATE rows.a SET big = NULL");
    EXPECT_THAT(rows_of(published(stream_), start_),
                ElementsAre("insert a (1,xxxxxxxxxxxxxxxxxxxx,1)", "update a ->(1,~,2)", "update a ->(1,-,2)"));
}

TEST_F(capture_rows, a_change_of_the_table_in_mid_stream_is_seen_with_its_rows) {
    stream_.table("a", "id int PRIMARY KEY, v text");
    begin();
    stream_.sql("INSERT INTO rows.a VALUES (1, 'x')");
    stream_.sql("ALTER TABLE rows.a ADD w int DEFAULT 7, DROP v");
    stream_.sql("INSERT INTO rows.a VALUES (2, 8)");
    EXPECT_THAT(rows_of(published(stream_), start_), ElementsAre("insert a (1,x)", "insert a (2,8)"));
}

// The heartbeat's record ends where the commit record begins; by LSN alone they would be one.
TEST_F(capture_rows, f01_a_heartbeat_right_before_a_commit_keeps_apart) {
    stream_.table("a", "id int PRIMARY KEY");
    begin();
    const auto beat = stream_.sql(
        "BEGIN; INSERT INTO rows.a VALUES (1);"
        " SELECT pg_logical_emit_message(false, 'crossfade.heartbeat', '1'); COMMIT");
    const auto events = published(stream_);
    EXPECT_THAT(rows_of(events, start_), ElementsAre("insert a (1)"));
    std::size_t seen = 0;
    for (std::size_t i = 0; i + 1 < events.size(); ++i) {
        const auto* heartbeat = std::get_if<model::heartbeat>(&events[i].body);
        if (heartbeat == nullptr || heartbeat->emitted_at.time_since_epoch() != 1us) continue;
        ++seen;
        EXPECT_LT(events[i].at, events[i + 1].at);
        EXPECT_GE(events[i + 1].at.commit_lsn, events[i].end_lsn);
    }
    EXPECT_EQ(seen, 1U);
}

// Any role may emit one, and say of it what it likes.
TEST_F(capture_rows, a_heartbeat_is_not_of_a_time_to_come) {
    stream_.table("a", "id int PRIMARY KEY");
    begin();
    stream_.sql(
        "SELECT count(pg_logical_emit_message(false, 'crossfade.heartbeat', (extract(epoch FROM later) * 1000000)::int8"
        "::text)) FROM generate_series(now(), now() + '1 hour', '10 min') AS later");
    stream_.sql("INSERT INTO rows.a VALUES (1)");
    const auto events = published(stream_);
    const auto now = std::chrono::system_clock::now();
    EXPECT_THAT(rows_of(events, start_), ElementsAre("insert a (1)"));
    for (const auto& each : events) {
        const auto* heartbeat = std::get_if<model::heartbeat>(&each.body);
        EXPECT_TRUE(heartbeat == nullptr || heartbeat->emitted_at <= now);
    }
}

TEST_F(capture_rows, f04_heartbeats_move_an_idle_stream) {
    stream_.table("a", "id int PRIMARY KEY");
    stream_.sql("CREATE TABLE rows.other (v text)");
    begin();
    ASSERT_TRUE(support::eventually(10s, [&] { return stream_.confirmed() > start_; }));
    stream_.sql("INSERT INTO rows.other SELECT repeat('x', 100) FROM generate_series(1, 100000)");
    const auto written = *model::parse_lsn(stream_.sql("SELECT pg_current_wal_lsn()")[0][0]);
    EXPECT_TRUE(support::eventually(20s, [&] { return stream_.confirmed() >= written; }));
    EXPECT_EQ(publisher_.status().state, publisher_state::publishing);
}

// CROSSFADE_BULK_MB: of WAL, of tables that are not in the stream.
TEST_F(capture_rows, f04_much_wal_of_others_does_not_leave_the_slot_behind) {
    stream_.heartbeat_interval(1min);
    const auto megabytes = support::configured("CROSSFADE_BULK_MB", 200);
    stream_.table("a", "id int PRIMARY KEY");
    stream_.sql("CREATE TABLE rows.other (v text)");
    begin();
    ASSERT_TRUE(support::eventually(10s, [&] { return stream_.confirmed() > start_; }));
    std::atomic<bool> written = false;
    std::thread writer{[&] {
        for (long done = 0; done < megabytes; ++done)
            stream_.sql("INSERT INTO rows.other SELECT repeat('x', 1000) FROM generate_series(1, 950)");
        written = true;
    }};
    std::uint64_t most = 0;
    while (!written) {
        const auto end = *model::parse_lsn(stream_.sql("SELECT pg_current_wal_lsn()")[0][0]);
        most = std::max(most, end.value - std::min(end, stream_.confirmed()).value);
    }
    writer.join();
    std::cout << "at most " << (most >> 20) << " MiB behind\n";
    EXPECT_LT(most, std::uint64_t{16} << 20);
}

}  // namespace
}  // namespace crossfade::proxy::capture
