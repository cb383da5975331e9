#include "proxy/mirror/table_facts.hpp"

#include <gtest/gtest.h>

#include "lib/sql/understand.hpp"

namespace crossfade::proxy::mirror {
namespace {

table_facts orders() {
    table_facts made;
    made.oid = 17;
    made.name = {"sales", "Orders"};
    made.columns = {{.name = "id", .key = true, .settable = false},
                    {.name = "part", .key = true},
                    {.name = "no\"te"},
                    {.name = "twice", .written = false},
                    {.name = "serial", .settable = false}};
    made.readers = {"app"};
    return made;
}

TEST(a_table_s_statements, write_what_is_not_generated_by_the_key) {
    auto of = orders();
    write_row_sql(of, 3);
    EXPECT_EQ(
        of.insert.text,
        R"(INSERT INTO "sales"."Orders" AS crossfade ("id", "part", "no""te", "serial") OVERRIDING SYSTEM VALUE VALUES ($1, $2, $3, $4))");
    EXPECT_EQ(of.insert.parameters, (std::vector<std::size_t>{0, 1, 2, 4}));
    EXPECT_EQ(of.put.text,
              of.insert.text + R"( ON CONFLICT ("id", "part") DO UPDATE SET "no""te" = excluded."no""te")");
    EXPECT_EQ(of.put.parameters, of.insert.parameters);
    EXPECT_EQ(of.update.text, R"(UPDATE "sales"."Orders" SET "no""te" = $1 WHERE "id" = $2 AND "part" = $3)");
    EXPECT_EQ(of.update.parameters, (std::vector<std::size_t>{2, 0, 1}));
    EXPECT_EQ(of.remove.text, R"(DELETE FROM "sales"."Orders" WHERE "id" = $1 AND "part" = $2)");
    EXPECT_EQ(of.insert.name, "crossfade_i3");
}

TEST(a_table_s_statements, may_have_nothing_but_a_key) {
    auto of = orders();
    of.columns.resize(2);
    write_row_sql(of, 1);
    EXPECT_TRUE(of.put.text.ends_with(R"(ON CONFLICT ("id", "part") DO NOTHING)")) << of.put.text;
    EXPECT_EQ(of.update.text, R"(UPDATE "sales"."Orders" SET "id" = "id" WHERE "id" = $1 AND "part" = $2)");
}

// As the stream brings what is in them, whoever is in whose way.
TEST(a_table_s_statements, leave_its_tied_columns_as_they_are) {
    auto of = orders();
    of.tied = true;
    of.columns.push_back({.name = "place", .tied = true, .type = "character varying"});
    of.columns[1].tied = true;
    write_row_sql(of, 1);
    EXPECT_EQ(of.update.text, R"(UPDATE "sales"."Orders" SET "no""te" = $1 WHERE "id" = $2 AND "part" = $3)"
                              R"( AND "place"::text IS NOT DISTINCT FROM ($4::character varying)::text)");
    EXPECT_EQ(of.update.parameters, (std::vector<std::size_t>{2, 0, 1, 5}));
    EXPECT_EQ(of.remove.text, R"(DELETE FROM "sales"."Orders" WHERE "id" = $1 AND "part" = $2)");
    of.columns[2].tied = true;
    of.columns[2].type = "text";
    write_row_sql(of, 1);
    EXPECT_TRUE(of.update.text.starts_with(R"(UPDATE "sales"."Orders" SET "id" = "id" WHERE )")) << of.update.text;
}

TEST(a_table_s_statements, hit_no_row_of_an_equal_key) {
    auto of = orders();
    of.columns[0].type = "numeric";
    of.columns[0].one_text = false;
    of.columns[1].type = "public.ltree";
    of.columns[1].equals = "OPERATOR(public.=)";
    write_row_sql(of, 1);
    EXPECT_EQ(of.remove.text,
              R"(DELETE FROM "sales"."Orders" WHERE "id" = $1::numeric)"
              R"( AND "id"::text COLLATE "C" = ($1::numeric)::text AND "part" OPERATOR(public.=) $2::public.ltree)");
    EXPECT_TRUE(of.update.text.ends_with(R"( WHERE "id" = $2::numeric AND "id"::text COLLATE "C" = ($2::numeric)::text)"
                                         R"( AND "part" OPERATOR(public.=) $3::public.ltree)"))
        << of.update.text;
    EXPECT_TRUE(
        of.put.text.ends_with(R"(excluded."no""te" WHERE crossfade."id"::text COLLATE "C" = excluded."id"::text)"))
        << of.put.text;
}

bool taken(const char* text, const table_facts& by = orders(), std::string_view role = "app") {
    return takes(by, (*sql::understand(text)).front(), role);
}

TEST(a_table, takes_what_is_all_in_its_rows) {
    EXPECT_TRUE(taken(R"(INSERT INTO "Orders" VALUES (nextval('s'), 1))"));
    EXPECT_TRUE(taken(R"(INSERT INTO "Orders" VALUES (1, 1) ON CONFLICT (id, part) DO UPDATE SET serial = 2)"));
    EXPECT_TRUE(taken(R"(UPDATE "Orders" SET serial = random())"));
    EXPECT_TRUE(taken(R"(DELETE FROM "Orders")"));
    EXPECT_FALSE(taken(R"(UPDATE "Orders" SET part = 2)")) << "another key";
    EXPECT_FALSE(taken(R"(INSERT INTO "Orders" VALUES (1) ON CONFLICT (id) DO UPDATE SET (serial, id) = (1, 2))"));
    EXPECT_FALSE(taken(R"(INSERT INTO "Orders" VALUES (my_function()))")) << "it may write elsewhere";
    EXPECT_FALSE(taken(R"(INSERT INTO "Orders" SELECT 1, query_to_xml('DELETE FROM x', true, true, ''))"));
    EXPECT_FALSE(taken(R"(WITH x AS (DELETE FROM "Orders" RETURNING *) INSERT INTO "Orders" SELECT * FROM x)"));
    EXPECT_FALSE(taken(R"(TRUNCATE "Orders")"));
    EXPECT_FALSE(taken("DELETE FROM \"Orders\"", orders(), "stranger")) << "RETURNING reads";
    auto tied = orders();
    tied.updates = tied.removes = false;
    EXPECT_TRUE(taken(R"(INSERT INTO "Orders" VALUES (1))", tied));
    EXPECT_FALSE(taken(R"(INSERT INTO "Orders" VALUES (1) ON CONFLICT (id) DO UPDATE SET serial = 2)", tied));
    EXPECT_FALSE(taken(R"(UPDATE "Orders" SET serial = 1)", tied));
    EXPECT_FALSE(taken(R"(DELETE FROM "Orders")", tied));
}

TEST(a_tied_table, is_brought_rows_by_the_stream_alone) {
    auto tied = orders();
    tied.tied = true;
    tied.columns.back().tied = true;
    const auto understood = [](const char* text) { return (*sql::understand(text)).front(); };
    const auto brings = [&](const char* text, const table_facts& to) { return brings_ties(to, understood(text)); };
    const auto sets = [&](const char* text) { return sets_ties(tied, understood(text)); };
    EXPECT_TRUE(brings(R"(INSERT INTO "Orders" VALUES (1, 1))", tied));
    EXPECT_TRUE(brings(R"(INSERT INTO "Orders" VALUES (1, 1) ON CONFLICT (id, part) DO NOTHING)", tied));
    EXPECT_FALSE(brings(R"(INSERT INTO "Orders" VALUES (1, 1))", orders()));
    EXPECT_FALSE(brings(R"(UPDATE "Orders" SET serial = 1)", tied));
    EXPECT_FALSE(brings(R"(DELETE FROM "Orders")", tied));
    EXPECT_TRUE(sets(R"(UPDATE "Orders" SET "no""te" = 'x', serial = serial)"));
    EXPECT_FALSE(sets(R"(UPDATE "Orders" SET "no""te" = 'x' WHERE serial = 1)"));
    EXPECT_FALSE(sets(R"(DELETE FROM "Orders")"));
}

TEST(a_catalog, finds_by_oid_and_by_name) {
    const catalog all{{{17, std::make_shared<const table_facts>(orders())}}};
    EXPECT_NE(all.find(17), nullptr);
    EXPECT_EQ(all.find(18), nullptr);
    EXPECT_NE(all.find("", "Orders"), nullptr);
    EXPECT_NE(all.find("sales", "Orders"), nullptr);
    EXPECT_EQ(all.find("public", "Orders"), nullptr);
    EXPECT_EQ(all.find("", "orders"), nullptr);
}

// Whose rows are the table's; a statement about one of them by its own name is another matter.
TEST(a_catalog, finds_tables_by_their_partitions) {
    auto parted = orders();
    parted.partitions = {{18, {"sales", "north"}}, {19, {"sales", "south"}}};
    const catalog all{{{17, std::make_shared<const table_facts>(parted)}}};
    EXPECT_EQ(all.size(), 1U);
    for (const std::uint32_t oid : {17U, 18U, 19U}) {
        ASSERT_NE(all.find(oid), nullptr) << oid;
        EXPECT_EQ(all.find(oid)->oid, 17U);
    }
    EXPECT_EQ(all.find(20), nullptr);
    EXPECT_EQ(all.find("sales", "north"), nullptr);
}

}  // namespace
}  // namespace crossfade::proxy::mirror
