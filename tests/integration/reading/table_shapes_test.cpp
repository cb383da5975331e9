#include "proxy/reading/table_shapes.hpp"

#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "tests/support/postgres.hpp"

namespace crossfade::proxy::reading {
namespace {

const std::string tables = R"sql(
    CREATE TYPE mood AS ENUM ('sad', 'happy');
    CREATE DOMAIN short AS varchar(5) CHECK (value <> '');
    CREATE TABLE odd (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, n numeric(10, 2), v varchar(5), c char,
                      m mood[], s short, at timestamptz(3), i interval day to second (2), b bit varying(8), U&"\00FC, x" text,
                      made text GENERATED ALWAYS AS (upper(v) || coalesce(n, 0)::text) STORED);
    CREATE TABLE split (id int, at date) PARTITION BY RANGE (at);
    CREATE TABLE split_1 PARTITION OF split FOR VALUES FROM ('2024-01-01') TO ('2025-01-01');
    CREATE TABLE empty ();
    CREATE TABLE same (a int, b text);
    CREATE VIEW few AS SELECT id, m FROM odd;
)sql";

table_shapes shapes_of(const support::postgres_cluster& at, const std::string& database) {
    auto db = pgclient::connection::open(at.dsn(database), {}).value();
    return load_shapes(db).value();
}

std::vector<std::string> differ(const table_shapes& left, const table_shapes& right) {
    std::vector<std::string> names;
    for (const auto& [name, shape] : left)
        if (!right.contains(name) || right.at(name) != shape) names.push_back(name);
    return names;
}

TEST(table_shapes, are_the_same_where_an_application_sees_the_same) {
    if (!support::postgres_cluster::available()) GTEST_SKIP() << "no PostgreSQL server here";
    support::postgres_cluster legacy;
    legacy.start();
    legacy.exec(tables);
    const auto ours = shapes_of(legacy, "app");
    EXPECT_EQ(ours.size(), 6U);
    for (const auto& [name, shape] : ours) EXPECT_FALSE(shape.has_inheritors) << name;

    legacy.exec("CREATE DATABASE latin ENCODING 'LATIN1' LC_COLLATE 'C' LC_CTYPE 'C' TEMPLATE template0", "postgres");
    legacy.exec("ALTER DATABASE latin SET search_path = other, public", "postgres");
    // Other OIDs, and columns that were there once.
    legacy.exec("CREATE TYPE early AS ENUM ('x');" + tables +
                    "ALTER TABLE same DROP a, DROP b; ALTER TABLE same ADD a int, ADD b text;"
                    "ALTER TABLE odd ALTER n SET DEFAULT 7, ALTER v SET NOT NULL",
                "latin");
    const auto with = [&](const std::string& change) {
        legacy.exec(change, "latin");
        return differ(shapes_of(legacy, "latin"), ours);
    };
    using names = std::vector<std::string>;
    EXPECT_EQ(with("SELECT 1"), names{});
    EXPECT_EQ(with("ALTER TABLE same DROP a, ADD a int"), names{"public.same"}) << "their order";
    EXPECT_EQ(with("ALTER TABLE same DROP b, ADD b text"), names{});
    EXPECT_EQ(with("ALTER TABLE same ALTER b TYPE varchar(7)"), names{"public.same"});
    EXPECT_EQ(with("ALTER TABLE same ALTER b TYPE varchar(8)"), names{"public.same"});
    EXPECT_EQ(with("ALTER TABLE same ALTER b TYPE short"), names{"public.same"});
    EXPECT_EQ(with("ALTER TABLE same ALTER b TYPE text"), names{});
    EXPECT_EQ(with("ALTER TABLE same DROP b, ADD b text GENERATED ALWAYS AS ('b') STORED"), names{"public.same"});
    EXPECT_EQ(with("ALTER TABLE same DROP b, ADD b text"), names{});
    EXPECT_EQ(with("CREATE TABLE heir () INHERITS (same)"), (names{"public.heir", "public.same"}));
    EXPECT_TRUE(shapes_of(legacy, "latin").at("public.same").has_inheritors);
    EXPECT_EQ(with("DROP TABLE heir"), names{});

    const auto newer = support::postgres_18_bin_dir();
    if (!support::postgres_cluster::available(newer))
        GTEST_SKIP() << "no PostgreSQL 18: script/bootstrap --postgres-18";
    support::postgres_cluster modern{{.bin_dir = newer}};
    modern.start();
    modern.exec(tables);
    EXPECT_EQ(differ(shapes_of(modern, "app"), ours), names{});
    modern.exec(
        "ALTER TABLE odd DROP made, ADD made text GENERATED ALWAYS AS (upper(v) || coalesce(n, 0)::text) VIRTUAL");
    EXPECT_EQ(differ(shapes_of(modern, "app"), ours), names{}) << "of the same values";
}

}  // namespace
}  // namespace crossfade::proxy::reading
