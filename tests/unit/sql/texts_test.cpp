#include <gtest/gtest.h>

#include "tests/unit/sql/samples.hpp"

namespace crossfade::sql {
namespace {

TEST(texts, of_several_statements_give_each) {
    const sample samples[] = {
        {"SELECT 1; INSERT INTO a VALUES (1); COMMIT",
         "read immutable read-only / write immutable writes; a:w / transaction_control immutable;; commit"},
        {"BEGIN; SELECT 1;", "transaction_control immutable;; begin / read immutable read-only"},
        {";;", ""},
        {"-- nothing", ""},
        {"/* nothing */ ;", ""},
        {"SELECT 1;; SELECT 2", "read immutable read-only / read immutable read-only"},
        {"CREATE RULE r AS ON INSERT TO a DO (DELETE FROM b; DELETE FROM c); SELECT 1",
         "ddl immutable; a:d / read immutable read-only"},
        {"CREATE FUNCTION f() RETURNS int LANGUAGE sql BEGIN ATOMIC DELETE FROM a; SELECT 1; END; TABLE b",
         "ddl immutable / read immutable read-only; b:r"},
    };
    expect_all(samples);
}

TEST(texts, end_where_the_server_ends_them) {
    const sample samples[] = {
        {"SELECT $$ ; DELETE FROM a $$", "read immutable read-only"},
        {"SELECT $a$ $$; DELETE FROM a $a$", "read immutable read-only"},
        {"SELECT E'\\'; DELETE FROM a; --'", "read immutable read-only"},
        {"SELECT '\\'; DELETE FROM a; --'", "read immutable read-only / write immutable writes; a:w"},
        {"SELECT 'a' '; DELETE FROM b'", "syntax at 12"},
        {"SELECT ''';DELETE FROM a;'''", "read immutable read-only"},
        {"SELECT /* /* nested */ ; DELETE */ 1", "read immutable read-only"},
        {"SELECT 1 -- ; DELETE FROM a", "read immutable read-only"},
        {"SELECT \";DELETE\" FROM a", "read immutable read-only; a:r"},
        {"SELECT U&\"\\0061\" FROM t", "read immutable read-only; t:r"},
        {"SELECT U&'\\003B' FROM t", "read immutable read-only; t:r"},
        {"SELECT * FROM a WHERE b ? 'c'", "read immutable read-only; a:r"},
    };
    expect_all(samples);
}

// Positions are characters, from 1. What is newer than PostgreSQL 15 is no SQL here.
TEST(texts, that_are_no_sql_say_where) {
    const sample samples[] = {
        {"SELEC 1", "syntax at 1"},
        {"SELECT * FROM", "syntax at 14"},
        {"SELECT 'open", "syntax at 8"},
        {"SELECT \"open", "syntax at 8"},
        {"SELECT 1; SELEC 2", "syntax at 11"},
        {"SELECT $a$ open", "syntax at 8"},
        {"/* open", "syntax at 1"},
        {"SELECT 'é', ü FROM täble WHERE", "syntax at 31"},
        {"SELECT JSON_OBJECT('a': 1)", "syntax at 23"},
        {"MERGE INTO a USING b ON true WHEN MATCHED THEN DELETE RETURNING *", "syntax at 55"},
        {"SELECT \"\" FROM a", "syntax at 8"},
        {"SELECT 1 FROM a WHERE )", "syntax at 23"},
        {"SELECT U&'\\00'", "syntax at 11"},
        {"EXPLAIN VACUUM", "syntax at 9"},
        {"PREPARE q AS PREPARE r AS SELECT 1", "syntax at 14"},
    };
    expect_all(samples);
}

}  // namespace
}  // namespace crossfade::sql
