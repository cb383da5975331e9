#include "lib/sql/table_change.hpp"

#include <gtest/gtest.h>

namespace crossfade::sql {
namespace {

std::string verdict(std::string_view text) {
    const auto read = read_table_change(text);
    std::string said = read.obstacle.empty() ? read.schema + '|' + read.table : "no: " + read.obstacle;
    if (read.cosmetic) said += " cosmetic";
    if (read.brings_rows) said += " brings rows";
    return said;
}

TEST(table_change, may_be_repeated_where_every_part_comes_out_the_same) {
    for (const char* text :
         {"ALTER TABLE public.t ADD COLUMN a int", "alter table public.t add a int default 7 not null, drop b",
          "ALTER TABLE public.t ADD COLUMN a text DEFAULT 'now' CHECK (a <> '')",
          "ALTER TABLE public.t ADD COLUMN IF NOT EXISTS a numeric(10,2) DEFAULT -1.5",
          "ALTER TABLE public.t ADD COLUMN a jsonb DEFAULT '{}'::jsonb;", "ALTER TABLE ONLY public.t DROP COLUMN a",
          "ALTER TABLE public.t ALTER a TYPE bigint", "ALTER TABLE public.t ALTER a TYPE varchar(20)",
          "ALTER TABLE public.t ADD a int8range DEFAULT '[1,5)'", "ALTER TABLE public.t ADD a mood DEFAULT NULL",
          "ALTER TABLE public.t ADD a text[] DEFAULT ARRAY['b']::text[]", "ALTER TABLE public.t ALTER a SET NOT NULL",
          "ALTER TABLE public.t ALTER a SET DEFAULT now()", "ALTER TABLE public.t RENAME a TO b",
          "-- why\nALTER TABLE public.t ADD CONSTRAINT few CHECK (a < 5) NOT VALID"})
        EXPECT_EQ(verdict(text), "public|t") << text;
    EXPECT_EQ(verdict("ALTER TABLE \"T x\" ADD a int"), "|T x");
}

TEST(table_change, is_not_to_be_repeated_where_something_else_could_come_out) {
    for (const auto& [text, why] : std::initializer_list<std::pair<const char*, const char*>>{
             {"ALTER TABLE t ADD a timestamptz DEFAULT now()", "no: a new column's default is no constant"},
             {"ALTER TABLE t ADD a timestamptz DEFAULT 'now'", "no: a new column's default is a time"},
             {"ALTER TABLE t ADD a text DEFAULT 'today'::date::text", "no: a new column's default is a time"},
             {"ALTER TABLE t ADD a tstzrange DEFAULT '[2024-01-01,)'", "no: a new column's default is a time"},
             {"ALTER TABLE t ADD a tstzmultirange DEFAULT '{[2024-01-01,)}'", "no: a new column's default is a time"},
             {"ALTER TABLE t ADD a interval DEFAULT '-1 2:03'", "no: a new column's default is a time"},
             {"ALTER TABLE t ADD a date[] DEFAULT '{01/02/2024}'", "no: a new column's default is a time"},
             {"ALTER TABLE t ADD a text[] DEFAULT ARRAY[now()]::text[]", "no: a new column's default is no constant"},
             {"ALTER TABLE t ADD a money DEFAULT 5",
              "no: what a new column's default is read as may depend on the session's settings"},
             {"ALTER TABLE t ADD a since DEFAULT '2024-01-01'",
              "no: what a new column's default is read as may depend on the session's settings"},
             {"ALTER TABLE t ADD a ours.int4 DEFAULT '2024-01-01'",
              "no: what a new column's default is read as may depend on the session's settings"},
             {"ALTER TABLE t ADD a text DEFAULT 'a\\n'",
              "no: what a new column's default is read as may depend on the session's settings"},
             {"ALTER TABLE t ALTER a TYPE timestamptz", "no: the conversion may depend on the session's settings"},
             {"ALTER TABLE t ALTER a TYPE date, ALTER b TYPE int",
              "no: the conversion may depend on the session's settings"},
             {"ALTER TABLE t ALTER a TYPE money", "no: the conversion may depend on the session's settings"},
             {"ALTER TABLE t ALTER a TYPE mood", "no: the conversion may depend on the session's settings"},
             {"ALTER TABLE t ADD a uuid DEFAULT gen_random_uuid()", "no: a new column's default is no constant"},
             {"ALTER TABLE t ADD a bigserial", "no: a new column draws its values from a sequence"},
             {"ALTER TABLE t ADD a int GENERATED ALWAYS AS IDENTITY",
              "no: a new column with a constraint of another kind than NOT NULL and CHECK"},
             {"ALTER TABLE t ADD a int, ADD b uuid DEFAULT f()", "no: a new column's default is no constant"},
             {"ALTER TABLE t DROP a CASCADE", "no: CASCADE may drop what is not the same there"},
             {"ALTER TABLE t ALTER a TYPE int USING f(a)", "no: USING may compute something else there"},
             {"ALTER TABLE t ADD FOREIGN KEY (a) REFERENCES o",
              "no: a constraint of another kind than CHECK, UNIQUE and PRIMARY KEY"},
             {"ALTER TABLE t RENAME TO u", "no: what is known of a table is known by its name"},
             {"ALTER TABLE t ATTACH PARTITION p FOR VALUES IN (1)",
              "no: the partition's rows are not in the stream brings rows"},
             {"ALTER TABLE t DETACH PARTITION p", "no: the partition's rows are not in the stream"},
             {"ALTER TABLE t ADD a int; SELECT 1", "no: one of several statements that were sent together"},
             {"DO 'BEGIN END'", "no: not an ALTER TABLE"},
             {"ALTER TABLE", "no: not an ALTER TABLE"},
             {"ALTER VIEW t RENAME TO u", "no: not an ALTER TABLE"},
             {"", "no: one of several statements that were sent together"},
             {"ALTER TABLE t SET (fillfactor = 50)",
              "no: a kind of ALTER TABLE that is not known to be the same there cosmetic"}})
        EXPECT_EQ(verdict(text), why) << text;
    EXPECT_EQ(verdict("ALTER TABLE t ADD a text DEFAULT '" + std::string(70000, 'x') + "'"), "no: not an ALTER TABLE");
}

TEST(table_change, tells_a_conversion_from_values_computed_anew) {
    EXPECT_TRUE(read_table_change("ALTER TABLE t ALTER a TYPE bigint").converts);
    EXPECT_EQ(read_table_change("ALTER TABLE t ALTER a TYPE bigint, ADD b int").retyped, std::vector<std::string>{"a"});
    EXPECT_FALSE(read_table_change("ALTER TABLE t ALTER a TYPE bigint USING a * 2").converts);
    EXPECT_FALSE(read_table_change("ALTER TABLE t ADD a uuid DEFAULT gen_random_uuid()").converts);
    EXPECT_TRUE(read_table_change("ALTER TABLE t ALTER a TYPE int[], ALTER b TYPE jsonb").converts);
    // By TimeZone, DateStyle and kin, of whatever type it was.
    for (const auto* type : {"timestamptz", "timestamp", "date", "time", "text", "varchar(20)", "char(3)", "numeric",
                             "money", "interval", "timestamptz[]", "ours.int8"})
        EXPECT_FALSE(read_table_change("ALTER TABLE t ALTER a TYPE " + std::string{type}).converts) << type;
    EXPECT_FALSE(read_table_change("SELECT f()").converts);
}

// Once for all rows, and so without rewriting one.
TEST(table_change, tells_what_each_database_computes_for_itself) {
    for (const auto* computed : {"DEFAULT now()", "DEFAULT gen_random_uuid()", "DEFAULT '2024-01-01'"})
        EXPECT_TRUE(read_table_change("ALTER TABLE t ADD a timestamptz " + std::string{computed}).computes) << computed;
    for (const auto* told : {"ADD a mood DEFAULT 'glad'", "ADD a int DEFAULT 7", "ADD a timestamptz",
                             "ALTER a SET DEFAULT now()", "ALTER a TYPE text USING a::text"})
        EXPECT_FALSE(read_table_change("ALTER TABLE t " + std::string{told}).computes) << told;
}

}  // namespace
}  // namespace crossfade::sql
