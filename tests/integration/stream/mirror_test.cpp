// dual_write_strategy: mirror, with everything for real: the client has its answer when both databases have the rows.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <array>
#include <atomic>
#include <cmath>
#include <csignal>
#include <cstring>
#include <memory>
#include <set>
#include <thread>

#include "lib/pgclient/connection.hpp"
#include "lib/store/applied.hpp"
#include "tests/chaos/landscape.hpp"
#include "tests/support/eventually.hpp"
#include "tests/support/http.hpp"

namespace crossfade {
namespace {

using namespace std::chrono_literals;
using testing::HasSubstr;

// What a replay of the statements would make different on the two sides, and more.
constexpr const char* schema = R"sql(
    CREATE EXTENSION IF NOT EXISTS pgcrypto;
    CREATE SEQUENCE numbers;
    CREATE TABLE plain (id int PRIMARY KEY, note text, at timestamptz, n double precision);
    CREATE TABLE defaulted (id uuid PRIMARY KEY DEFAULT gen_random_uuid(), at timestamptz DEFAULT clock_timestamp(),
                            n float DEFAULT random(), k bigint DEFAULT nextval('numbers'));
    CREATE TABLE numbered (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, note text,
                           twice text GENERATED ALWAYS AS (note || note) STORED);
    CREATE TABLE serial_one (id bigserial PRIMARY KEY, note text);
    CREATE TABLE parent (id int PRIMARY KEY, note text);
    CREATE TABLE child (id int PRIMARY KEY, parent int REFERENCES parent ON DELETE CASCADE ON UPDATE CASCADE);
    CREATE TABLE parted (id int, part int, note text, PRIMARY KEY (id, part)) PARTITION BY LIST (part);
    CREATE TABLE parted_1 PARTITION OF parted FOR VALUES IN (1);
    CREATE TABLE parted_2 PARTITION OF parted FOR VALUES IN (2);
    CREATE TABLE keyless (a int, b text);
    CREATE TABLE audited (id int PRIMARY KEY, note text);
    CREATE TABLE trail (id bigserial PRIMARY KEY, what text, at timestamptz DEFAULT clock_timestamp());
    CREATE FUNCTION note_it() RETURNS trigger LANGUAGE plpgsql AS $$
        BEGIN INSERT INTO public.trail (what) VALUES (TG_OP || ' ' || random()); RETURN NULL; END $$;
    CREATE TRIGGER noted AFTER INSERT OR UPDATE OR DELETE ON audited FOR EACH ROW EXECUTE FUNCTION note_it();
    CREATE FUNCTION stamp() RETURNS trigger LANGUAGE plpgsql AS $$
        BEGIN NEW.note := NEW.note || ' ' || clock_timestamp(); RETURN NEW; END $$;
    CREATE TRIGGER stamped BEFORE INSERT ON parent FOR EACH ROW EXECUTE FUNCTION stamp();
    CREATE FUNCTION write_one(int) RETURNS int LANGUAGE sql AS $$
        INSERT INTO public.plain VALUES ($1, 'by a function', clock_timestamp(), random()) RETURNING id $$;
    CREATE PROCEDURE write_two(int) LANGUAGE plpgsql AS $$
        BEGIN INSERT INTO public.plain VALUES ($1, 'committed', now(), 1); COMMIT;
              INSERT INTO public.plain VALUES ($1 + 1, 'later', clock_timestamp(), random()); END $$;
)sql";

class mirror : public testing::Test {
  protected:
    void SetUp() override {
        if (!support::kafka_broker::available()) GTEST_SKIP() << "no Kafka: script/bootstrap --kafka";
    }

    // `connections`: on which the proxy writes rows to modern itself. With none all of them take the stream's way.
    void begin(const std::string& timeout, int connections = 0) {
        // Whoever waits that long in vain has found a fault.
        world_ = std::make_unique<chaos::landscape>(chaos::landscape_options{
            .schema = schema,
            .proxy_settings = ", mirror_timeout: " + timeout + ", mirror_connections: " + std::to_string(connections),
            .strategy = "mirror"});
        auto opened = pgclient::connection::open(world_->client_dsn(), {});
        ASSERT_TRUE(opened) << world_->logs();
        client_.emplace(std::move(*opened));
        run("SET search_path = public");
        // Brokers and programs that have just begun may be slow at first.
        ASSERT_TRUE(support::eventually(60s, [&] {
            run("TRUNCATE public.plain");
            return waits("applied") > 0 && metric("crossfade_mirror_degraded") == 0;
        })) << world_->logs();
        mark_beginning();
    }

    // From here on late() and degraded() count; somebody waits again, if he didn't.
    void mark_beginning() {
        ASSERT_TRUE(support::eventually(60s, [&] { return metric("crossfade_mirror_degraded") == 0; }));
        late_ = waits("late");
        degraded_ = waits("degraded");
    }

    void run(const std::string& sql, const std::vector<pgclient::parameter>& parameters = {}) {
        const auto done = parameters.empty() ? client_->exec(sql) : client_->exec(sql, parameters);
        EXPECT_TRUE(done) << sql << ": " << (done ? "" : pgclient::to_string(done.error()));
    }
    double metric(const std::string& name) {
        const auto value = support::sample_value(support::http_get(world_->proxy.admin_port(), "/metrics").body, name);
        return std::isnan(value) ? 0 : value;
    }
    // Since the test itself has begun: of those who had to be late or needn't wait.
    double late() { return waits("late") - late_; }
    double degraded() { return waits("degraded") - degraded_; }
    double waits(const std::string& result) {
        return metric("crossfade_mirror_waits_total{result=\"" + result + "\"}");
    }

    std::unique_ptr<chaos::landscape> world_;
    std::optional<pgclient::connection> client_;
    double late_ = 0;
    double degraded_ = 0;
};

class mirror_either_way : public mirror, public testing::WithParamInterface<int> {
  protected:
    void begin(const std::string& timeout) {
        mirror::begin(timeout, GetParam());
        if (GetParam() == 0) return;
        ASSERT_TRUE(support::eventually(60s, [&] { return metric("crossfade_mirror_tables") > 0; })) << world_->logs();
        ASSERT_TRUE(support::eventually(60s, [&] { return metric("crossfade_mirror_connections") > 1; }));
    }
    double mirrored() { return metric("crossfade_mirror_mirrored_total"); }
};
INSTANTIATE_TEST_SUITE_P(, mirror_either_way, testing::Values(0, 8), [](const auto& each) {
    return std::string{each.param == 0 ? "by_the_stream" : "by_the_proxy"};
});

// After each statement the sides are equal, at once: nothing is waited for here.
TEST_P(mirror_either_way, leaves_both_sides_equal_after_every_shape_of_statement) {
    begin("30s");
    const std::vector<std::string> shapes{
        "INSERT INTO plain VALUES (1, 'now', now(), 1)",
        "INSERT INTO plain VALUES (2, 'clock', clock_timestamp(), random())",
        "INSERT INTO plain SELECT n, 'many', clock_timestamp(), random() FROM generate_series(10, 40) n",
        "INSERT INTO plain VALUES (3, 'returned', statement_timestamp(), random()) RETURNING *",
        "INSERT INTO plain VALUES (1, 'again', now(), 2) ON CONFLICT (id) DO UPDATE SET n = plain.n + random()",
        "INSERT INTO plain VALUES (1, 'not', now(), 2) ON CONFLICT DO NOTHING",
        "INSERT INTO defaulted DEFAULT VALUES",
        "INSERT INTO defaulted (k) VALUES (nextval('numbers')), (nextval('numbers'))",
        "INSERT INTO defaulted (id) VALUES (gen_random_uuid())",
        "INSERT INTO numbered (note) SELECT 'n' || n FROM generate_series(1, 5) n",
        "INSERT INTO numbered (id, note) OVERRIDING SYSTEM VALUE VALUES (1000, 'mine')",
        "INSERT INTO serial_one (note) VALUES ('a'), ('b')",
        "INSERT INTO plain VALUES (4, gen_random_uuid()::text, current_timestamp, random())",
        "INSERT INTO plain VALUES (5, encode(gen_random_bytes(8), 'hex'), 'now', 0)",
        "UPDATE plain SET n = random()",
        "UPDATE plain SET note = md5(random()::text), at = clock_timestamp() WHERE id BETWEEN 10 AND 20",
        "UPDATE plain SET id = id + 1000 WHERE id BETWEEN 30 AND 35",
        "UPDATE plain SET n = numbered.id FROM numbered WHERE numbered.note = 'n1' AND plain.id = 1 RETURNING plain.*",
        "UPDATE plain SET n = n + 1 WHERE id = (SELECT max(id) FROM plain)",
        "DELETE FROM plain WHERE id = 40",
        "DELETE FROM plain USING serial_one WHERE plain.id = 39 RETURNING plain.id",
        "DELETE FROM plain WHERE random() < 2 AND id > 1030",
        "WITH w AS (INSERT INTO plain VALUES (6, 'cte', now(), random()) RETURNING *) SELECT * FROM w",
        "WITH gone AS (DELETE FROM plain WHERE id = 6 RETURNING *) INSERT INTO keyless SELECT id, note FROM gone",
        "WITH a AS (UPDATE plain SET n = random() WHERE id = 1 RETURNING n) UPDATE plain SET n = a.n FROM a WHERE id = "
        "2",
        "MERGE INTO plain USING (SELECT 7 AS id) s ON plain.id = s.id WHEN NOT MATCHED THEN INSERT VALUES (s.id, "
        "'merged', "
        "clock_timestamp(), random()) WHEN MATCHED THEN DELETE",
        "MERGE INTO plain USING generate_series(1, 8) s(id) ON plain.id = s.id WHEN MATCHED THEN UPDATE SET n = "
        "random() "
        "WHEN NOT MATCHED THEN INSERT VALUES (s.id, 'merged', now(), random())",
        "INSERT INTO parent SELECT n, 'p' FROM generate_series(1, 4) n",
        "INSERT INTO child VALUES (1, 1), (2, 2), (3, 2)",
        "UPDATE parent SET id = 11 WHERE id = 1",
        "DELETE FROM parent WHERE id = 2",
        "INSERT INTO parted VALUES (1, 1, 'one'), (2, 2, 'two')",
        "UPDATE parted SET part = 2 WHERE id = 1",
        "INSERT INTO keyless VALUES (1, 'x'), (1, 'x'), (2, NULL)",
        "UPDATE keyless SET b = clock_timestamp()::text WHERE a = 2",
        "DELETE FROM keyless WHERE a = 1",
        "INSERT INTO audited VALUES (1, 'a'), (2, 'b')",
        "UPDATE audited SET note = clock_timestamp()::text",
        "DELETE FROM audited WHERE id = 1",
        "SELECT write_one(50)",
        "CALL write_two(51)",
        "DO $$ BEGIN FOR i IN 60..63 LOOP INSERT INTO public.plain VALUES (i, 'do', clock_timestamp(), random()); END "
        "LOOP; END $$",
        "BEGIN; INSERT INTO plain VALUES (70, 'kept', now(), random()); SAVEPOINT s; DELETE FROM plain; ROLLBACK TO s;"
        "UPDATE plain SET n = random() WHERE id = 70; COMMIT",
        "INSERT INTO plain VALUES (71, 'first', now(), 1); INSERT INTO plain VALUES (72, 'second', now(), random())",
        "PREPARE p AS INSERT INTO plain VALUES ($1, 'prepared', clock_timestamp(), random())",
        "EXECUTE p(73)",
        "EXPLAIN ANALYZE INSERT INTO plain VALUES (74, 'explained', clock_timestamp(), random())",
        "TRUNCATE keyless",
        "TRUNCATE serial_one RESTART IDENTITY",
    };
    for (const auto& sql : shapes) {
        run(sql);
        ASSERT_EQ(world_->difference(), "") << sql << '\n' << world_->logs();
    }
    run("UPDATE plain SET n = $1::float + random() WHERE id = $2::int", {"5", "1"});
    ASSERT_EQ(world_->difference(), "") << "extended protocol";
    // Transactions that another one follows at once.
    for (const auto* sql : {"BEGIN; INSERT INTO plain VALUES (75, 'chained', now(), random()); COMMIT AND CHAIN",
                            "INSERT INTO plain VALUES (76, 'chained', now(), random()); COMMIT AND CHAIN",
                            "UPDATE plain SET n = random()", "COMMIT; BEGIN", "DELETE FROM plain WHERE id > 1000",
                            "COMMIT AND CHAIN", "ROLLBACK"}) {
        run(sql);
        ASSERT_EQ(world_->difference(), "") << sql << '\n' << world_->logs();
    }
    // By pieces, COPY among them.
    run("BEGIN");
    run("INSERT INTO plain VALUES ($1::int, 'in a transaction', clock_timestamp(), random())", {"80"});
    EXPECT_NE(world_->legacy.value("SELECT count(*) FROM public.plain WHERE id = 80"), "1");
    run("SAVEPOINT a");
    run("UPDATE plain SET n = random()");
    run("COMMIT");
    ASSERT_EQ(world_->difference(), "");
    auto* const conn = client_->native();
    ASSERT_EQ(PQresultStatus(pgclient::rows{PQexec(conn, "COPY plain (id, note) FROM STDIN")}.native()), PGRES_COPY_IN);
    const std::string_view lines = "90\tcopied\n91\t\\N\n";
    ASSERT_EQ(PQputCopyData(conn, lines.data(), static_cast<int>(lines.size())), 1);
    ASSERT_EQ(PQputCopyEnd(conn, nullptr), 1);
    while (auto* const last = PQgetResult(conn))
        EXPECT_EQ(PQresultStatus(pgclient::rows{last}.native()), PGRES_COMMAND_OK);
    ASSERT_EQ(world_->difference(), "");

    EXPECT_GT(waits("applied") + mirrored(), static_cast<double>(shapes.size()) - 3);
    if (GetParam() > 0) {
        EXPECT_GT(mirrored(), 15);
    } else {
        EXPECT_EQ(mirrored(), 0);
    }
    EXPECT_EQ(late() + degraded(), 0);
    EXPECT_EQ(world_->complaints(), "");
}

// The proxy would find it in the progress, too, a fifth of a second later.
TEST_F(mirror, is_told_by_the_transaction_that_applies) {
    begin("30s");
    auto listener = pgclient::connection::open(world_->modern.dsn(), {}).value();
    listener.exec("LISTEN \"crossfade.applied\"").value();
    run("INSERT INTO plain VALUES (1, 'x', now(), 1)");
    const auto forget = [](PGnotify* of) { PQfreemem(of); };
    std::unique_ptr<PGnotify, decltype(forget)> told{nullptr, forget};
    // The transaction is seen a moment before PostgreSQL tells the listeners of it.
    static_cast<void>(support::eventually(10s, [&] {
        EXPECT_TRUE(listener.exec("SELECT 1"));
        told.reset(PQnotifies(listener.native()));
        return told != nullptr;
    }));
    ASSERT_NE(told, nullptr) << world_->logs();
    const auto one = store::read_applied(told->extra, "app");
    ASSERT_TRUE(one) << told->extra;
    EXPECT_EQ(world_->modern.value("SELECT count(*) FROM plain"), "1");
    // What older proxies ask is answered as they understand it.
    told.reset();
    world_->legacy.exec("SELECT " + store::ask_to_be_told_sql());
    const auto answer = [&] {
        EXPECT_TRUE(listener.exec("SELECT 1"));
        told.reset(PQnotifies(listener.native()));
        return told != nullptr && std::string_view{told->extra}.ends_with(" app") &&
               !store::read_applied(told->extra, "app");
    };
    ASSERT_TRUE(support::eventually(10s, answer)) << world_->logs();
    EXPECT_EQ(world_->modern.value("SELECT end_lsn >= '" + std::string{told->extra, std::strcspn(told->extra, " ")} +
                                   "' FROM crossfade.progress"),
              "t");
}

// After a failover that lost something the stream is at a place that legacy comes to for the second time.
TEST_F(mirror, is_not_told_by_a_place_that_an_old_primary_had) {
    begin("2s");
    run("INSERT INTO plain VALUES (1, 'x', now(), 1)");
    mark_beginning();
    world_->cdc.stop();
    world_->modern.exec("UPDATE crossfade.progress SET end_lsn = 'FFFF/0'");
    world_->modern.exec("SELECT pg_notify('crossfade.applied', 'FFFF/0 app')");
    run("INSERT INTO plain VALUES (2, 'legacy alone has it', now(), 2)");
    EXPECT_EQ(late(), 1) << "modern has not what was written";
    EXPECT_EQ(world_->modern.value("SELECT count(*) FROM plain"), "1");
}

TEST_F(mirror, lets_nobody_wait_who_only_reads) {
    begin("30s");
    run("INSERT INTO plain VALUES (1, 'x', now(), 1)");
    const auto before = waits("applied");
    for (const auto* sql : {"SELECT * FROM plain WHERE id = 1", "BEGIN; SELECT count(*) FROM plain; COMMIT",
                            "SHOW work_mem", "SET a.b = 'c'", "SELECT 1; SELECT 2"})
        static_cast<void>(client_->exec(sql));
    run("SELECT note FROM plain WHERE id = $1::int", {"1"});
    EXPECT_EQ(waits("applied"), before);
}

// A pipeline's answers wait together: a thousand transactions do not wait a thousand times.
TEST_F(mirror, waits_once_for_what_comes_together) {
    begin("30s");
    auto* const conn = client_->native();
    ASSERT_EQ(PQenterPipelineMode(conn), 1);
    constexpr int many = 1000;
    for (int i = 0; i < many; ++i) {
        const auto sql = "INSERT INTO plain VALUES (" + std::to_string(i) + ", 'piped', clock_timestamp(), random())";
        ASSERT_EQ(PQsendQueryParams(conn, sql.c_str(), 0, nullptr, nullptr, nullptr, nullptr, 0), 1);
        ASSERT_EQ(PQpipelineSync(conn), 1);
    }
    int synced = 0;
    while (synced < many) {
        const pgclient::rows got{PQgetResult(conn)};
        if (got.native() == nullptr) continue;
        const auto status = PQresultStatus(got.native());
        ASSERT_TRUE(status == PGRES_COMMAND_OK || status == PGRES_PIPELINE_SYNC) << PQerrorMessage(conn);
        if (status == PGRES_PIPELINE_SYNC) ++synced;
    }
    EXPECT_EQ(world_->difference(), "");
    ASSERT_EQ(PQexitPipelineMode(conn), 1);
    EXPECT_LT(waits("applied"), many / 2);
    EXPECT_EQ(late(), 0);
}

TEST_F(mirror, goes_on_without_a_follower_that_is_away_and_comes_back_to_it) {
    begin("500ms");
    run("INSERT INTO plain VALUES (1, 'both', now(), 1)");
    mark_beginning();
    world_->kill(chaos::victim::modern);
    const auto began = std::chrono::steady_clock::now();
    run("INSERT INTO plain VALUES (2, 'legacy has it', now(), 2)");
    EXPECT_LT(std::chrono::steady_clock::now() - began, 5s);
    EXPECT_EQ(late(), 1);
    EXPECT_TRUE(support::eventually(5s, [&] { return metric("crossfade_mirror_degraded") == 1; }));
    for (int i = 3; i < 200; ++i) run("INSERT INTO plain VALUES (" + std::to_string(i) + ", 'on its own', now(), 2)");
    EXPECT_EQ(late(), 1) << "the others don't wait";
    EXPECT_EQ(degraded(), 197);
    EXPECT_THAT(world_->proxy.log(), HasSubstr("answers don't wait for it"));
    EXPECT_THAT(world_->crossfade({"status"}).output, HasSubstr("clients are answered before modern has"));

    world_->revive(chaos::victim::modern);
    EXPECT_TRUE(support::eventually(60s, [&] { return metric("crossfade_mirror_degraded") == 0; })) << world_->logs();
    EXPECT_EQ(world_->settle(30s), "");
    const auto before = waits("applied");
    run("UPDATE plain SET n = random()");
    EXPECT_EQ(world_->difference(), "") << "it is waited for again";
    EXPECT_EQ(waits("applied"), before + 1);
    EXPECT_EQ(world_->complaints(), "");
}

// The promise itself: legacy, the broker and both programs die at one moment, and what clients were told is on modern.
TEST_P(mirror_either_way, leaves_nothing_on_legacy_alone_that_was_answered) {
    begin("30s");
    constexpr int clients = 6;
    std::atomic<bool> stop{false};
    std::atomic<int> total{0};
    std::array<std::vector<int>, clients> answered;
    {
        std::vector<std::jthread> writers;
        for (int who = 0; who < clients; ++who)
            writers.emplace_back([&, who] {
                auto db = pgclient::connection::open(world_->client_dsn(), {});
                if (!db) return;
                for (int id = who; !stop; id += clients) {
                    // In turn alone, in a transaction, by parameters.
                    const auto row = "INSERT INTO public.plain VALUES (" + std::to_string(id) + ")";
                    const auto way = id / clients % 3;
                    if (way == 1 && !(db->exec("BEGIN") && db->exec(row) && db->exec("COMMIT"))) return;
                    if (way == 0 && !db->exec(row)) return;
                    if (way == 2 && !db->exec("INSERT INTO public.plain VALUES ($1::int)", {std::to_string(id)}))
                        return;
                    answered.at(static_cast<std::size_t>(who)).push_back(id);
                    ++total;
                }
            });
        EXPECT_TRUE(support::eventually(60s, [&] { return total >= 600; })) << world_->logs();
        EXPECT_EQ(late() + degraded(), 0);
        for (const auto each : {chaos::victim::legacy, chaos::victim::broker, chaos::victim::cdc, chaos::victim::proxy})
            world_->kill(each);
        stop = true;
    }
    std::set<std::string> there;
    for (const auto& row : world_->modern.exec("SELECT id FROM public.plain")) there.insert(row.at(0));
    for (const auto& each : answered)
        for (const int id : each) EXPECT_TRUE(there.contains(std::to_string(id))) << id << " was answered";
}

// Who waits may hang up, be drained, or be killed by an operator.
TEST_F(mirror, ends_sessions_that_wait) {
    begin("5s");
    run("INSERT INTO plain VALUES (1, 'x', now(), 1)");
    world_->cdc.signal(SIGSTOP);
    for (int i = 0; i < 3; ++i) {
        auto leaver = pgclient::connection::open(world_->client_dsn(), {});
        ASSERT_TRUE(leaver);
        ASSERT_EQ(
            PQsendQuery(leaver->native(), ("INSERT INTO public.plain VALUES (10" + std::to_string(i) + ")").c_str()),
            1);
        ASSERT_TRUE(support::eventually(5s, [&] { return metric("crossfade_mirror_waiting") >= 1; }));
    }
    ASSERT_TRUE(support::eventually(10s, [&] { return metric("crossfade_mirror_waiting") == 0; }));
    world_->cdc.signal(SIGCONT);
    ASSERT_TRUE(support::eventually(30s, [&] { return metric("crossfade_mirror_degraded") == 0; })) << world_->logs();
    world_->cdc.signal(SIGSTOP);
    ASSERT_EQ(PQsendQuery(client_->native(), "INSERT INTO plain VALUES (200)"), 1);
    ASSERT_TRUE(support::eventually(5s, [&] { return metric("crossfade_mirror_waiting") >= 1; }));
    EXPECT_EQ(world_->proxy.stop(), 0) << "a transaction that is under way is waited for";
    const pgclient::rows got{PQgetResult(client_->native())};
    EXPECT_EQ(PQresultStatus(got.native()), PGRES_COMMAND_OK) << PQerrorMessage(client_->native());
    world_->cdc.signal(SIGCONT);
}

}  // namespace
}  // namespace crossfade
