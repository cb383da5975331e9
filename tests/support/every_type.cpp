#include "tests/support/every_type.hpp"

namespace crossfade::support {

const std::string own_types =
    "CREATE EXTENSION hstore; CREATE EXTENSION citext;"
    "CREATE TYPE public.mood AS ENUM ('very happy', 'sad'); CREATE DOMAIN public.positive AS int CHECK (VALUE > 0);"
    "CREATE DOMAIN public.positives AS int[]; CREATE TYPE public.pair AS (a int, b text);"
    "CREATE TYPE public.\"Odd Type\" AS ENUM ('a', 'b');"
    "CREATE TYPE public.nested AS (a public.pair, b public.mood[], c text);"
    "CREATE TYPE public.span AS RANGE (subtype = float8);"
    "CREATE DOMAIN public.email AS citext CHECK (VALUE LIKE '%@%');";

const std::vector<typed>& every_type() {
    static const auto thousand_digits = std::string(600, '7') + '.' + std::string(400, '3');
    static const std::vector<typed> types{
        {"numeric", "NaN"},
        {"numeric", "-Infinity"},
        {"numeric", "123456789012345678901234567890.123456789012345678901234567890"},
        {"numeric", thousand_digits},
        {"numeric(10,2)", "1.50"},
        {"smallint", "-32768"},
        {"bigint", "9223372036854775807"},
        {"real", "1.1754944e-38"},
        {"double precision", "NaN"},
        {"double precision", "0.1"},
        {"boolean", "t"},
        {"char(5)", "ab   "},
        {"varchar(3)", "abc"},
        {"text", ""},
        {"text", "NULL"},
        {"text", "{\"a\\\\\",b}\n\t'"},
        {"\"char\"", "x"},
        {"name", "some_name"},
        {"bytea", "\\x00ff10"},
        {"timestamp", "infinity"},
        {"timestamptz", "-infinity"},
        {"date", "-infinity"},
        {"daterange", "[-infinity,infinity)"},
        {"timestamptz", "2024-02-29 12:34:56.789012+00"},
        {"timestamp", "0044-03-15 12:00:00 BC"},
        {"date", "0044-03-15 BC"},
        {"time", "24:00:00"},
        {"timetz", "12:00:00+05:30"},
        {"interval", "-1 years -2 mons +3 days -04:05:06.789"},
        {"uuid", "a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11"},
        {"json", "{\"b\":1,  \"a\":[null,\"\\u00e9\"]}"},
        {"jsonb", "{\"a\": [1.10, null, \"x\\\"y\"]}"},
        {"xml", "<a b=\"c\">d</a>"},
        {"inet", "192.168.1.5/24"},
        {"cidr", "2001:db8::/32"},
        {"macaddr8", "08:00:2b:01:02:03:04:05"},
        {"bit(4)", "1010"},
        {"bit varying", "10"},
        {"int[]", "{{1,2},{3,NULL}}"},
        {"int[]", "[2:3]={7,8}"},
        {"text[]", "{\"a,b\",NULL,\"NULL\",\"\"}"},
        {"numeric[]", "{NaN,1.0}"},
        {"box", "(3,3),(1,1)"},
        {"box[]", "{(3,3),(1,1);(4,4),(2,2)}"},
        {"point", "(1.5,-2)"},
        {"path", "((0,0),(1,1))"},
        {"polygon", "((0,0),(1,1),(1,0))"},
        {"circle", "<(1,1),2>"},
        {"line", "{1,-1,0}"},
        {"lseg", "[(0,0),(1,1)]"},
        {"int4range", "[1,10)"},
        {"int4range", "empty"},
        {"tstzrange", "[\"2024-01-01 00:00:00+00\",)"},
        {"int8multirange", "{[1,3),[5,7)}"},
        {"money", "$1,234.56"},
        {"pg_lsn", "16/B374D848"},
        {"tsvector", "'a':1A 'fat':2,4"},
        {"tsquery", "'a' & 'b' | !'c'"},
        {"public.mood", "very happy"},
        {"public.mood[]", "{\"very happy\",sad}"},
        {"public.positive", "7"},
        {"public.positives", "{1,2}"},
        {"public.pair", "(1,\"a,\"\"b\")"},
        {"public.pair[]", "{\"(1,\\\"a,\\\"\\\"b\\\")\",\"(,)\"}"},
        {"public.\"Odd Type\"", "b"},
        {"oid", "4294967295"},
        {"jsonpath", "$.\"a\"[*]"},
        {"txid_snapshot", "10:20:10,14"},
        {"numeric", "0." + std::string(399, '0') + '1'},
        {"numeric(1000,500)", std::string(500, '9') + '.' + std::string(500, '1')},
        {"numeric", "0.000"},
        {"real", "-0"},
        {"double precision", "-Infinity"},
        {"double precision", "5e-324"},
        {"timestamptz", "4713-11-24 00:00:00+00 BC"},
        {"timestamp", "294276-12-31 23:59:59.999999"},
        {"timestamptz", "infinity"},
        {"interval", "178000000 years"},
        {"interval", "00:00:00"},
        {"bytea", "\\x"},
        {"char(5)", "é    "},
        {"text", "\U0001F600 𝔘nicode \u2028"},
        {"jsonb", "\"€\""},
        {"jsonb", "1000"},
        {"inet", "2001:db8::1/64"},
        {"macaddr", "08:00:2b:01:02:03"},
        {"bit varying(70)", std::string(70, '1')},
        {"int[]", "[0:1][-1:0]={{1,2},{3,4}}"},
        {"int[]", "{}"},
        {"jsonb[]", "{\"{\\\"a\\\": [1]}\",NULL}"},
        {"numrange", "(1.5,)"},
        {"nummultirange", "{}"},
        {"datemultirange", "{[2024-01-01,2024-01-02),[2024-02-01,)}"},
        {"point", "(NaN,Infinity)"},
        {"path", "[(0,0),(1e+300,1)]"},
        {"public.mood", "sad"},
        {"public.nested", "(\"(1,\"\"x y\"\")\",\"{sad,\"\"very happy\"\"}\",)"},
        {"public.span", "[1.5,2.25)"},
        {"public.email", "Some.Body@Example.ORG"},
        {"hstore", "\"a\"=>\"1\", \"b\"=>NULL, \"c d\"=>\"x\\\"y\""},
        {"citext", "MiXed"},
    };
    return types;
}

std::string wide_table(const std::string& name, const std::string& id) {
    std::string ddl = "CREATE TABLE " + name + " (id " + id;
    for (std::size_t i = 0; i < every_type().size(); ++i) ddl += ", c" + std::to_string(i) + ' ' + every_type()[i].type;
    return ddl + ");";
}

}  // namespace crossfade::support
