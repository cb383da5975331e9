// Faults that broke other streams, at the source: by the numbers of the list. Those that are a matter of rows or of a
// broken source alone are in rows_test.cpp and trouble_test.cpp, those of the follower in tests/integration/apply.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <libpq-fe.h>

#include <csignal>
#include <memory>
#include <numeric>

#include "tests/integration/capture/rig.hpp"
#include "tests/support/eventually.hpp"

namespace crossfade::proxy::capture {
namespace {

using namespace std::chrono_literals;
using testing::ElementsAreArray;

// A session that stays, with a transaction open from one statement to the next.
class open_session {
  public:
    open_session() : db_(PQconnectdb(legacy().dsn().c_str()), &PQfinish) {}
    void exec(const std::string& sql) const {
        const std::unique_ptr<PGresult, decltype(&PQclear)> done{PQexec(db_.get(), sql.c_str()), &PQclear};
        ASSERT_EQ(PQresultStatus(done.get()), PGRES_COMMAND_OK) << PQerrorMessage(db_.get());
    }

  private:
    std::unique_ptr<PGconn, decltype(&PQfinish)> db_;
};

class faults : public one_table {
  protected:
    faults() : one_table("faults") {}

    // Waits for as many rows as there are ids; they must be those, in this order.
    void arrive(const std::vector<int>& ids) {
        std::vector<std::string> rows;
        rows.reserve(ids.size());
        for (const int id : ids) rows.push_back("insert a (" + std::to_string(id) + ')');
        EXPECT_TRUE(support::eventually(20s, [&] {
            const auto reader = read();
            EXPECT_THAT(reader.faults(), testing::IsEmpty());
            return reader.rows().size() >= rows.size();
        }));
        EXPECT_THAT(read().rows(), ElementsAreArray(rows));
    }
    // A publisher brings the rows 1..last to Kafka and stops in order.
    void publish_and_stop(int last) {
        prometheus::Registry metrics;
        stream_publisher publisher{stream_.settings(), metrics};
        publisher.start();
        insert(1, last);
        std::vector<int> ids(static_cast<std::size_t>(last));
        std::iota(ids.begin(), ids.end(), 1);
        arrive(ids);
        publisher.stop();
        ASSERT_TRUE(support::eventually(10s, [&] { return !stream_.slot_active(); }));
    }
    // The next publisher finds what is missing, and says how to go on.
    void next_one_stops() {
        prometheus::Registry metrics;
        stream_publisher publisher{stream_.settings(), metrics};
        publisher.start();
        ASSERT_TRUE(support::eventually(20s, [&] { return publisher.status().state == publisher_state::stopped; }))
            << publisher.status().reason;
        EXPECT_THAT(publisher.status().reason, testing::HasSubstr("missing"));
        EXPECT_THAT(publisher.status().way_out, testing::HasSubstr("crossfade backfill --resync"));
    }
};

TEST_F(faults, f02_messages_in_a_transaction_take_nothing_with_them) {
    prometheus::Registry metrics;
    stream_publisher publisher{stream_.settings(), metrics};
    publisher.start();
    const std::string said = "SELECT pg_logical_emit_message(true, 'another', 'x');";
    const std::string aside = "SELECT pg_logical_emit_message(false, 'another', 'x');";
    stream_.sql("BEGIN;" + said + "COMMIT");
    insert(1);
    stream_.sql("BEGIN;" + said + "INSERT INTO faults.a VALUES (2);" + aside + "INSERT INTO faults.a VALUES (3);" +
                said + "COMMIT");
    stream_.sql(aside);
    stream_.sql("BEGIN;" + said + "INSERT INTO faults.a VALUES (99); ROLLBACK");
    insert(4);
    arrive({1, 2, 3, 4});
}

// The one that began first has its rows in front of what is confirmed when it commits.
TEST_F(faults, f02_transactions_end_in_another_order_than_they_begin) {
    prometheus::Registry metrics;
    const open_session early;
    const open_session later;
    early.exec("BEGIN");
    early.exec("INSERT INTO faults.a VALUES (1)");
    later.exec("BEGIN");
    later.exec("INSERT INTO faults.a VALUES (2)");
    later.exec("COMMIT");
    const auto confirmed_beyond = [this](model::lsn written) {
        return support::eventually(10s, [&] { return stream_.confirmed() >= written; });
    };
    {
        stream_publisher first{stream_.settings(), metrics};
        first.start();
        arrive({2});
        insert(3);
        EXPECT_TRUE(confirmed_beyond(*model::parse_lsn(stream_.sql("SELECT pg_current_wal_lsn()")[0][0])));
        first.stop();
    }
    {
        auto killed = stream_.spawn_publisher();
        insert(4);
        arrive({2, 3, 4});
        killed.signal(SIGKILL);
        killed.wait_exit(5s);
    }
    early.exec("INSERT INTO faults.a VALUES (5)");
    early.exec("COMMIT");
    stream_publisher last{stream_.settings(), metrics};
    last.start();
    insert(6);
    arrive({2, 3, 4, 1, 5, 6});
}

// Whoever drops a slot and makes it again has left out what was written in between, and nothing in the slot says so.
TEST_F(faults, f03_a_slot_made_anew_by_hand_is_a_loud_stop) {
    publish_and_stop(5);
    insert(6);
    stream_.sql("SELECT pg_drop_replication_slot('" + stream_.stream().slot() + "')");
    stream_.make_slot();
    next_one_stops();
    EXPECT_EQ(read().rows().size(), 5U);
}

TEST_F(faults, f03_nor_does_a_slot_that_somebody_moved_go_unnoticed) {
    publish_and_stop(1);
    insert(2);
    stream_.sql("SELECT pg_replication_slot_advance('" + stream_.stream().slot() + "', pg_current_wal_lsn())");
    next_one_stops();
}

// An idempotent producer that is refused so must not go on behind the hole.
TEST_F(faults, f09_a_sequence_that_the_broker_refuses_leaves_no_hole) {
    prometheus::Registry metrics;
    stream_publisher publisher{stream_.settings(), metrics};
    publisher.start();
    insert(1);
    arrive({1});
    kafka_.fail_requests(0, {RD_KAFKA_RESP_ERR_OUT_OF_ORDER_SEQUENCE_NUMBER});
    insert(2);
    kafka_.fail_requests(0, {RD_KAFKA_RESP_ERR_NO_ERROR, RD_KAFKA_RESP_ERR_OUT_OF_ORDER_SEQUENCE_NUMBER,
                             RD_KAFKA_RESP_ERR_NOT_ENOUGH_REPLICAS});
    insert(3, 12);
    arrive({1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12});
}

}  // namespace
}  // namespace crossfade::proxy::capture
