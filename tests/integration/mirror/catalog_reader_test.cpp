#include "proxy/mirror/catalog_reader.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <memory>
#include <string>

#include "lib/store/schema.hpp"
#include "tests/support/postgres.hpp"

namespace crossfade::proxy::mirror {
namespace {

// A table of modern's, and what is left of it to the stream. $ is its name.
struct constraint {
    const char* name;
    const char* on_modern;
    const char* expected;
    const char* on_legacy = "";
};
void PrintTo(const constraint& of, std::ostream* out) {
    *out << of.name;
}

// Both sides are databases of one cluster.
class a_catalog_reader : public testing::TestWithParam<constraint> {
  protected:
    static void SetUpTestSuite() {
        cluster_ = std::make_unique<support::postgres_cluster>();
        cluster_->start();
        cluster_->exec("CREATE DATABASE modern");
        cluster_->exec(std::string{store::schema_sql()}, "modern");
        cluster_->exec("CREATE PUBLICATION all_of_it");
        legacy_.emplace(pgclient::connection::open(cluster_->dsn(), {}).value());
        modern_.emplace(pgclient::connection::open(cluster_->dsn("modern"), {}).value());
    }
    static void TearDownTestSuite() {
        legacy_.reset();
        modern_.reset();
        cluster_.reset();
    }

    // Its tied columns, "-" where nothing ties its rows; "the stream's" where it isn't fit.
    static std::string read(const std::string& name) {
        const auto tables = read_tables(*legacy_, *modern_, "all_of_it", "app", true).value();
        const auto found = std::ranges::find_if(tables, [&](const auto& each) { return each.name.name == name; });
        if (found == tables.end()) return "the stream's";
        std::string columns = found->tied ? "" : "-";
        for (const auto& each : found->columns)
            if (each.tied) columns += (columns.empty() ? "" : " ") + each.name + ':' + each.type;
        return columns;
    }

    static inline std::unique_ptr<support::postgres_cluster> cluster_;
    static inline std::optional<pgclient::connection> legacy_;
    static inline std::optional<pgclient::connection> modern_;
};

TEST_P(a_catalog_reader, knows_what_ties_a_table_s_rows) {
    const std::string name{GetParam().name};
    const auto make = [&](std::string more, const std::string& database) {
        for (auto at = more.find('$'); at != std::string::npos; at = more.find('$')) more.replace(at, 1, name);
        const std::string columns =
            "(id int PRIMARY KEY, a varchar(20), b numeric(5, 2), c int4range, d timestamptz"
            ", g text GENERATED ALWAYS AS (a || 'x') STORED)";
        cluster_->exec("SET search_path = public; CREATE TABLE " + name + ' ' + columns + more, database);
    };
    make(GetParam().on_legacy, "app");
    make(GetParam().on_modern, "modern");
    cluster_->exec("ALTER PUBLICATION all_of_it ADD TABLE " + name);
    EXPECT_EQ(read(name), GetParam().expected);
}

INSTANTIATE_TEST_SUITE_P(
    tables, a_catalog_reader,
    testing::Values(
        constraint{"plain", "", "-"}, constraint{"indexed", "; CREATE INDEX ON $ (a)", "-"},
        constraint{"unique_one", "; ALTER TABLE $ ADD UNIQUE (a)", "a:character varying"},
        constraint{"unique_two", "; ALTER TABLE $ ADD UNIQUE (b, d)", "b:numeric d:timestamp with time zone"},
        constraint{"covering", "; ALTER TABLE $ ADD UNIQUE (a) INCLUDE (b)", "a:character varying"},
        constraint{"nulls_not_distinct", "; ALTER TABLE $ ADD UNIQUE NULLS NOT DISTINCT (b)", "b:numeric"},
        constraint{"partial", "; CREATE UNIQUE INDEX ON $ (a) WHERE b > 0", "a:character varying b:numeric"},
        constraint{"expression", "; CREATE UNIQUE INDEX ON $ (lower(a))", "a:character varying"},
        constraint{"of_a_whole_row", "; CREATE UNIQUE INDEX ON $ (($ IS NULL))", "the stream's"},
        constraint{"exclusion", "; ALTER TABLE $ ADD EXCLUDE USING gist (c WITH &&) WHERE (b > 0)",
                   "b:numeric c:int4range"},
        constraint{"of_what_is_generated", "; ALTER TABLE $ ADD UNIQUE (g)", "the stream's"},
        constraint{"unique_deferrable", "; ALTER TABLE $ ADD UNIQUE (a) DEFERRABLE", "the stream's"},
        constraint{"deferrable_exclusion", "; ALTER TABLE $ ADD EXCLUDE USING btree (a WITH =) DEFERRABLE",
                   "the stream's"},
        // Which part no more rows than the primary key does.
        constraint{"key_again", "; ALTER TABLE $ ADD UNIQUE (id)", "-"},
        constraint{"key_and_more", "; ALTER TABLE $ ADD UNIQUE (a, id) DEFERRABLE", "-"},
        constraint{"key_as_an_expression", "; CREATE UNIQUE INDEX ON $ ((id % 10), a)",
                   "id:integer a:character varying"},
        constraint{"key_alone", "; CREATE UNIQUE INDEX ON $ (abs(id))", "id:integer"},
        constraint{"key_that_excludes", "; ALTER TABLE $ ADD EXCLUDE USING btree (id WITH =, b WITH =)",
                   "id:integer b:numeric"},
        constraint{"on_legacy_alone", "", "-", "; ALTER TABLE $ ADD UNIQUE (a)"},
        constraint{"on_both", "; ALTER TABLE $ ADD UNIQUE (a)", "a:character varying",
                   "; ALTER TABLE $ ADD UNIQUE (b)"},
        constraint{"parted",
                   " PARTITION BY RANGE (id); CREATE TABLE part_of_$ PARTITION OF $ FOR VALUES FROM (0) TO (9);"
                   " CREATE UNIQUE INDEX ON part_of_$ (b)",
                   "b:numeric"}),
    [](const auto& each) { return std::string{each.param.name}; });

// Of the key, and what is known of its texts.
class a_catalog_reader_of_keys : public a_catalog_reader {
  protected:
    static void SetUpTestSuite() {
        a_catalog_reader::SetUpTestSuite();
        for (const auto* database : {"app", "modern"})
            cluster_->exec(
                "SET search_path = public; CREATE TYPE mood AS ENUM ('sad', 'happy');"
                "CREATE TYPE pair AS (a int, b timestamptz);"
                "CREATE DOMAIN code AS text; CREATE DOMAIN moment AS timestamptz; CREATE DOMAIN m AS mood",
                database);
    }
};

TEST_P(a_catalog_reader_of_keys, knows_whose_texts_depend_on_settings) {
    const std::string name{GetParam().name};
    for (const auto* database : {"app", "modern"})
        cluster_->exec("SET search_path = public; CREATE TABLE " + name + " (" + GetParam().on_legacy +
                           ", at timestamptz, b bytea)",
                       database);
    cluster_->exec("ALTER PUBLICATION all_of_it ADD TABLE " + name);
    const auto tables = read_tables(*legacy_, *modern_, "all_of_it", "app", true).value();
    const auto found = std::ranges::find_if(tables, [&](const auto& each) { return each.name.name == name; });
    const std::string got = found == tables.end() ? "the stream's"
                            : found->zoned_key    ? "zoned"
                            : found->bytes_key    ? "bytes"
                                                  : "steady";
    EXPECT_EQ(got, GetParam().expected);
}

INSTANTIATE_TEST_SUITE_P(
    tables, a_catalog_reader_of_keys,
    testing::Values(constraint{"number", "", "steady", "id int PRIMARY KEY"},
                    constraint{"several", "", "steady", "id uuid, part text, d date, PRIMARY KEY (part, id, d)"},
                    constraint{"one_of_several", "", "zoned", "id uuid, since timestamptz, PRIMARY KEY (id, since)"},
                    constraint{"zoned", "", "zoned", "id timestamptz PRIMARY KEY"},
                    constraint{"zoned_time", "", "steady", "id timetz PRIMARY KEY"},
                    constraint{"local", "", "steady", "id timestamp(3) PRIMARY KEY"},
                    constraint{"zoned_array", "", "zoned", "id timestamptz[] PRIMARY KEY"},
                    constraint{"numbers", "", "steady", "id int[] PRIMARY KEY"},
                    constraint{"zoned_range", "", "zoned", "id tstzrange PRIMARY KEY"},
                    constraint{"days", "", "steady", "id daterange PRIMARY KEY"},
                    constraint{"bytes", "", "bytes", "id bytea PRIMARY KEY"},
                    constraint{"composite", "", "zoned", "id pair PRIMARY KEY"},
                    constraint{"enumerated", "", "steady", "id mood PRIMARY KEY"},
                    constraint{"domain", "", "steady", "id code PRIMARY KEY"},
                    constraint{"domain_of_one", "", "steady", "id m PRIMARY KEY"},
                    constraint{"zoned_domain", "", "zoned", "id moment PRIMARY KEY"},
                    constraint{"object", "", "the stream's", "id int PRIMARY KEY, of regclass"}),
    [](const auto& each) { return std::string{each.param.name}; });

// Of legacy's, with a partition that is one row's and one that has partitions itself.
class a_catalog_reader_of_partitions : public a_catalog_reader {};

TEST_P(a_catalog_reader_of_partitions, knows_what_else_happens_to_rows) {
    const std::string name{GetParam().name};
    const auto run = [&](std::string text, const std::string& database) {
        for (auto at = text.find('$'); at != std::string::npos; at = text.find('$')) text.replace(at, 1, name);
        cluster_->exec("SET search_path = public; " + text, database);
    };
    constexpr auto table =
        "CREATE TABLE $ (id int PRIMARY KEY, note text) PARTITION BY RANGE (id);"
        "CREATE TABLE low_of_$ PARTITION OF $ FOR VALUES FROM (0) TO (9);"
        "CREATE TABLE high_of_$ PARTITION OF $ DEFAULT PARTITION BY RANGE (id);"
        "CREATE TABLE highest_of_$ PARTITION OF high_of_$ DEFAULT;";
    run("CREATE FUNCTION of_$() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN new; END'", "app");
    run("CREATE FUNCTION of_$() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN new; END'", "modern");
    run(table + std::string{GetParam().on_legacy}, "app");
    run(table + std::string{GetParam().on_modern}, "modern");
    run("ALTER PUBLICATION all_of_it ADD TABLE $", "app");
    EXPECT_EQ(read(name), GetParam().expected);
}

INSTANTIATE_TEST_SUITE_P(
    tables, a_catalog_reader_of_partitions,
    testing::Values(
        constraint{"parts", "", "-"}, constraint{"parts_otherwise", "DROP TABLE low_of_$; DROP TABLE high_of_$", "-"},
        constraint{"parts_with_a_trigger", "", "the stream's",
                   "CREATE TRIGGER t BEFORE INSERT ON highest_of_$ FOR EACH ROW EXECUTE FUNCTION of_$()"},
        constraint{"parts_with_one_that_sleeps", "", "-",
                   "CREATE TRIGGER t BEFORE INSERT ON low_of_$ FOR EACH ROW EXECUTE FUNCTION of_$();"
                   "ALTER TABLE low_of_$ DISABLE TRIGGER t"},
        constraint{"parts_with_one_on_modern",
                   "CREATE TRIGGER t BEFORE INSERT ON highest_of_$ FOR EACH ROW EXECUTE FUNCTION of_$();"
                   "ALTER TABLE highest_of_$ ENABLE ALWAYS TRIGGER t",
                   "the stream's"},
        constraint{"parts_with_one_that_sleeps_on_modern",
                   "CREATE TRIGGER t BEFORE INSERT ON highest_of_$ FOR EACH ROW EXECUTE FUNCTION of_$()", "-"},
        constraint{"parts_unlogged", "", "the stream's", "ALTER TABLE low_of_$ SET UNLOGGED"},
        constraint{"parts_known_by_all", "", "the stream's", "ALTER TABLE highest_of_$ REPLICA IDENTITY FULL"},
        constraint{"parts_with_a_rule", "", "the stream's", "CREATE RULE r AS ON DELETE TO low_of_$ DO ALSO SELECT 1"}),
    [](const auto& each) { return std::string{each.param.name}; });

}  // namespace
}  // namespace crossfade::proxy::mirror
