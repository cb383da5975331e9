// Every type through all of it, the first copy and the stream, between PostgreSQL 15 and 18 and the other way round.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/chaos/landscape.hpp"
#include "tests/support/eventually.hpp"
#include "tests/support/every_type.hpp"

namespace crossfade {
namespace {

using namespace std::chrono_literals;
using support::postgres_cluster;
using testing::HasSubstr;
using testing::Not;

const std::string alike =
    "SET datestyle = 'ISO, YMD'; SET intervalstyle = iso_8601; SET timezone = 'UTC'; SET extra_float_digits = 3;"
    "SET bytea_output = hex; SET client_encoding = UTF8; SET xmloption = content; ";

std::string quoted(const std::string& text) {
    std::string out = "E'";
    for (const char c : text) {
        if (c == '\'' || c == '\\') out += c;
        out += c;
    }
    return out + '\'';
}

// "c0, c1" and "'..'::numeric, ..", of the list.
struct wide_columns {
    wide_columns() {
        for (std::size_t i = 0; i < support::every_type().size(); ++i) {
            const auto& [type, value] = support::every_type()[i];
            const auto name = "c" + std::to_string(i);
            names += ", " + name;
            values += ", " + quoted(value) + "::" + type;
            settings += (i == 0 ? "" : ", ") + name + " = " + quoted(value) + "::" + type;
            nulls += (i == 0 ? "" : ", ") + name + " = NULL";
        }
    }
    std::string names;
    std::string values;
    std::string settings;
    std::string nulls;
};

// What each value looks like on its way to a client: as text, and as bytes where no OID of this database is in them.
std::string representation_query(const postgres_cluster& of, const std::string& table) {
    std::string sql = alike + "SELECT id::text";
    for (const auto& row : of.exec("SELECT a.attname, CASE WHEN t.oid < 16384 THEN t.typsend::text END"
                                   " FROM pg_attribute a JOIN pg_type t ON t.oid = a.atttypid"
                                   " WHERE attrelid = '" +
                                   table + "'::regclass AND attnum > 1 ORDER BY attnum")) {
        sql += ", coalesce(" + row[0] + "::text, 'null')";
        if (!row[1].empty()) sql += " || ' ' || coalesce(encode(" + row[1] + '(' + row[0] + "), 'hex'), '')";
    }
    return sql + " FROM " + table + " ORDER BY 1";
}

struct versions {
    std::string name;
    std::filesystem::path legacy;
    std::filesystem::path modern;
};

class types : public testing::TestWithParam<versions> {};

TEST_P(types, f07_arrive_to_the_byte) {
    if (!support::kafka_broker::available()) GTEST_SKIP() << "no Kafka: script/bootstrap --kafka";
    if (!postgres_cluster::available(support::postgres_18_bin_dir()))
        GTEST_SKIP() << "no PostgreSQL 18: script/bootstrap --postgres-18";
    const wide_columns columns;
    const auto insert = [&](const std::string& table, const std::string& ids) {
        return "INSERT INTO " + table + " (id" + columns.names + ") SELECT id" + columns.values +
               " FROM unnest(ARRAY[" + ids + "]) id;";
    };
    chaos::landscape world{{.schema = support::own_types + support::wide_table("wide", "int PRIMARY KEY") +
                                      support::wide_table("keyless", "int"),
                            .rows = alike + insert("wide", "1, 2, 3") + insert("keyless", "1, 2, 3"),
                            .legacy = {.bin_dir = GetParam().legacy},
                            .modern = {.bin_dir = GetParam().modern}}};
    // Copied: 1. Streamed: 4, new; 2 and 5, changed; 30, with another key. Without a key each is found by all its
    // values.
    const std::string empty_ones = "INSERT INTO wide (id) VALUES (5), (6); INSERT INTO keyless (id) VALUES (5), (6);";
    world.legacy.exec(alike + insert("wide", "4") + insert("keyless", "4, 4, 7") + empty_ones);
    for (const std::string table : {"wide", "keyless"})
        world.legacy.exec(alike + "UPDATE " + table + " SET " + columns.nulls + " WHERE id = 2;" + "UPDATE " + table +
                          " SET " + columns.settings + " WHERE id = 5; UPDATE " + table +
                          " SET id = 30 WHERE id = 3; DELETE FROM " + table + " WHERE id = 7");
    EXPECT_EQ(world.settle(60s), "");
    EXPECT_EQ(world.complaints(), "");
    for (const std::string table : {"wide", "keyless"}) {
        SCOPED_TRACE(table);
        const auto there = world.legacy.exec(representation_query(world.legacy, table));
        const auto here = world.modern.exec(representation_query(world.modern, table));
        ASSERT_EQ(there.size(), here.size());
        EXPECT_EQ(there.size(), table == "wide" ? 6U : 7U);
        for (std::size_t row = 0; row < there.size(); ++row)
            for (std::size_t column = 0; column < there[row].size(); ++column)
                EXPECT_EQ(there[row][column], here[row][column])
                    << (column == 0 ? "id" : support::every_type()[column - 1].type);
    }
}

INSTANTIATE_TEST_SUITE_P(
    between, types,
    testing::Values(versions{"15_and_18", support::postgres_bin_dir(), support::postgres_18_bin_dir()},
                    versions{"18_and_15", support::postgres_18_bin_dir(), support::postgres_bin_dir()}),
    [](const auto& each) { return each.param.name; });

class encodings : public testing::TestWithParam<std::string> {};

TEST_P(encodings, of_the_legacy_database_arrive_as_unicode) {
    if (!support::kafka_broker::available()) GTEST_SKIP() << "no Kafka: script/bootstrap --kafka";
    // Of two columns of the key the one is the shorter in one byte a character, and the longer in UTF-8. WIN1252 has
    // some characters in another order, and LATIN1 doesn't have them.
    const std::string sign = GetParam() == "WIN1252" ? "€" : "¤";
    chaos::landscape world{{.schema =
                                "CREATE TYPE laune AS ENUM ('fröhlich', 'düster');"
                                "CREATE TABLE \"größe\" (\"schlüssel\" text PRIMARY KEY, \"maß\" text, laune laune);"
                                "CREATE TABLE paare (\"üä\" text, zzz text, wert int, PRIMARY KEY (\"üä\", zzz));"
                                "CREATE TABLE ohne (was text)",
                            .rows = "INSERT INTO \"größe\" VALUES ('façade', 'Ærø', 'düster'), ('weg', '¿', NULL);"
                                    "INSERT INTO paare VALUES ('" +
                                    sign +
                                    "', 'a', 1), ('é', '\"\\', 2), ('z', 'ü', 3);"
                                    "INSERT INTO ohne VALUES ('ü'), ('ü'), ('" +
                                    sign + "'), (NULL)",
                            .create_legacy = "CREATE DATABASE app TEMPLATE template0 ENCODING " + GetParam() +
                                             " LC_COLLATE 'C' LC_CTYPE 'C'"}};
    ASSERT_EQ(world.legacy.value("SHOW server_encoding"), GetParam());
    world.legacy.exec(
        "INSERT INTO \"größe\" VALUES ('naïve', 'straße', 'fröhlich');"
        "UPDATE \"größe\" SET \"maß\" = 'Ýþÿ' WHERE \"schlüssel\" = 'façade';"
        "DELETE FROM \"größe\" WHERE \"schlüssel\" = 'weg'");
    const std::string all = "SELECT * FROM \"größe\" ORDER BY \"schlüssel\" COLLATE \"C\"";
    const postgres_cluster::table expected{{"façade", "Ýþÿ", "düster"}, {"naïve", "straße", "fröhlich"}};
    EXPECT_TRUE(support::eventually(60s, [&] { return world.modern.exec(all) == expected; })) << world.logs();
    EXPECT_EQ(world.complaints(), "");

    const auto equal = world.crossfade({"verify", "--wait", "30"});
    EXPECT_EQ(equal.exit_code, 0) << equal.output << equal.errors;
    world.modern.exec("UPDATE paare SET wert = 7 WHERE wert = 2; INSERT INTO ohne VALUES ('ü')");
    const auto two = world.crossfade({"verify"});
    EXPECT_THAT(two.output, HasSubstr("DIFFERENT: 2 of 3 tables"));
    EXPECT_THAT(two.output, HasSubstr(R"(  different  {"üä": "é", "zzz": "\"\\"})")) << two.output;
    EXPECT_THAT(two.output, Not(HasSubstr("\n  missing"))) << two.output;
    EXPECT_THAT(two.output, HasSubstr("  extra  ")) << two.output;
}

INSTANTIATE_TEST_SUITE_P(of, encodings, testing::Values("LATIN1", "WIN1252"),
                         [](const auto& each) { return each.param; });

}  // namespace
}  // namespace crossfade
