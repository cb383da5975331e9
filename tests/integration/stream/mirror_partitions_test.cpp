// Rows that the proxy writes to modern itself, of partitioned tables, with everything for real.
#include <gtest/gtest.h>

#include <csignal>
#include <string>

#include "tests/integration/stream/mirror_rows.hpp"

namespace crossfade {
namespace {

using namespace std::chrono_literals;

// A partition may have its columns in another order, and others in their place once; and partitions of its own.
constexpr const char* parted = R"sql(
    CREATE TABLE parted (id int, region text, note text DEFAULT 'as ever', PRIMARY KEY (id, region)) PARTITION BY LIST (region);
    CREATE TABLE parted_north PARTITION OF parted FOR VALUES IN ('north');
    CREATE TABLE parted_south (note text, gone int, region text NOT NULL, id int NOT NULL);
    ALTER TABLE parted_south DROP COLUMN gone;
    ALTER TABLE parted ATTACH PARTITION parted_south FOR VALUES IN ('south');
    CREATE TABLE parted_rest PARTITION OF parted DEFAULT PARTITION BY RANGE (id);
    CREATE TABLE parted_rest_low PARTITION OF parted_rest FOR VALUES FROM (0) TO (1000);
    CREATE FUNCTION stamp() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN new.note := ''stamped''; RETURN new; END';
)sql";

class mirror_partitions : public mirror_rows {
  protected:
    mirror_partitions() { schema_ += parted; }

    // And waits for it.
    void expect_by_the_stream(const std::string& sql) {
        const auto before = mirrored();
        run(sql);
        EXPECT_EQ(world_->difference(), "") << sql << '\n' << world_->logs();
        EXPECT_EQ(mirrored(), before) << sql;
    }
    bool eventually_mirrored(const std::string& sql) {
        return support::eventually(20s, [&] {
            const auto before = mirrored();
            run(sql);
            return mirrored() > before;
        });
    }
};

TEST_F(mirror_partitions, are_the_table_s_that_they_are_of) {
    begin("10s");
    world_->cdc.signal(SIGSTOP);
    expect_at_once({
        "INSERT INTO parted VALUES (1, 'north', 'a'), (2, 'south', 'b'), (3, 'west', 'c'), (4, 'south', NULL)",
        "INSERT INTO parted (id, region) VALUES (5, 'south')",
        "UPDATE parted SET note = coalesce(note, '-') || region WHERE id = id",
        "UPDATE public.parted AS p SET note = 'of one' WHERE region = 'south' AND id = 2 RETURNING p.*",
        "INSERT INTO parted VALUES (1, 'north'), (6, 'north') ON CONFLICT (id, region) DO UPDATE SET note = 'again'",
        "DELETE FROM parted WHERE region IN ('west', 'south') AND id > 2",
    });
    world_->cdc.signal(SIGCONT);
    expect_by_the_stream("UPDATE parted SET region = 'west' WHERE id = 2");
    expect_by_the_stream("UPDATE parted_north SET note = 'by its own name' WHERE id = 1");
    expect_by_the_stream("INSERT INTO parted_south VALUES ('by its own name', 'south', 7)");
    expect_by_the_stream("TRUNCATE parted_north");
    EXPECT_TRUE(eventually_mirrored("UPDATE parted SET note = 'last' WHERE id = id"));
    expect_nothing_left();
}

TEST_F(mirror_partitions, may_be_others_on_modern) {
    begin("10s");
    world_->modern.exec(
        "DROP TABLE public.parted; CREATE TABLE public.parted (note text, region text, id int, PRIMARY KEY (id, "
        "region))");
    int id = 0;
    EXPECT_TRUE(support::eventually(20s, [&] {
        const auto before = mirrored();
        run("INSERT INTO parted VALUES (" + std::to_string(++id) + ", 'south')");
        return mirrored() > before;
    }));
    run("UPDATE parted SET note = 'x' WHERE id = id");
    run("DELETE FROM parted WHERE id = 1");
    const auto rows = [](const support::postgres_cluster& of) {
        return of.value("SELECT string_agg(id || region || note, ' ' ORDER BY id) FROM public.parted");
    };
    EXPECT_EQ(rows(world_->modern), rows(world_->legacy));
    EXPECT_TRUE(support::eventually(10s, [&] { return receipts() == "0"; })) << receipts();
    EXPECT_EQ(world_->complaints(), "");
}

TEST_F(mirror_partitions, come_and_change) {
    begin("10s");
    for (const auto* side : {&world_->legacy, &world_->modern})
        side->exec("CREATE TABLE public.parted_east PARTITION OF public.parted FOR VALUES IN ('east')");
    int id = 0;
    const auto insert = [&](const std::string& region) {
        return "INSERT INTO parted VALUES (" + std::to_string(++id) + ", '" + region + "')";
    };
    EXPECT_TRUE(support::eventually(20s, [&] {
        const auto before = mirrored();
        run(insert("east"));
        return mirrored() > before;
    }));

    // Heeded at once, though it is about the partition alone.
    run("CREATE TRIGGER stamps BEFORE INSERT ON parted_north FOR EACH ROW EXECUTE FUNCTION stamp()");
    expect_by_the_stream(insert("north"));
    EXPECT_EQ(world_->modern.value("SELECT note FROM public.parted WHERE region = 'north'"), "stamped");
    expect_by_the_stream(insert("east"));
    run("DROP TRIGGER stamps ON parted_north");
    EXPECT_TRUE(support::eventually(20s, [&] {
        const auto before = mirrored();
        run(insert("north"));
        return mirrored() > before;
    }));
    expect_nothing_left();
}

// As somebody has who works on one of them.
TEST_F(mirror_partitions, may_be_locked_while_other_tables_are_looked_at) {
    begin("10s");
    auto on_legacy = pgclient::connection::open(world_->legacy.dsn(), {}).value();
    auto on_modern = pgclient::connection::open(world_->modern.dsn(), {}).value();
    on_legacy.exec("BEGIN; LOCK TABLE public.parted_north IN ACCESS EXCLUSIVE MODE").value();
    on_modern.exec("BEGIN; LOCK TABLE public.parted_south IN ACCESS EXCLUSIVE MODE").value();
    run("SET statement_timeout = '5s'");
    run("ALTER TABLE accounts ALTER note SET DEFAULT 'as ever'");
    int id = 0;
    const auto before = mirrored();
    EXPECT_TRUE(support::eventually(20s, [&] {
        run("INSERT INTO accounts (id) VALUES (" + std::to_string(++id) + ")");
        return mirrored() > before;
    }));
    on_legacy.exec("COMMIT").value();
    on_modern.exec("COMMIT").value();
    expect_nothing_left();
}

}  // namespace
}  // namespace crossfade
