// A stream that is ordered by key: its partitions shared by two crossfade-cdc.
#include "tests/integration/stream/by_key.hpp"

#include <random>

#include "lib/kafka/admin.hpp"
#include "lib/pgclient/connection.hpp"
#include "lib/store/schema.hpp"
#include "tests/integration/stream/status_of.hpp"

namespace crossfade {
namespace {

using namespace std::chrono_literals;
using testing::HasSubstr;

TEST_F(by_key, the_partitions_are_shared_and_go_over) {
    EXPECT_EQ(kafka::describe_topic(world_->broker.config(), topic, 10s).value().partitions, 4);
    EXPECT_TRUE(shared(2, 2)) << world_->logs();
    insert(1, 2000);
    expect_equal();
    for (unsigned i = 0; i < partitions; ++i)
        EXPECT_GT(reader(static_cast<int>(i)).query_watermarks(10s).value().high, 300) << i;

    world_->second().kill9();
    insert(2001, 4000);
    EXPECT_EQ(world_->settle(60s), "") << "the partitions of the one that was killed stand still\n" << world_->logs();
    EXPECT_EQ(followed_by(world_->cdc), 4U);

    world_->second().start();
    EXPECT_TRUE(shared(2, 2)) << world_->logs();
    world_->cdc.stop();
    EXPECT_TRUE(support::eventually(60s, [&] { return followed_by(world_->second()) == 4; })) << world_->logs();
    insert(4001, 6000);
    EXPECT_EQ(world_->settle(60s), "") << world_->logs();
    world_->cdc.start();
    EXPECT_TRUE(shared(2, 2)) << world_->logs();
    expect_equal();
    EXPECT_EQ(world_->modern.value("SELECT count(*) FROM crossfade.progress"), "4");
}

TEST_F(by_key, what_is_about_many_rows_waits_for_all_partitions) {
    for (int round = 1; round <= 10; ++round) {
        insert(1, 400);
        legacy("UPDATE stock SET note = 'round " + std::to_string(round) + "' WHERE id % 3 = 0");
        // To other partitions and back, in one transaction and in several.
        legacy("UPDATE stock SET id = id + 10000 WHERE id % 20 = 1; UPDATE stock SET note = 'y' WHERE id > 10000");
        legacy("UPDATE stock SET id = id - 10000 WHERE id > 10000");
        legacy("INSERT INTO stock VALUES (5000, 'late')");
        if (round < 10) legacy("TRUNCATE stock");
    }
    expect_equal();
    EXPECT_EQ(world_->modern.value("SELECT count(*) FROM stock"), "401");
    // By murmur2, 30 rows of a round change their partition: each is in these two.
    int moved = 0;
    for (unsigned i = 0; i < partitions; ++i) {
        auto barriers = barriers_in(static_cast<int>(i));
        EXPECT_EQ(barriers["truncate"], 9);
        moved += barriers["row"];
    }
    EXPECT_EQ(moved, 600);
    EXPECT_EQ(metric("crossfade_apply_barriers_total"), 309) << world_->logs();
    EXPECT_EQ(metric("crossfade_apply_collisions_total"), 0);
}

// Each partition's applier replays its own: those that are of all rows come in their turn.
TEST_F(by_key, letters_are_replayed_in_their_order_whosever_they_are) {
    ASSERT_TRUE(shared(2, 2)) << world_->logs();
    world_->modern.exec("ALTER TABLE stock ADD CONSTRAINT few CHECK (note <> 'refused') NOT VALID");
    legacy("INSERT INTO stock SELECT i, 'kept' FROM generate_series(1, 40) i");
    EXPECT_EQ(world_->settle(60s), "") << world_->logs();
    // Those of each partition, and what is about all of them behind those.
    world_->modern.exec("CREATE TABLE refers (id int REFERENCES stock)");
    legacy("UPDATE stock SET note = 'refused'");
    legacy("TRUNCATE stock");
    legacy("INSERT INTO stock SELECT i, 'new' FROM generate_series(1, 40) i");
    const auto letters = [&](const std::string& which) {
        return world_->modern.value("SELECT count(*) FROM crossfade.dead_letters WHERE " + which);
    };
    ASSERT_TRUE(support::eventually(60s, [&] { return letters("operation = 'insert'") == "40"; })) << world_->logs();
    world_->modern.exec("ALTER TABLE stock DROP CONSTRAINT few; DROP TABLE refers");

    // He who has the TRUNCATE is late.
    world_->cdc.stop();
    world_->second().stop();
    world_->modern.exec("UPDATE crossfade.dead_letters SET state = 'replay'");
    const auto partition = std::stoi(
        world_->modern.value("SELECT min(partition) FROM crossfade.dead_letters WHERE operation = 'truncate'"));
    auto holder = pgclient::connection::open(world_->modern.dsn(), {}).value();
    ASSERT_TRUE(holder.exec("SELECT pg_advisory_lock($1::int, $2::int)", store::partition_lock_key("app", partition)));
    world_->cdc.start();
    EXPECT_TRUE(support::eventually(60s, [&] {
        return letters("operation = 'update' AND partition <> " + std::to_string(partition)) == "0";
    })) << world_->logs();
    EXPECT_EQ(letters("operation = 'truncate'"), "1");
    EXPECT_EQ(letters("operation = 'insert'"), "40");
    ASSERT_TRUE(holder.exec("SELECT pg_advisory_unlock_all()"));
    EXPECT_EQ(world_->settle(60s), "") << world_->logs();
    EXPECT_EQ(letters("true"), "0");
}

TEST_F(by_key, rows_that_are_in_each_other_s_way_take_their_turns) {
    constexpr int seats = 60;
    legacy("INSERT INTO seat SELECT i, 'c' || i FROM generate_series(1, 60) i");
    legacy("INSERT INTO slot_of_time SELECT i, int4range(10 * i, 10 * i + 10) FROM generate_series(1, 60) i");
    std::mt19937 random{11};
    std::string swaps;
    for (int round = 0; round < 120; ++round) {
        const auto a = std::to_string(1 + random() % seats);
        const auto b = std::to_string(1 + random() % seats);
        if (a == b) continue;
        swaps =
            "DO $$ DECLARE x text; y text; r int4range; s int4range; BEGIN"
            " SELECT code INTO x FROM seat WHERE id = " +
            a + "; SELECT code INTO y FROM seat WHERE id = " + b + "; UPDATE seat SET code = 'none' WHERE id = " + a +
            "; UPDATE seat SET code = x WHERE id = " + b + "; UPDATE seat SET code = y WHERE id = " + a +
            "; SELECT during INTO r FROM slot_of_time WHERE id = " + a +
            "; SELECT during INTO s FROM slot_of_time WHERE id = " + b + "; DELETE FROM slot_of_time WHERE id = " + a +
            "; UPDATE slot_of_time SET during = r WHERE id = " + b + "; INSERT INTO slot_of_time VALUES (" + a +
            ", s); END $$";
        legacy(swaps);
    }
    // One row leaves, another of another partition takes its place.
    legacy("DELETE FROM seat WHERE id <= 30");
    legacy("INSERT INTO seat SELECT i + 1000, 'c' || i FROM generate_series(1, 60) i ON CONFLICT DO NOTHING");
    expect_equal();
    EXPECT_EQ(metric("crossfade_apply_collisions_total"), 0);
}

// A unique key that modern alone has is not known when the stream is made.
TEST_F(by_key, a_constraint_that_ties_rows_of_several_partitions_holds_the_stream) {
    world_->modern.exec("CREATE UNIQUE INDEX tied ON public.email (address)");
    insert(1, 100);
    legacy("INSERT INTO email SELECT i, 'of ' || i FROM generate_series(1, 100) i");
    const auto says = [&](const char* what) {
        const auto first = status_of(world_->cdc, what);
        return first.empty() ? status_of(world_->second(), what) : first;
    };
    ASSERT_TRUE(support::eventually(60s, [&] { return says("state") == "held"; })) << world_->logs();
    EXPECT_THAT(says("reason"), HasSubstr("modern's tied ties rows of public.email"));
    EXPECT_THAT(says("way_out"), HasSubstr("REPLICA IDENTITY FULL"));

    world_->modern.exec("DROP INDEX public.tied");
    legacy("ALTER TABLE public.email REPLICA IDENTITY FULL");
    legacy("UPDATE email SET address = 'a' WHERE id <= 50");
    legacy("UPDATE email SET address = 'of ' || id WHERE id <= 50");
    expect_equal();
    world_->modern.exec("CREATE UNIQUE INDEX tied ON public.email (address)");
    for (int round = 1; round <= 10; ++round)
        legacy("DELETE FROM email; INSERT INTO email SELECT " + std::to_string(1000 * round) +
               " + i, 'of ' || i FROM generate_series(1, 100) i");
    expect_equal();
    EXPECT_EQ(world_->modern.value("SELECT max(id) FROM email"), "10100");
}

// What was sent in one partition has to be applied before what comes in another.
TEST_F(by_key, rows_that_are_divided_in_another_way_keep_their_order) {
    insert(1, 300);
    for (int round = 1; round <= 6; ++round) {
        const auto number = std::to_string(round);
        legacy("UPDATE stock SET note = 'before " + number + "'");
        legacy(std::string{"ALTER TABLE stock REPLICA IDENTITY "} + (round % 2 == 1 ? "FULL" : "DEFAULT"));
        legacy("UPDATE stock SET note = 'after " + number + "' WHERE id % 2 = 0");
        legacy(
            "DELETE FROM stock WHERE id % 10 = 0; INSERT INTO stock SELECT i, 'new' FROM generate_series(10, 300, 10) "
            "i");
        // In one transaction.
        legacy(std::string{"BEGIN; UPDATE stock SET note = 'x'; ALTER TABLE stock REPLICA IDENTITY "} +
               (round % 2 == 1 ? "DEFAULT" : "FULL") + "; UPDATE stock SET note = 'z' WHERE id % 3 = 0; COMMIT");
    }
    expect_equal();
}

TEST_F(by_key, a_table_that_is_one_partition_s_now_waits_for_those_that_had_it) {
    const auto whole = kafka::partition_of("public.stock", partitions);
    const auto rows = keys_in((whole + 1) % static_cast<int>(partitions), 2);
    // A message about DDL would be a barrier itself; not everybody may have it sent.
    legacy("DELETE FROM crossfade.ddl_streams");
    insert(1, 100);
    expect_equal();
    auto busy = pgclient::connection::open(world_->modern.dsn(), {}).value();
    busy.exec("BEGIN").value();
    busy.exec("SELECT FROM public.stock WHERE id = " + rows[0] + " FOR UPDATE").value();
    legacy("UPDATE stock SET note = 'before' WHERE id = " + rows[0] +
           "; UPDATE stock SET note = 'before' WHERE id = " + rows[1]);
    legacy("ALTER TABLE stock REPLICA IDENTITY FULL; UPDATE stock SET note = 'after' WHERE id = " + rows[1]);
    const auto held = [&] {
        return status_of(world_->cdc, "reason").find("waits until ") != std::string::npos ||
               status_of(world_->second(), "reason").find("waits until ") != std::string::npos;
    };
    EXPECT_TRUE(support::eventually(30s, held)) << world_->logs();
    EXPECT_EQ(world_->modern.value("SELECT note FROM stock WHERE id = " + rows[1]), "n");
    busy.exec("ROLLBACK").value();
    expect_equal();
    EXPECT_EQ(world_->modern.value("SELECT note FROM stock WHERE id = " + rows[1]), "after");
}

// The first change of it in either of two partitions is one that takes a row from one to the other.
TEST_F(by_key, a_table_that_is_divided_now_waits_for_the_partition_that_had_it_whole) {
    const auto whole = kafka::partition_of("public.stock", partitions);
    const auto row_of = [&](int partition, int from) {
        while (partition_of(std::to_string(from)) != partition) ++from;
        return from;
    };
    const int leading = (whole + 1) % static_cast<int>(partitions);
    const int other = (whole + 2) % static_cast<int>(partitions);
    const std::string moves = std::to_string(row_of(leading, 1));
    const std::string to = std::to_string(row_of(other, 101));
    const std::string stays = std::to_string(row_of(leading, std::stoi(moves) + 1));
    const std::string stays_too = std::to_string(row_of(other, 1));
    const std::string locked = std::to_string(row_of(whole, 1));
    legacy("DELETE FROM crossfade.ddl_streams; ALTER TABLE stock REPLICA IDENTITY FULL");
    insert(1, 100);
    expect_equal();
    auto busy = pgclient::connection::open(world_->modern.dsn(), {}).value();
    busy.exec("BEGIN").value();
    busy.exec("SELECT FROM public.stock WHERE id = " + locked + " FOR UPDATE").value();
    const std::string both = " WHERE id IN (" + stays + ", " + stays_too + ")";
    legacy("UPDATE stock SET note = 'before' WHERE id = " + locked + "; UPDATE stock SET note = 'before'" + both);
    legacy("ALTER TABLE stock REPLICA IDENTITY DEFAULT; UPDATE stock SET id = " + to + " WHERE id = " + moves);
    legacy("UPDATE stock SET note = 'after'" + both);
    const auto waits = [&] {
        const auto of = [](const support::crossfade_program& program) {
            return status_of(program, "reason").find("waits until partitions") != std::string::npos &&
                   status_of(program, "way_out").find("--group crossfade-app") != std::string::npos;
        };
        return of(world_->cdc) || of(world_->second());
    };
    EXPECT_TRUE(support::eventually(30s, waits)) << world_->logs();
    EXPECT_EQ(world_->modern.value("SELECT string_agg(note, ' ') FROM stock" + both), "n n");
    EXPECT_EQ(world_->modern.value("SELECT count(*) FROM stock WHERE id = " + to), "0");
    // Whoever dies meanwhile has to wait again.
    world_->kill(chaos::victim::cdc);
    world_->revive(chaos::victim::cdc);
    EXPECT_TRUE(support::eventually(60s, [&] { return followed_by(world_->cdc) + followed_by(world_->second()) > 0; }));
    EXPECT_TRUE(support::eventually(30s, waits)) << world_->logs();
    EXPECT_EQ(world_->modern.value("SELECT string_agg(note, ' ') FROM stock" + both), "n n");
    busy.exec("ROLLBACK").value();
    expect_equal();
    EXPECT_EQ(world_->modern.value("SELECT string_agg(note, ' ') FROM stock" + both), "after after");
}

TEST_F(by_key, a_row_that_modern_has_already_is_a_difference_all_the_same) {
    world_->modern.exec("INSERT INTO seat VALUES (77, 'taken')");
    legacy("INSERT INTO seat VALUES (1, 'taken')");
    ASSERT_TRUE(support::eventually(60s, [&] {
        return world_->modern.value("SELECT count(*) FROM crossfade.dead_letters WHERE sqlstate = '23505'") == "1";
    })) << world_->logs();
    // It waits, and those of other rows go on; then it is replayed by the follower of its partition.
    legacy("UPDATE seat SET code = 'mine' WHERE id = 1; INSERT INTO seat VALUES (2, 'other')");
    ASSERT_TRUE(support::eventually(60s, [&] {
        return world_->modern.value("SELECT count(*) FROM crossfade.dead_letters") == "2" &&
               world_->modern.value("SELECT code FROM seat WHERE id = 2") == "other";
    })) << world_->logs();
    world_->modern.exec("DELETE FROM seat WHERE id = 77");
    EXPECT_EQ(world_->crossfade({"deadletters", "replay", "--all"}).exit_code, 0);
    EXPECT_TRUE(support::eventually(60s, [&] {
        return world_->modern.value("SELECT count(*) FROM crossfade.dead_letters") == "0" &&
               world_->modern.value("SELECT code FROM seat WHERE id = 1") == "mine";
    })) << world_->logs();
}

TEST_F(by_key, foreign_keys_and_tables_without_a_key) {
    for (int round = 0; round < 20; ++round) {
        const auto first = std::to_string(100 * round);
        legacy("INSERT INTO parent SELECT i FROM generate_series(" + first + ", " + first +
               " + 9) i;"
               "INSERT INTO child SELECT i, i FROM generate_series(" +
               first + ", " + first +
               " + 9) i;"
               "INSERT INTO keyless SELECT i / 2 FROM generate_series(1, 10) i");
        legacy(
            "DELETE FROM parent WHERE id % 3 = 0; DELETE FROM keyless WHERE ctid IN (SELECT ctid FROM keyless LIMIT "
            "3)");
        legacy("UPDATE parent SET id = id + 50 WHERE id = " + first + " + 1");
    }
    expect_equal();
}

TEST_F(by_key, partitions_that_were_added_are_not_written_to) {
    insert(1, 100);
    expect_equal();
    world_->proxy.stop();
    const auto client = kafka::make_client(RD_KAFKA_PRODUCER, world_->broker.config(), {}).value();
    const kafka::queue_handle queue{rd_kafka_queue_new(client.get())};
    char why[256];
    auto* wanted = rd_kafka_NewPartitions_new(topic.c_str(), 6, why, sizeof why);
    rd_kafka_CreatePartitions(client.get(), &wanted, 1, nullptr, queue.get());
    const kafka::event_handle done{rd_kafka_queue_poll(queue.get(), 20000)};
    rd_kafka_NewPartitions_destroy(wanted);
    ASSERT_TRUE(done);
    world_->proxy.start();
    EXPECT_TRUE(support::eventually(60s, [&] { return status_of(world_->proxy, "state") == "waiting"; }))
        << world_->logs();
    EXPECT_THAT(status_of(world_->proxy, "reason"), HasSubstr("has 6 partitions, stream.partitions says 4"));
    EXPECT_NE(world_->crossfade({"check"}).exit_code, 0);
}

TEST_F(by_key, begins_anew_by_a_resync) {
    insert(1, 500);
    expect_equal();
    // The slot is lost, and with it what happens until there is another.
    world_->proxy.stop();
    // Its walsender may be there for a moment.
    ASSERT_TRUE(support::eventually(10s, [&] {
        return world_->legacy.value("SELECT active FROM pg_replication_slots WHERE slot_name = 'crossfade_app'") == "f";
    }));
    legacy("SELECT pg_drop_replication_slot('crossfade_app')");
    insert(501, 700);
    world_->proxy.start();
    const auto done = world_->crossfade({"backfill", "--resync"});
    ASSERT_EQ(done.exit_code, 0) << done.output << done.errors << world_->logs();
    EXPECT_TRUE(support::eventually(60s, [&] { return status_of(world_->proxy, "state") == "publishing"; }))
        << world_->logs();
    insert(701, 1200);
    expect_equal();
    EXPECT_EQ(world_->modern.value("SELECT count(*) FROM stock"), "1200");
    EXPECT_EQ(world_->crossfade({"verify"}).exit_code, 0);
    EXPECT_EQ(world_->crossfade({"status"}).exit_code, 0);

    const auto live = world_->crossfade({"backfill", "--live"});
    EXPECT_NE(live.exit_code, 0);
    EXPECT_THAT(live.errors, HasSubstr("ordering"));
}

}  // namespace
}  // namespace crossfade
