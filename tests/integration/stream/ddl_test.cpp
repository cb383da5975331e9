// DDL on legacy under each policy, seen by its event triggers and carried by the stream.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>

#include "lib/pgclient/connection.hpp"
#include "tests/chaos/landscape.hpp"
#include "tests/integration/stream/ddl_world.hpp"
#include "tests/integration/stream/status_of.hpp"
#include "tests/support/eventually.hpp"
#include "tests/support/http.hpp"

namespace crossfade {
namespace {

using namespace std::chrono_literals;
using testing::AllOf;
using testing::HasSubstr;
using testing::Not;
using table = support::postgres_cluster::table;

constexpr const char* schema = R"sql(
    CREATE TABLE stock (id int PRIMARY KEY, note text);
    CREATE TABLE other (id int PRIMARY KEY);
    CREATE TABLE visits (id int PRIMARY KEY, at timestamp);
    CREATE TABLE days (id int PRIMARY KEY, at date, r real, n int);
    CREATE TABLE parent (id int PRIMARY KEY, note text);
    CREATE TABLE child (PRIMARY KEY (id)) INHERITS (parent);
    CREATE TYPE mood AS ENUM ('good', 'bad');
    CREATE TABLE person (id int PRIMARY KEY, mood mood);
    CREATE TABLE parted (id int, part int, at timestamp, PRIMARY KEY (id, part)) PARTITION BY LIST (part);
    CREATE TABLE parted_1 PARTITION OF parted FOR VALUES IN (1);
)sql";

// The policy as `crossfade init` has put it in force.
class ddl : public ddl_world {
  protected:
    ddl() : ddl_world(schema) {}

    void policy(const std::string& name) {
        world_->legacy.exec("UPDATE crossfade.ddl_streams SET policy = '" + name + "'");
    }
    std::string legacy(const std::string& sql) { return world_->legacy.exec(sql).empty() ? "" : "rows"; }
    // Whatever legacy has said so far is applied, or waits.
    bool caught_up() {
        const auto until = world_->legacy.value("SELECT pg_current_wal_lsn()");
        return support::eventually(30s, [&] {
            return world_->modern.value("SELECT bool_or(end_lsn >= '" + until + "') FROM crossfade.progress") == "t";
        });
    }
    std::string advice() { return world_->modern.value("SELECT advice FROM crossfade.ddl ORDER BY id DESC LIMIT 1"); }
    std::string newest() { return world_->modern.value("SELECT max(id) FROM crossfade.ddl"); }
    std::string waiting() {
        return world_->modern.value("SELECT count(*) FROM crossfade.dead_letters WHERE operation <> 'ddl'");
    }
    bool equal() { return world_->settle(20s).empty(); }
    std::string metric(const std::string& name) {
        const auto value = support::sample_value(support::http_get(world_->cdc.admin_port(), "/metrics").body, name);
        return std::isnan(value) ? "none" : std::to_string(static_cast<int>(value));
    }
};

TEST_P(ddl, is_noted_and_the_stream_goes_on) {
    legacy("ALTER TABLE public.other ADD COLUMN v int; INSERT INTO public.stock VALUES (1, 'a')");
    ASSERT_TRUE(caught_up()) << world_->logs();
    EXPECT_EQ(seen(), (table{{"ALTER TABLE", "public.other", "noted"}}));
    EXPECT_THAT(advice(), HasSubstr("modern's table public.other has no column v"));
    EXPECT_EQ(world_->modern.value("SELECT note FROM public.stock"), "a");
    EXPECT_THAT(world_->crossfade({"ddl", "list"}).output, AllOf(HasSubstr("ALTER TABLE"), Not(HasSubstr("ADD"))));
    EXPECT_THAT(world_->crossfade({"ddl", "show", newest()}).output, HasSubstr("ADD COLUMN v int"));
    EXPECT_THAT(world_->logs(), Not(HasSubstr("ADD COLUMN v int")));
}

// The backlog is replayed from where the table is let go, and legacy goes on.
TEST_P(ddl, lets_go_of_what_comes_while_the_backlog_is_replayed) {
    policy("pause");
    legacy("INSERT INTO public.stock VALUES (1, 'before')");
    legacy("ALTER TABLE public.stock ADD COLUMN v int");
    legacy("UPDATE public.stock SET v = 1 WHERE id = 1");
    ASSERT_TRUE(caught_up()) << world_->logs();
    ASSERT_EQ(waiting(), "1");
    world_->cdc.stop();
    world_->modern.exec("ALTER TABLE public.stock ADD COLUMN v int");
    world_->crossfade({"ddl", "resume", newest(), "--wait", "0"});
    legacy("UPDATE public.stock SET v = 2 WHERE id = 1");
    world_->cdc.start();
    EXPECT_TRUE(equal()) << world_->logs();
    EXPECT_EQ(waiting(), "0");
    EXPECT_EQ(world_->modern.value("SELECT v FROM public.stock"), "2");
}

// From PostgreSQL 16 on the view of a publication's tables opens each of them.
TEST_P(ddl, does_not_wait_for_other_tables_that_are_locked) {
    auto holder = pgclient::connection::open(world_->legacy.dsn(), {}).value();
    holder.exec("BEGIN; LOCK TABLE public.person IN ACCESS EXCLUSIVE MODE").value();
    auto changer = pgclient::connection::open(world_->legacy.dsn(), {}).value();
    changer.exec("SET statement_timeout = '5s'").value();
    for (const auto* sql : {"ALTER TABLE public.other ADD COLUMN v int",
                            "CREATE TABLE public.later (id int PRIMARY KEY)", "DROP TABLE public.parted_1"})
        EXPECT_TRUE(changer.exec(sql)) << sql;
    holder.exec("COMMIT").value();
    ASSERT_TRUE(caught_up()) << world_->logs();
    EXPECT_EQ(seen(), (table{{"ALTER TABLE", "public.other", "noted"},
                             {"CREATE TABLE", "public.later", "noted"},
                             {"DROP TABLE", "public.parted", "noted"}}));
}

TEST_P(ddl, pauses_the_table_and_not_the_stream) {
    policy("pause");
    legacy("INSERT INTO public.stock VALUES (1, 'before'), (2, 'before')");
    legacy(
        "BEGIN; UPDATE public.stock SET note = 'same transaction' WHERE id = 1;"
        "ALTER TABLE public.stock ADD COLUMN v int; UPDATE public.stock SET v = 7 WHERE id = 1; COMMIT");
    legacy(
        "INSERT INTO public.stock VALUES (3, 'after', 3); DELETE FROM public.stock WHERE id = 2;"
        "UPDATE public.stock SET id = 4 WHERE id = 3; INSERT INTO public.other VALUES (1)");
    ASSERT_TRUE(caught_up()) << world_->logs();
    EXPECT_EQ(world_->modern.value("SELECT count(*) FROM public.other"), "1") << "another table waits";
    EXPECT_EQ(world_->modern.exec("SELECT id, note FROM public.stock ORDER BY id"),
              (table{{"1", "same transaction"}, {"2", "before"}}));
    EXPECT_EQ(waiting(), "4");
    EXPECT_TRUE(support::eventually(20s, [&] { return metric("crossfade_ddl_waiting_changes") == "4"; }));
    EXPECT_EQ(metric("crossfade_ddl_paused_tables"), "1");
    EXPECT_EQ(metric("crossfade_ddl_total{outcome=\"paused\""), "1");
    EXPECT_THAT(world_->crossfade({"status"}).output, HasSubstr("public.stock waits for ALTER TABLE"));
    EXPECT_EQ(world_->crossfade({"ddl", "list", "--paused"}).exit_code, 1);

    const auto too_soon = world_->crossfade({"ddl", "resume", newest()});
    EXPECT_EQ(too_soon.exit_code, 1);
    EXPECT_THAT(too_soon.errors, HasSubstr("modern's table public.stock has no column v"));

    // The next process knows as well.
    world_->kill(chaos::victim::cdc);
    world_->revive(chaos::victim::cdc);
    legacy("UPDATE public.stock SET note = 'newest' WHERE id = 4; TRUNCATE public.other");
    ASSERT_TRUE(caught_up()) << world_->logs();
    EXPECT_EQ(waiting(), "5");

    world_->modern.exec("ALTER TABLE public.stock ADD COLUMN v int");
    const auto resumed = world_->crossfade({"ddl", "resume", newest()});
    EXPECT_EQ(resumed.exit_code, 0) << resumed.output << resumed.errors << world_->logs();
    EXPECT_TRUE(equal()) << world_->logs();
    EXPECT_EQ(waiting(), "0");
    EXPECT_EQ(world_->modern.value("SELECT count(*) FROM crossfade.drift WHERE state <> 'repaired'"), "0");
    legacy("INSERT INTO public.stock VALUES (5, 'as ever', 5)");
    EXPECT_TRUE(equal());
    EXPECT_EQ(world_->crossfade({"ddl", "list", "--paused"}).exit_code, 0);
}

// What waits is bounded; beyond that the stream waits, and goes on when the table does.
TEST(ddl_waiting, has_a_bound_beyond_which_everything_waits) {
    if (!support::kafka_broker::available()) GTEST_SKIP() << "no Kafka: script/bootstrap --kafka";
    chaos::landscape world{{.schema = schema, .cdc_settings = ", ddl_waiting_changes: 5"}};
    world.legacy.exec("UPDATE crossfade.ddl_streams SET policy = 'pause'");
    world.legacy.exec("ALTER TABLE public.stock ADD COLUMN v int");
    const auto waiting = [&] {
        return world.modern.value("SELECT count(*) FROM crossfade.dead_letters WHERE operation <> 'ddl'");
    };
    // What began below the bound is taken whole.
    world.legacy.exec("INSERT INTO public.stock SELECT n, 'x', 1 FROM generate_series(1, 7) n");
    ASSERT_TRUE(support::eventually(30s, [&] { return waiting() == "7"; })) << world.logs();
    world.legacy.exec("INSERT INTO public.other VALUES (1)");
    ASSERT_TRUE(support::eventually(30s, [&] {
        return world.modern.value("SELECT count(*) FROM public.other") == "1";
    })) << world.logs();
    world.legacy.exec("INSERT INTO public.stock VALUES (8, 'x', 1)");
    world.legacy.exec("INSERT INTO public.other VALUES (2)");
    ASSERT_TRUE(support::eventually(60s, [&] { return status_of(world.cdc, "state") == "held"; })) << world.logs();
    EXPECT_THAT(status_of(world.cdc, "reason"), HasSubstr("public.stock waits for DDL"));
    EXPECT_EQ(waiting(), "7");
    EXPECT_EQ(world.modern.value("SELECT count(*) FROM public.other"), "1");
    EXPECT_EQ(support::sample_value(support::http_get(world.cdc.admin_port(), "/metrics").body,
                                    "crossfade_ddl_waiting_changes_limit"),
              5);
    world.modern.exec("ALTER TABLE public.stock ADD COLUMN v int");
    const auto resumed = world.crossfade({"ddl", "resume", "1"});
    EXPECT_EQ(resumed.exit_code, 0) << resumed.output << resumed.errors << world.logs();
    EXPECT_EQ(world.settle(30s), "") << world.logs();
    EXPECT_EQ(world.modern.value("SELECT count(*) FROM public.other"), "2");
}

// The first part of it is what is held.
TEST(ddl_waiting, lets_go_of_a_transaction_larger_than_a_batch_that_comes_next) {
    if (!support::kafka_broker::available()) GTEST_SKIP() << "no Kafka: script/bootstrap --kafka";
    chaos::landscape world{{.schema = schema, .cdc_settings = ", ddl_waiting_changes: 5, batch_bytes: 65536"}};
    world.legacy.exec("UPDATE crossfade.ddl_streams SET policy = 'pause'");
    world.legacy.exec("ALTER TABLE public.stock ADD COLUMN v int");
    world.legacy.exec("INSERT INTO public.stock SELECT n, 'x', 1 FROM generate_series(1, 7) n");
    ASSERT_TRUE(support::eventually(30s, [&] {
        return world.modern.value("SELECT count(*) FROM crossfade.dead_letters WHERE operation <> 'ddl'") == "7";
    })) << world.logs();
    world.legacy.exec("INSERT INTO public.stock SELECT n, repeat('x', 200), 1 FROM generate_series(100, 1600) n");
    ASSERT_TRUE(support::eventually(60s, [&] { return status_of(world.cdc, "state") == "held"; })) << world.logs();
    world.modern.exec("ALTER TABLE public.stock ADD COLUMN v int");
    const auto resumed = world.crossfade({"ddl", "resume", "1"});
    EXPECT_EQ(resumed.exit_code, 0) << resumed.output << resumed.errors << world.logs();
    EXPECT_EQ(world.settle(30s), "") << world.logs();
}

// Of a change that modern could apply, and must not yet.
TEST_P(ddl, of_a_table_that_waits_holds_its_truncate_as_well) {
    policy("pause");
    legacy(
        "INSERT INTO public.stock VALUES (1, 'a'); ALTER TABLE public.stock ALTER note TYPE varchar(20);"
        "INSERT INTO public.stock VALUES (2, 'b')");
    legacy("TRUNCATE public.stock, public.other");
    legacy("INSERT INTO public.stock VALUES (3, 'c')");
    ASSERT_TRUE(caught_up()) << world_->logs();
    EXPECT_EQ(world_->modern.exec("SELECT id FROM public.stock"), (table{{"1"}}));
    EXPECT_EQ(waiting(), "3");
    world_->modern.exec("ALTER TABLE public.stock ALTER note TYPE varchar(20)");
    EXPECT_EQ(world_->crossfade({"ddl", "resume", newest()}).exit_code, 0);
    EXPECT_TRUE(equal()) << world_->logs();
}

TEST_P(ddl, does_not_pause_where_modern_was_changed_first) {
    policy("pause");
    world_->modern.exec("ALTER TABLE public.stock ADD COLUMN v int");
    legacy("ALTER TABLE public.stock ADD COLUMN v int; INSERT INTO public.stock VALUES (1, 'a', 1)");
    legacy("CREATE INDEX ON public.stock (v); ALTER TABLE public.stock SET (fillfactor = 50)");
    legacy("CREATE TABLE public.parted_2 PARTITION OF public.parted FOR VALUES IN (2)");
    world_->modern.exec("CREATE TABLE public.parted_2 PARTITION OF public.parted FOR VALUES IN (2)");
    legacy("INSERT INTO public.parted VALUES (1, 2); DROP TABLE public.parted_2; CREATE TEMP TABLE mine (id int)");
    ASSERT_TRUE(caught_up()) << world_->logs();
    EXPECT_EQ(seen(), (table{{"ALTER TABLE", "public.stock", "noted"},
                             {"CREATE INDEX", "public.stock", "noted"},
                             {"ALTER TABLE", "public.stock", "noted"},
                             {"CREATE TABLE", "public.parted", "noted"},
                             {"DROP TABLE", "public.parted", "noted"}}));
    EXPECT_EQ(waiting(), "0");
    EXPECT_EQ(advice(), "rows of public.parted_2 are gone on legacy; modern still has them");
    EXPECT_EQ(world_->modern.value("SELECT v FROM public.stock"), "1");
}

TEST_P(ddl, pauses_for_what_the_rows_do_not_show) {
    policy("pause");
    legacy("ALTER TYPE public.mood ADD VALUE 'fair'");
    legacy("INSERT INTO public.person VALUES (1, 'fair')");
    legacy("UPDATE public.stock SET note = note");
    legacy("INSERT INTO public.stock VALUES (1, '1'); ALTER TABLE public.stock ALTER note TYPE text USING note || '!'");
    ASSERT_TRUE(caught_up()) << world_->logs();
    EXPECT_EQ(seen(), (table{{"ALTER TYPE", "public.person", "paused"}, {"ALTER TABLE", "public.stock", "paused"}}));
    EXPECT_THAT(advice(), HasSubstr("crossfade backfill --tables public.stock"));
    // A copy has what was computed, and lifts the pause.
    const auto copied = world_->crossfade({"backfill", "--tables", "public.stock"});
    EXPECT_EQ(copied.exit_code, 0) << copied.output << copied.errors;
    EXPECT_THAT(world_->crossfade({"ddl", "list", "--paused"}).output, Not(HasSubstr("public.stock")));
    world_->modern.exec("ALTER TYPE public.mood ADD VALUE 'fair'");
    EXPECT_EQ(world_->crossfade({"ddl", "resume", "1"}).exit_code, 0);
    EXPECT_TRUE(equal()) << world_->logs();
}

// What was known of modern's columns when the rows were put aside is too old.
TEST_P(ddl, lets_go_of_rows_as_modern_has_the_columns_by_then) {
    policy("pause");
    legacy("INSERT INTO public.days VALUES (1, '2024-05-05', 0.5, 1)");
    const std::string wider =
        "ALTER TABLE public.days ALTER at TYPE timestamp, ALTER r TYPE double precision, ALTER n TYPE bigint";
    legacy(wider);
    legacy("INSERT INTO public.days VALUES (2, '2024-05-05 13:14:15', 0.1, 3000000000)");
    ASSERT_TRUE(caught_up()) << world_->logs();
    ASSERT_EQ(waiting(), "1");
    world_->modern.exec(wider);
    const auto resumed = world_->crossfade({"ddl", "resume", newest()});
    EXPECT_EQ(resumed.exit_code, 0) << resumed.output << resumed.errors << world_->logs();
    legacy("INSERT INTO public.days VALUES (3, '2024-05-05 13:14:15', 0.1, 3000000000)");
    EXPECT_TRUE(equal()) << world_->logs();
    EXPECT_EQ(waiting(), "0");
}

// Nobody names them.
TEST_P(ddl, pauses_parts_and_heirs_whose_rows_were_computed_anew) {
    policy("pause");
    legacy("ALTER TABLE public.parent ALTER note TYPE text USING note || '!'");
    legacy("ALTER TABLE public.parted ALTER at TYPE timestamp USING at + interval '1 day'");
    ASSERT_TRUE(caught_up()) << world_->logs();
    EXPECT_EQ(world_->modern.exec("SELECT table_name FROM crossfade.dead_letters WHERE operation = 'ddl' ORDER BY 1"),
              (table{{"public.child"}, {"public.parent"}, {"public.parted"}}));
    EXPECT_THAT(advice(), HasSubstr("crossfade backfill --tables public.parted"));
}

TEST_P(ddl, is_passed_on_at_its_place) {
    policy("pass");
    legacy("CREATE ROLE app LOGIN; GRANT ALL ON SCHEMA public TO app; ALTER TABLE public.stock OWNER TO app");
    legacy("INSERT INTO public.stock VALUES (1, 'a')");
    // Between the rows of its own transaction, with the search_path of its session.
    auto app = pgclient::connection::open(world_->legacy.dsn("app", "app"), {}).value();
    for (const char* sql :
         {"SET search_path = public", "BEGIN", "INSERT INTO stock VALUES (2, 'b')",
          "ALTER TABLE stock ADD COLUMN v int DEFAULT 7 NOT NULL", "UPDATE stock SET v = 8 WHERE id = 2", "COMMIT",
          "ALTER TABLE stock RENAME v TO w", "INSERT INTO stock VALUES (3, 'c', 9)",
          "ALTER TABLE stock ALTER w TYPE bigint", "INSERT INTO stock VALUES (4, 'd', 10000000000)",
          "ALTER TABLE stock DROP COLUMN note", "INSERT INTO stock VALUES (5, 11)"})
        ASSERT_TRUE(app.exec(sql)) << sql;
    EXPECT_TRUE(equal()) << world_->logs();
    EXPECT_EQ(world_->complaints(), "");
    EXPECT_EQ(world_->modern.value("SELECT string_agg(outcome, ',' ORDER BY id) FROM crossfade.ddl WHERE role = 'app'"),
              "passed,passed,passed,passed");
    EXPECT_EQ(world_->modern.value("SELECT string_agg(attname || ' ' || format_type(atttypid, atttypmod), ',' ORDER BY "
                                   "attnum) FROM pg_attribute WHERE attrelid = 'public.stock'::regclass AND attnum > 0 "
                                   "AND NOT attisdropped"),
              "id integer,w bigint");
}

TEST_P(ddl, that_can_not_be_passed_on_pauses) {
    policy("pass");
    legacy("DO $$ BEGIN EXECUTE 'ALTER TABLE public.stock ADD COLUMN v int'; END $$");
    ASSERT_TRUE(caught_up()) << world_->logs();
    EXPECT_THAT(advice(), HasSubstr("not passed on: a function or DO block did it"));
    world_->modern.exec("ALTER TABLE public.stock ADD COLUMN v int");
    EXPECT_EQ(world_->crossfade({"ddl", "resume", newest()}).exit_code, 0);

    legacy("ALTER TABLE public.stock ADD COLUMN at timestamptz DEFAULT now()");
    ASSERT_TRUE(caught_up());
    EXPECT_THAT(advice(), HasSubstr("not passed on: a new column's default is no constant"));
    EXPECT_THAT(advice(), HasSubstr("crossfade backfill --tables public.stock"));
    EXPECT_EQ(world_->crossfade({"ddl", "skip", newest()}).exit_code, 0);
    world_->modern.exec("ALTER TABLE public.stock ADD COLUMN at timestamptz");

    world_->modern.exec("CREATE VIEW public.in_the_way AS SELECT id FROM public.stock");
    legacy("ALTER TABLE public.stock ALTER id TYPE bigint");
    ASSERT_TRUE(caught_up());
    EXPECT_THAT(advice(), HasSubstr("modern has refused it: cannot alter type of a column used by a view"));
    EXPECT_EQ(world_->modern.value("SELECT string_agg(outcome, ',') FROM crossfade.ddl"), "paused,paused,paused");
}

TEST_P(ddl, that_has_a_default_by_its_type_is_not_passed_on) {
    policy("pass");
    const std::string type = "CREATE DOMAIN public.stamp AS timestamptz DEFAULT now()";
    world_->modern.exec(type);
    legacy(type);
    legacy("ALTER TABLE public.other ADD COLUMN at public.stamp");
    ASSERT_TRUE(caught_up()) << world_->logs();
    EXPECT_EQ(seen(), (table{{"ALTER TABLE", "public.other", "paused"}}));
    EXPECT_THAT(advice(), HasSubstr("modern has refused it: a new column has the default of its type, public.stamp"));
    legacy("ALTER TABLE public.stock ADD COLUMN at public.stamp DEFAULT NULL, ADD COLUMN v int");
    ASSERT_TRUE(caught_up()) << world_->logs();
    EXPECT_EQ(seen().back(), (table::value_type{"ALTER TABLE", "public.stock", "passed"}));
}

TEST_P(ddl, that_is_repeated_at_each_start_pauses_nothing) {
    policy("pause");
    const std::string command = "ALTER TABLE public.other ADD COLUMN IF NOT EXISTS at timestamptz DEFAULT now()";
    world_->modern.exec(command);
    legacy(command);
    ASSERT_TRUE(caught_up()) << world_->logs();
    EXPECT_EQ(seen(), (table{{"ALTER TABLE", "public.other", "paused"}})) << "its rows have another now()";
    EXPECT_EQ(world_->crossfade({"ddl", "resume", "1"}).exit_code, 0);
    legacy(command);
    ASSERT_TRUE(caught_up()) << world_->logs();
    EXPECT_EQ(seen().back(), (table::value_type{"ALTER TABLE", "public.other", "noted"}));
}

// A row of before has what legacy gave it then, and not what modern gives new ones.
TEST_P(ddl, is_not_passed_on_while_earlier_changes_wait) {
    policy("pass");
    world_->modern.exec("ALTER TABLE public.stock ADD CONSTRAINT fussy CHECK (note <> 'refused')");
    legacy("INSERT INTO public.stock VALUES (7, 'refused')");
    legacy("ALTER TABLE public.stock ADD COLUMN v int DEFAULT 7");
    legacy("ALTER TABLE public.stock ALTER v DROP DEFAULT");
    ASSERT_TRUE(caught_up()) << world_->logs();
    EXPECT_EQ(seen(), (table{{"ALTER TABLE", "public.stock", "paused"}, {"ALTER TABLE", "public.stock", "paused"}}));
    EXPECT_THAT(
        world_->modern.value("SELECT advice FROM crossfade.ddl ORDER BY id LIMIT 1"),
        HasSubstr("not passed on: earlier changes of the table wait (crossfade deadletters list): replay them"));
    world_->modern.exec("ALTER TABLE public.stock DROP CONSTRAINT fussy");
    EXPECT_EQ(world_->crossfade({"deadletters", "replay", "--all"}).exit_code, 0);
    ASSERT_TRUE(support::eventually(30s, [&] { return waiting() == "0"; })) << world_->logs();
    world_->modern.exec(
        "ALTER TABLE public.stock ADD COLUMN v int DEFAULT 7; ALTER TABLE public.stock ALTER v DROP DEFAULT");
    for (const auto* id : {"1", "2"}) EXPECT_EQ(world_->crossfade({"ddl", "resume", id}).exit_code, 0);
    EXPECT_TRUE(equal()) << world_->logs();
}

// In Berlin noon is at eleven. Of a table that has parts these are rewritten, and not the table.
TEST_P(ddl, that_converts_as_its_session_s_settings_say_pauses) {
    policy("pass");
    legacy(
        "INSERT INTO public.visits VALUES (1, '2026-01-01 12:00'); INSERT INTO public.parted VALUES (1, 1, '2026-01-01 "
        "12:00')");
    auto app = pgclient::connection::open(world_->legacy.dsn(), {}).value();
    for (const char* sql :
         {"SET timezone = 'Europe/Berlin'", "ALTER TABLE public.visits ALTER at TYPE timestamptz",
          "ALTER TABLE public.parted ALTER at TYPE timestamptz", "ALTER TABLE public.stock ALTER note TYPE varchar"})
        ASSERT_TRUE(app.exec(sql)) << sql;
    ASSERT_TRUE(caught_up()) << world_->logs();
    EXPECT_EQ(seen(), (table{{"ALTER TABLE", "public.visits", "paused"},
                             {"ALTER TABLE", "public.parted", "paused"},
                             {"ALTER TABLE", "public.stock", "passed"}}));
    for (const std::string name : {"public.visits", "public.parted"}) {
        EXPECT_THAT(
            world_->modern.value("SELECT advice FROM crossfade.ddl WHERE tables = '{" + name + "}'"),
            AllOf(HasSubstr("crossfade backfill --tables " + name), HasSubstr("may depend on the session's settings")));
        world_->modern.exec("ALTER TABLE " + name + " ALTER at TYPE timestamptz");
        const auto copied = world_->crossfade({"backfill", "--tables", name});
        EXPECT_EQ(copied.exit_code, 0) << copied.output << copied.errors;
        for (const auto* side : {&world_->legacy, &world_->modern})
            EXPECT_EQ(side->value("SELECT at = '2026-01-01 11:00+00' FROM " + name), "t") << name;
    }
    EXPECT_TRUE(equal()) << world_->logs();
}

TEST_P(ddl, is_refused_by_legacy_whoever_sends_it) {
    policy("refuse");
    legacy("CREATE ROLE app LOGIN; GRANT ALL ON SCHEMA public TO app");
    world_->legacy.exec("SET LOCAL crossfade.ddl = 'allow'; ALTER TABLE public.stock OWNER TO app");
    auto app = pgclient::connection::open(world_->legacy.dsn("app", "app"), {}).value();
    const auto sqlstate = [&](const char* sql) {
        const auto got = app.exec(sql);
        return got ? std::string{"done"} : got.error().sqlstate;
    };
    EXPECT_EQ(sqlstate("ALTER TABLE public.stock ADD COLUMN v int"), "XF001");
    EXPECT_EQ(sqlstate("DO $$ BEGIN EXECUTE 'ALTER TABLE public.stock DROP COLUMN note'; END $$"), "XF001");
    EXPECT_EQ(sqlstate("DROP TABLE public.stock"), "XF001");
    EXPECT_EQ(sqlstate("CREATE INDEX ON public.stock (note)"), "done");
    EXPECT_EQ(sqlstate("CREATE TABLE public.mine (id int)"), "done");
    EXPECT_EQ(sqlstate("ALTER TABLE public.mine ADD COLUMN v int"), "done");
    EXPECT_EQ(sqlstate("SET session_replication_role = replica"), "42501");
    EXPECT_THROW(legacy("SET session_replication_role = replica; ALTER TABLE public.stock ADD COLUMN v int"),
                 std::exception);
    EXPECT_EQ(sqlstate("INSERT INTO public.stock VALUES (1, 'a')"), "done");
    EXPECT_TRUE(equal());
    // Who knows what he does is let through, and modern's table waits if it was not changed first.
    EXPECT_EQ(sqlstate("BEGIN; SET LOCAL crossfade.ddl = 'allow'; ALTER TABLE public.stock ADD COLUMN v int; COMMIT"),
              "done");
    ASSERT_TRUE(caught_up());
    EXPECT_EQ(world_->modern.value("SELECT outcome FROM crossfade.ddl ORDER BY id DESC LIMIT 1"), "paused");
}

// Whoever may log in may emit a logical message.
TEST_P(ddl, that_nobody_did_is_not_believed) {
    policy("pass");
    legacy("ALTER TABLE public.other ADD COLUMN v int");
    ASSERT_TRUE(caught_up());
    const std::string forged =
        R"({"version":1,"stream":"app","tag":"ALTER TABLE","xid":"XID","policy":"pass","tables":[{"schema":"public",)"
        R"("name":"stock","object":"x","what":"altered","columns":[["id","integer"]]}],"rewritten":false,"direct":true,)"
        R"("whole":true,"statement":"ALTER TABLE public.stock DROP COLUMN note","search_path":["public"],"role":"x"})";
    legacy("SELECT pg_logical_emit_message(true, 'crossfade.ddl', replace('" + forged +
           "', 'XID', pg_current_xact_id()::xid::text) || E'\\n' || repeat('0', 64))");
    legacy("SELECT pg_logical_emit_message(true, 'crossfade.ddl', 'nonsense')");
    legacy("INSERT INTO public.stock VALUES (1, 'a')");
    EXPECT_TRUE(equal()) << world_->logs();
    EXPECT_EQ(world_->modern.value("SELECT count(*) FROM crossfade.ddl"), "1");
    EXPECT_EQ(metric("crossfade_ddl_total{outcome=\"unsealed\""), "1");
    EXPECT_EQ(metric("crossfade_ddl_total{outcome=\"unreadable\""), "1");
    EXPECT_THROW(world_->legacy.exec("SELECT crossfade.note_ddl('ddl_command_end', 'ALTER TABLE', true, '{}', 'x')"),
                 std::exception);
}

// Killed where it has run the statement, and where it has committed: each is done once, and the rows are those of
// legacy.
TEST_P(ddl, is_done_once_by_whoever_is_killed) {
    policy("pass");
    int n = 0;
    for (const char* at : {"ddl.pass", "ddl.done", "apply.written", "apply.committed"}) {
        SCOPED_TRACE(at);
        const auto column = "c" + std::to_string(++n);
        world_->cdc.stop();
        world_->cdc.start({{"CROSSFADE_FAILPOINT", at}});
        legacy("ALTER TABLE public.stock ADD COLUMN " + column + " int DEFAULT 1");
        legacy("INSERT INTO public.stock (id, note, " + column + ") VALUES (" + std::to_string(n) + ", 'x', 2)");
        ASSERT_TRUE(support::eventually(30s, [&] { return !world_->cdc.running(); })) << "it was not killed";
        world_->cdc.start();
        EXPECT_TRUE(equal()) << world_->logs();
    }
    // The killed one's session may hold its origin for a moment.
    EXPECT_TRUE(support::eventually(10s, [&] { return world_->complaints().empty(); })) << world_->complaints();
    EXPECT_EQ(world_->modern.value("SELECT count(*) || ' ' || string_agg(DISTINCT outcome, ',') FROM crossfade.ddl"),
              "4 passed");
}

INSTANTIATE_TEST_SUITE_P(postgres, ddl, testing::Values(15, 18),
                         [](const auto& version) { return "pg" + std::to_string(version.param); });

}  // namespace
}  // namespace crossfade
