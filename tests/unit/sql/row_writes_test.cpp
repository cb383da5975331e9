#include <gtest/gtest.h>

#include <algorithm>
#include <span>
#include <string>

#include "lib/sql/shape.hpp"
#include "lib/sql/understand.hpp"

namespace crossfade::sql {
namespace {

// "update sales.orders as "o" set a b", or "none".
std::string describe(const std::optional<row_write>& rows) {
    if (!rows) return "none";
    constexpr const char* operations[] = {"insert", "update", "remove"};
    std::string text = operations[static_cast<std::size_t>(rows->what)];
    text += " " + (rows->schema.empty() ? "" : rows->schema + ".") + rows->name + " as " + rows->reference;
    if (!rows->set_columns.empty()) text += " set";
    for (const auto& column : rows->set_columns) text += " " + column;
    return text;
}

struct named {
    const char* text;
    const char* rows;
};

void expect_all(std::span<const named> samples) {
    for (const auto& [text, rows] : samples) {
        const auto known = understand(text);
        ASSERT_TRUE(known && known->size() == 1) << text;
        EXPECT_EQ(describe(known->front().rows), rows) << text;
    }
}

TEST(row_writes, name_their_target_as_returning_does) {
    const named samples[] = {
        {"INSERT INTO orders VALUES (1)", "insert orders as \"orders\""},
        {"INSERT INTO sales.orders AS o (id) VALUES (1)", "insert sales.orders as \"o\""},
        {"INSERT INTO db.sales.orders DEFAULT VALUES", "insert sales.orders as \"orders\""},
        {"INSERT INTO s.a SELECT * FROM t.a", "insert s.a as \"a\""},
        {"INSERT INTO a (b[1], c.f) VALUES (1, 2)", "insert a as \"a\""},
        {"UPDATE sales.orders SET id = 1", "update sales.orders as \"orders\" set id"},
        {"UPDATE ONLY a \"x\"\"Y\" SET id = 1", "update a as \"x\"\"Y\" set id"},
        {"UPDATE Orders * AS O SET Id = 1", "update orders as \"o\" set id"},
        {"DELETE FROM \"select\"", "remove select as \"select\""},
        {"DELETE FROM U&\"caf\\00e9\"", "remove café as \"café\""},
        {"DELETE FROM s.a x USING t.a WHERE x.id = a.id", "remove s.a as \"x\""},
        {"DELETE FROM a USING a AS b WHERE a.id = b.id", "remove a as \"a\""},
        {"DELETE FROM a WHERE CURRENT OF c", "remove a as \"a\""},
        {"WITH x AS (SELECT * FROM b) DELETE FROM a USING x", "remove a as \"a\""},
    };
    expect_all(samples);
}

// What a mirrored statement's rows are asked for by.
TEST(row_writes, say_which_plainly_are_of_any_number) {
    std::string values = "INSERT INTO a VALUES (0)";
    for (int i = 1; i < 500; ++i) values += ", (0)";
    const std::string bounded[] = {
        values,
        "INSERT INTO a DEFAULT VALUES",
        "INSERT INTO a SELECT 1, now()",
        "INSERT INTO a SELECT $1 WHERE NOT EXISTS (SELECT FROM a WHERE b > 1)",
        "INSERT INTO a SELECT 1 UNION ALL SELECT 2",
        "INSERT INTO a SELECT * FROM b WHERE c > 1 AND (id = $1 AND true)",
        "INSERT INTO a SELECT * FROM b ORDER BY c LIMIT 999",
        "INSERT INTO a SELECT * FROM b LIMIT $1::int",
        "INSERT INTO a SELECT * FROM b FETCH FIRST 5 ROWS ONLY",
        "INSERT INTO a SELECT coalesce(max(id), 0) + 1 FROM a",
        "INSERT INTO a SELECT * FROM unnest($1::int[], $2::text[])",
        "INSERT INTO a SELECT r.* FROM jsonb_to_recordset($1) AS r (id int)",
        "INSERT INTO a SELECT * FROM (VALUES (1), (2)) AS v JOIN (SELECT 3) AS w ON true",
        "INSERT INTO a SELECT n FROM generate_series(1, 999) n",
        "INSERT INTO a SELECT generate_series(100, 100 + 1) LIMIT 7",
        "INSERT INTO a SELECT generate_series(0, 999, 2)",
        "WITH x AS (SELECT 1), y AS (TABLE x) INSERT INTO a TABLE y",
        "INSERT INTO a WITH x AS (SELECT * FROM b WHERE id = 1) SELECT * FROM x, x AS z",
        "UPDATE a SET n = 1 WHERE id = 1",
        "UPDATE a SET n = 1 WHERE 1 = a.id AND n < 2",
        "UPDATE a SET n = 1 WHERE lower(name) = $1 OR id IN (1, 2)",
        "UPDATE a SET n = 1 WHERE id = ANY($1)",
        "UPDATE a SET n = 1 WHERE (b, c) = (1, 2)",
        "UPDATE a SET n = v.n FROM (VALUES (1, 2)) AS v (id, n) WHERE a.id = v.id",
        "UPDATE a SET n = 1 WHERE id IN (SELECT id FROM a ORDER BY id LIMIT 10 FOR UPDATE SKIP LOCKED)",
        "DELETE FROM a WHERE id IN (SELECT id FROM b WHERE c = 3)",
        "DELETE FROM a WHERE CURRENT OF c",
    };
    const std::string any[] = {
        values + ", (0)",
        "INSERT INTO a TABLE b",
        "INSERT INTO a SELECT * FROM b WHERE c > 1",
        "INSERT INTO a SELECT * FROM b LIMIT 1000",
        "INSERT INTO a SELECT * FROM b LIMIT ALL",
        "INSERT INTO a SELECT * FROM b WHERE id = 1 UNION ALL TABLE c",
        "INSERT INTO a SELECT max(id) FROM b GROUP BY c",
        "INSERT INTO a SELECT max(id) OVER () FROM b",
        "INSERT INTO a SELECT * FROM unnest((SELECT array_agg(id) FROM b))",
        "INSERT INTO a SELECT generate_series(1, 1000000)",
        "INSERT INTO a SELECT n FROM generate_series(1, $1) n",
        "INSERT INTO a SELECT n FROM (VALUES (1)) v, generate_series(now(), 'infinity', '1 s') n",
        "INSERT INTO a SELECT 'x' || generate_series(1, 1000)",
        "INSERT INTO a SELECT 1 FROM (SELECT 1) AS x, b",
        "WITH x AS (TABLE b) INSERT INTO a TABLE x",
        "WITH RECURSIVE x AS (SELECT 1 AS n UNION ALL SELECT n + 1 FROM x) INSERT INTO a TABLE x",
        "UPDATE a SET n = 1",
        "UPDATE a SET n = 1 WHERE id > 1",
        "UPDATE a SET n = 1 WHERE 1 = 1",
        "UPDATE a SET n = 1 WHERE id = 1 OR n > 2",
        "UPDATE a SET n = 1 WHERE NOT id = 1",
        "UPDATE a SET n = 1 WHERE id NOT IN (1, 2)",
        "UPDATE a SET n = 1 WHERE id <> ALL($1)",
        "UPDATE a SET n = 1 WHERE b IS NULL",
        "DELETE FROM a",
        "DELETE FROM a WHERE ts < now() - interval '90 days'",
        "DELETE FROM a WHERE id IN (SELECT id FROM b WHERE ts < now())",
        "DELETE FROM a WHERE EXISTS (SELECT FROM b WHERE b.id = a.id)",
        "DELETE FROM a USING b",
    };
    const auto is_unbounded = [](const std::string& text) {
        const auto known = understand(text);
        EXPECT_TRUE(known && known->size() == 1 && known->front().rows) << text;
        return known && known->front().rows && known->front().rows->unbounded;
    };
    for (const auto& text : bounded) EXPECT_FALSE(is_unbounded(text)) << text;
    for (const auto& text : any) EXPECT_TRUE(is_unbounded(text)) << text;
    // As they are understood by their shape alone.
    std::string scratch;
    for (const auto& text : bounded) EXPECT_FALSE(is_unbounded(std::string{shape_of(text, scratch)})) << text;
    for (const auto& text : any) EXPECT_TRUE(is_unbounded(std::string{shape_of(text, scratch)})) << text;
}

TEST(row_writes, list_each_assigned_column_once) {
    const named samples[] = {
        {"UPDATE a SET z = 1, y = z, \"X\" = DEFAULT", "update a as \"a\" set z y X"},
        {"UPDATE a SET (b, c) = (1, 2), d = 3, (e, f) = (SELECT 4, 5)", "update a as \"a\" set b c d e f"},
        {"UPDATE a SET (b, c) = ROW(1, DEFAULT)", "update a as \"a\" set b c"},
        {"UPDATE a SET b[1] = 1, b[2:3] = '{}', c.f = 2, c.g[1].h = 3, (d.i, b[4]) = (4, 5)",
         "update a as \"a\" set b c d"},
        {"UPDATE a SET b = (SELECT max(c) FROM d)", "update a as \"a\" set b"},
        {"INSERT INTO a (id) VALUES (1) ON CONFLICT (id) DO UPDATE SET n = a.n + 1, (b, c.f) = (1, 2), n[2] = 3",
         "insert a as \"a\" set n b c"},
        {"INSERT INTO a VALUES (1) ON CONFLICT DO NOTHING", "insert a as \"a\""},
    };
    expect_all(samples);
}

TEST(row_writes, are_none_where_nobody_is_to_add_to_returning) {
    const char* texts[] = {
        "SELECT * FROM a FOR UPDATE",
        "MERGE INTO a USING b ON a.id = b.id WHEN MATCHED THEN DELETE",
        "TRUNCATE a",
        "COPY a FROM STDIN",
        "COPY (DELETE FROM a RETURNING *) TO STDOUT",
        "EXPLAIN DELETE FROM a",
        "EXPLAIN ANALYZE UPDATE a SET b = 1 RETURNING b",
        "PREPARE q AS INSERT INTO a VALUES (1)",
        "CREATE RULE r AS ON INSERT TO a DO ALSO INSERT INTO b VALUES (1)",
        "WITH x AS (DELETE FROM a RETURNING *) SELECT * FROM x",
        "WITH x AS (DELETE FROM a RETURNING *) INSERT INTO b SELECT * FROM x",
        "WITH x AS (UPDATE a SET b = 1) DELETE FROM c RETURNING *",
        "INSERT INTO a WITH x AS (DELETE FROM b RETURNING *) SELECT * FROM x",
        // The server would find `a` ambiguous.
        "UPDATE s.a SET b = 1 FROM t.a",
        "DELETE FROM a USING t.a WHERE t.a.id = 1",
    };
    for (const char* text : texts) {
        const auto known = understand(text);
        ASSERT_TRUE(known && known->size() == 1) << text;
        EXPECT_FALSE(known->front().rows) << text;
    }
    const auto known = understand("PREPARE q AS INSERT INTO a VALUES (1)");
    EXPECT_FALSE(std::get<effect::prepare>(known->front().effect).prepared->rows);
}

// The places where something may be put in are marked with "^", one for each statement.
struct marked {
    std::string text;
    std::vector<std::size_t> places;

    explicit marked(std::string_view with_marks) {
        for (const char byte : with_marks)
            if (byte == '^')
                places.push_back(text.size());
            else
                text += byte;
    }
};

void expect_same_but_for_returning(const statement& before, const statement& after) {
    EXPECT_TRUE(after.has_returning);
    EXPECT_EQ(after.kind, before.kind);
    EXPECT_EQ(after.calls, before.calls);
    EXPECT_EQ(after.has_on_conflict, before.has_on_conflict);
    EXPECT_EQ(after.tables, before.tables);
    EXPECT_EQ(describe(after.rows), describe(before.rows));
    EXPECT_NE(after.fingerprint, before.fingerprint);
}

void expect_places(std::span<const char* const> samples) {
    for (const char* sample : samples) {
        SCOPED_TRACE(sample);
        const marked expected(sample);
        const auto known = understand(expected.text);
        ASSERT_TRUE(known && known->size() == expected.places.size());
        auto with_more = expected.text;
        for (auto i = known->size(); i-- > 0;) {
            ASSERT_TRUE(known->at(i).rows);
            EXPECT_EQ(known->at(i).rows->returning_at, expected.places[i]);
            const auto* more = known->at(i).has_returning ? " \"hidden\"," : " RETURNING \"hidden\"";
            with_more.insert(known->at(i).rows->returning_at, more);
        }
        const auto again = understand(with_more);
        ASSERT_TRUE(again && again->size() == known->size()) << with_more;
        for (std::size_t i = 0; i < known->size(); ++i) expect_same_but_for_returning(known->at(i), again->at(i));
    }
}

TEST(row_writes, take_more_in_front_of_the_first_item_of_returning) {
    const char* samples[] = {
        "DELETE FROM a RETURNING ^*",
        "DELETE FROM a RETURNING^*",
        "DELETE FROM a RETURNING ^a.*, b",
        "DELETE FROM a RETURNING ^(a.*)",
        "DELETE FROM a RETURNING ^b, c",
        "DELETE FROM a RETURNING^\"A\"",
        "DELETE FROM a RETURNING ^U&\"d!0061t\" UESCAPE '!' AS x",
        "DELETE FROM a RETURNING ^(b+c) AS x",
        "DELETE FROM a RETURNING^(b+c) x",
        "DELETE FROM a RETURNING ^((b))",
        "DELETE FROM a RETURNING ^(b).f, 1",
        "DELETE FROM a RETURNING ^b[1]",
        "DELETE FROM a RETURNING ^-1",
        "DELETE FROM a RETURNING ^- b + c",
        "DELETE FROM a RETURNING ^.5",
        "DELETE FROM a RETURNING ^|/ b",
        "DELETE FROM a RETURNING ^OPERATOR(pg_catalog.-) b",
        "DELETE FROM a RETURNING ^b OPERATOR(pg_catalog.-) c",
        "DELETE FROM a RETURNING ^(SELECT 1)",
        "DELETE FROM a RETURNING ^(SELECT x FROM b LIMIT 1)::text AS y",
        "DELETE FROM a RETURNING ^EXISTS (SELECT 1)",
        "DELETE FROM a RETURNING ^ARRAY[1, b]",
        "DELETE FROM a RETURNING ^ARRAY(SELECT 1)",
        "DELETE FROM a RETURNING ^ROW(b, c)",
        "DELETE FROM a RETURNING ^(b, c)",
        "DELETE FROM a RETURNING ^CASE WHEN b THEN c ELSE d END",
        "DELETE FROM a RETURNING ^CASE b WHEN 1 THEN c END IS NULL",
        "DELETE FROM a RETURNING ^a::text",
        "DELETE FROM a RETURNING ^CAST(b AS text)",
        "DELETE FROM a RETURNING ^date '2020-01-01' + b",
        "DELETE FROM a RETURNING ^double precision '1'",
        "DELETE FROM a RETURNING ^interval '1' DAY",
        "DELETE FROM a RETURNING ^'x' || b",
        "DELETE FROM a RETURNING^'x' y",
        "DELETE FROM a RETURNING ^'x'\n 'y'",
        "DELETE FROM a RETURNING ^E'\\'x' || b",
        "DELETE FROM a RETURNING ^U&'!0061' UESCAPE '!'",
        "DELETE FROM a RETURNING ^N'x'",
        "DELETE FROM a RETURNING ^B'01'",
        "DELETE FROM a RETURNING ^$q$RETURNING$q$",
        "DELETE FROM a RETURNING ^$1",
        "DELETE FROM a RETURNING ^TRUE",
        "DELETE FROM a RETURNING ^NULL",
        "DELETE FROM a RETURNING ^CURRENT_USER",
        "DELETE FROM a RETURNING ^b IS NULL",
        "DELETE FROM a RETURNING ^b IN (1, 2)",
        "DELETE FROM a RETURNING ^b BETWEEN 1 AND 2",
        "DELETE FROM a RETURNING ^b NOT LIKE 'x'",
        "DELETE FROM a RETURNING ^b COLLATE \"C\"",
        "DELETE FROM a RETURNING ^b AT TIME ZONE 'UTC'",
        "DELETE FROM a RETURNING ^NOT b",
        "DELETE FROM a RETURNING ^NOT b AND c OR d",
        "DELETE FROM a RETURNING ^lower(b)",
        "DELETE FROM a RETURNING ^pg_catalog.lower(b) AS \"x y\"",
        "DELETE FROM a RETURNING ^count(*) FILTER (WHERE b) OVER ()",
        "DELETE FROM a RETURNING ^COALESCE(b, 1)",
        "DELETE FROM a RETURNING ^EXTRACT(year FROM b)",
        "DELETE FROM a RETURNING ^xmin, ctid",
        "DELETE FROM a RETURNING /* , */ ^b -- c",
        "DELETE FROM a RETURNING -- c\n^b;",
        "DELETE FROM a RETURNING/**/^b; -- c",
        "UPDATE a SET b = 'RETURNING' RETURNING ^b",
        "UPDATE a SET b = 1 FROM c WHERE a.id = c.id RETURNING ^c.*, a.*",
        "INSERT INTO a VALUES (1) RETURNING ^id",
        "INSERT INTO a VALUES (1) ON CONFLICT (id) DO UPDATE SET n = 1 WHERE a.n > 0 RETURNING ^id",
        "WITH x AS (SELECT 1) INSERT INTO a SELECT * FROM x RETURNING ^id",
        "-- é\n/* 漢字 */ UPDATE \"ä\" SET \"ö\" = 'ü😀' WHERE ß = $$é$$ RETURNING ^\"é\"",
        "INSERT INTO a VALUES ('é') RETURNING ^id; DELETE FROM é RETURNING ^*; /* é */ UPDATE é SET é = 1 RETURNING ^é "
        ";",
    };
    expect_places(samples);
}

TEST(row_writes, take_returning_behind_the_last_token) {
    const char* samples[] = {
        "DELETE FROM a^",
        "DELETE FROM a^ ",
        "DELETE FROM a^;",
        "DELETE FROM a^ \n ;",
        "DELETE FROM a^;;",
        "DELETE FROM a^-- x",
        "DELETE FROM a^ -- x",
        "DELETE FROM a^ -- x\n",
        "DELETE FROM a^ -- x\n-- y",
        "DELETE FROM a^ -- x;\n;",
        "DELETE FROM a^; -- x",
        "DELETE FROM a^/* x */",
        "DELETE FROM a^ /* x /* y */ ; */",
        "DELETE FROM a^/*/*/**/*/*/--*/\n",
        "DELETE FROM a\t\r\n\fWHERE b^\t\r\n\f;",
        "DELETE /* x */ FROM -- y\n a^ --",
        "DELETE FROM a^ /* x */ -- y\n /* z */ ; /* ü */",
        "/* é */ -- ü\n DELETE FROM a^ -- é",
        ";; DELETE FROM a^ ;",
        "DELETE FROM \"a\"^",
        "DELETE FROM \"a -- b\"^ -- c",
        "DELETE FROM \"a\"\"/*\"^/* c */",
        "DELETE FROM a WHERE CURRENT OF c^",
        "DELETE FROM a WHERE b^ /* WHERE c */",
        "DELETE FROM a WHERE b = 1^",
        "DELETE FROM a WHERE b = 1.^",
        "DELETE FROM a WHERE b = 1e5^-- x",
        "DELETE FROM a WHERE b = $1^",
        "DELETE FROM a WHERE b = ''^",
        "DELETE FROM a WHERE b = 'x'^",
        "DELETE FROM a WHERE b = 'x'^ ",
        "DELETE FROM a WHERE b = 'x'^\n",
        "DELETE FROM a WHERE b = 'x'^ -- y",
        "DELETE FROM a WHERE b = 'x'^ \n-- 'y'\n",
        "DELETE FROM a WHERE b = 'x'^/* 'y' */",
        "DELETE FROM a WHERE b = 'x'^\n;",
        "DELETE FROM a WHERE b = 'x'\n\t'y'^ -- z",
        "DELETE FROM a WHERE b = 'x'' -- y'^",
        "DELETE FROM a WHERE b = 'x\n/* y'^; -- z */",
        "DELETE FROM a WHERE b = E'x\\' -- y'^ -- z",
        "DELETE FROM a WHERE b = E'x'\n'\\''^",
        "DELETE FROM a WHERE b = B'01'^\n",
        "DELETE FROM a WHERE b = X'1F'^ -- y",
        "DELETE FROM a WHERE b = N'x'^",
        "DELETE FROM a WHERE b = U&'!0061' UESCAPE '!'^",
        "DELETE FROM a WHERE b = U&'\\0061'^ -- y",
        "DELETE FROM a WHERE b = U&'x'^",
        "DELETE FROM a WHERE b = U&'x'\n'y'^\n/* z */;",
        "DELETE FROM U&\"\\0061\"^ -- y",
        "DELETE FROM U&\"!0061\" UESCAPE '!'^",
        "DELETE FROM a WHERE b = $$x$$^",
        "DELETE FROM a WHERE b = $$x -- y;$$^ -- z",
        "DELETE FROM a WHERE b = $é$x $$ /* $é$^/* z */",
        "DELETE FROM a WHERE b = 'é漢😀'^ /* é */",
        "DELETE FROM é^",
        "DELETE FROM a WHERE b IS NULL^",
        "DELETE FROM a WHERE b::int^ ",
        "DELETE FROM a WHERE b IN (1, 2)^-- x",
        "DELETE FROM a WHERE b[1]^;",
        "UPDATE a SET b = DEFAULT^",
        "UPDATE a SET (b, c) = (SELECT 1, 2)^ ;",
        "UPDATE a SET b = 'RETURNING'^ -- RETURNING b",
        "UPDATE a SET b = c FROM d AS e^",
        "INSERT INTO a DEFAULT VALUES^",
        "INSERT INTO a VALUES (1), (2)^",
        "INSERT INTO a SELECT^",
        "INSERT INTO a SELECT 1 b^",
        "INSERT INTO a TABLE b^",
        "INSERT INTO a SELECT * FROM b ORDER BY c DESC NULLS LAST LIMIT 1 FOR UPDATE^",
        "INSERT INTO a (SELECT 1)^",
        "INSERT INTO a VALUES (1) ON CONFLICT DO NOTHING^ -- x",
        "INSERT INTO a VALUES (1) ON CONFLICT (id) DO UPDATE SET n = 1 WHERE a.n > 0^",
        "WITH x AS (SELECT 1) INSERT INTO a TABLE x^",
        "INSERT INTO a VALUES ('é')^; -- é\nDELETE FROM a RETURNING ^b; /* é */ UPDATE a SET b = 'é'^ /* ; */",
    };
    expect_places(samples);
}

TEST(row_writes, know_their_places_among_other_statements) {
    const std::string text = "BEGIN; SELECT 'é'; DELETE FROM a -- b\n; COMMIT";
    const auto known = understand(text);
    ASSERT_TRUE(known && known->size() == 4);
    for (const auto i : {0U, 1U, 3U}) EXPECT_FALSE(known->at(i).rows);
    ASSERT_TRUE(known->at(2).rows);
    EXPECT_EQ(text.substr(0, known->at(2).rows->returning_at), "BEGIN; SELECT 'é'; DELETE FROM a");
}

}  // namespace
}  // namespace crossfade::sql
