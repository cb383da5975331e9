#include "proxy/strategy/footprint.hpp"

#include <gtest/gtest.h>

#include <map>
#include <string>

#include "lib/settings/load.hpp"
#include "proxy/strategy/beginning.hpp"

namespace crossfade::proxy::strategy {
namespace {

using settings::side;

settings::snapshot flags(const std::string& more, const settings::assignment& authorities) {
    const std::string text =
        "legacy: { dsn: \"host=a dbname=x\" }\nmodern: { dsn: \"host=b dbname=x\" }\n"
        "kafka: { brokers: \"k:9092\" }\nstream: { name: app, tables: [\"public.*\", \"sales.*\"], both_ways: true "
        "}\n" +
        more;
    auto config = settings::parse(text, "f.yaml", [](std::string_view) { return std::nullopt; }).value();
    config.flags = config.flags.under(authorities);
    return std::make_shared<const settings::in_force>(settings::in_force{std::move(config), 1});
}
const std::string groups =
    "groups: { shop: { tables: [\"public.orders\", \"public.line*\", \"sales.*\"] }, people: { tables: "
    "[\"public.users\"] } }\n";
const settings::assignment apart{side::legacy, {{{"shop", ""}, side::modern}}};

TEST(tables_of_groups, are_divided_for_some_sessions) {
    EXPECT_FALSE(is_divided(*flags(groups, {side::legacy}), {}));
    EXPECT_FALSE(is_divided(*flags(groups, {side::modern}), {}));
    EXPECT_TRUE(is_divided(*flags(groups, apart), {}));
    const auto tenants = flags(groups, {side::legacy,
                                        {{{"shop", ""}, side::modern},
                                         {{"", "acme"}, side::modern},
                                         {{"people", "gone"}, side::modern},
                                         {{"shop", "gone"}, side::legacy}}});
    EXPECT_TRUE(is_divided(*tenants, {}));
    EXPECT_FALSE(is_divided(*tenants, {"acme"})) << "whose all is modern's";
    EXPECT_TRUE(is_divided(*tenants, {"gone"}));
    EXPECT_EQ(group_sides(tenants, {"acme"}).home(), side::modern);
    EXPECT_EQ(group_sides(tenants, {"gone"}).of("public", "users")->at, side::modern);
    EXPECT_EQ(group_sides(tenants, {"gone"}).of("public", "orders")->at, side::legacy);
}

TEST(tables_of_groups, are_found_by_name_too) {
    const group_sides sides{flags(groups, apart), {}};
    const std::map<std::pair<std::string, std::string>, std::string> table{
        {{"public", "orders"}, "shop"}, {{"public", "lines"}, "shop"},
        {{"sales", "users"}, "shop"},   {{"public", "users"}, "people"},
        {{"public", "Orders"}, ""},     {{"private", "orders"}, ""},
        {{"", "orders"}, "shop"},       {{"", "users"}, "people"},
        {{"", "lines"}, "shop"},        {{"", "others"}, ""},  // public's, as it comes first
    };
    for (const auto& [name, group] : table) {
        const auto place = sides.of(name.first, name.second);
        ASSERT_TRUE(place) << name.first << '.' << name.second;
        EXPECT_EQ(place->group, group) << name.first << '.' << name.second;
        EXPECT_EQ(place->at, group == "shop" ? side::modern : side::legacy) << name.first << '.' << name.second;
    }
    for (const auto& [schema, name] :
         {std::pair{"pg_catalog", "pg_class"}, std::pair{"", "pg_stat_activity"}, std::pair{"", "pg_wait_events"},
          std::pair{"pg_catalog", "pg_of_a_later_version"}, std::pair{"information_schema", "tables"}})
        EXPECT_FALSE(sides.of(schema, name)) << name;
    const group_sides others{flags("groups: { shop: { tables: [\"public.pg_search_documents\"] } }\n", apart), {}};
    EXPECT_EQ(others.of("", "pg_search_documents")->group, "shop") << "of the application, as any other's";
    EXPECT_EQ(others.of("", "pg_search_others")->group, "");
}

class a_text : public testing::Test {
  protected:
    footprint of(const std::string& text) {
        known_ = sql::understand(text);
        return footprint_of(&known_, sides_, [this](std::string_view name) {
            const auto& it = name == "p" ? prepared_ : name == "r" ? reading_ : name == "itself" ? circular_ : nullptr;
            return it ? std::shared_ptr<const sql::statement>{it, &(**it).front()} : nullptr;
        });
    }
    fit at(side here, const std::string& text) { return fit_of(of(text), here, side::legacy); }

    group_sides sides_{flags(groups, apart), {}};
    sql::understanding known_ = sql::understand("");
    std::shared_ptr<const sql::understanding> prepared_ =
        std::make_shared<const sql::understanding>(sql::understand("DELETE FROM orders"));
    std::shared_ptr<const sql::understanding> reading_ =
        std::make_shared<const sql::understanding>(sql::understand("SELECT * FROM users WHERE name = $1"));
    // A client's Parse may say so.
    std::shared_ptr<const sql::understanding> circular_ =
        std::make_shared<const sql::understanding>(sql::understand("EXECUTE itself"));
};

TEST_F(a_text, fits_a_side) {
    struct {
        const char* text;
        fit at_legacy;
        fit at_modern;
    } table[] = {
        {"SELECT 1", fit::indifferent, fit::indifferent},
        {"SET app.x = 1", fit::indifferent, fit::indifferent},
        {"SELECT relname FROM pg_class", fit::indifferent, fit::indifferent},
        {"BEGIN; SET LOCAL app.x = 1", fit::indifferent, fit::indifferent},
        {"VACUUM", fit::indifferent, fit::indifferent},
        {"PREPARE q AS DELETE FROM orders", fit::indifferent, fit::indifferent},
        {"SELECT * FROM orders", fit::read_there, fit::here},
        {"SELECT * FROM users", fit::here, fit::read_there},
        {"SELECT * FROM a_view", fit::here, fit::read_there},
        {"SELECT * FROM users JOIN orders USING (id)", fit::here, fit::here},
        {"EXPLAIN DELETE FROM orders", fit::read_there, fit::here},
        {"INSERT INTO orders SELECT * FROM users", fit::write_there, fit::here},
        {"WITH w AS (DELETE FROM public.lines RETURNING *) SELECT * FROM w", fit::write_there, fit::here},
        {"COPY orders FROM STDIN", fit::write_there, fit::here},
        {"COPY orders TO STDOUT", fit::read_there, fit::here},
        {"TRUNCATE orders CASCADE", fit::write_there, fit::here},
        {"LOCK TABLE users", fit::here, fit::write_there},
        {"SELECT * FROM orders FOR SHARE", fit::write_there, fit::here},
        {"ALTER TABLE orders ADD COLUMN a int", fit::write_there, fit::here},
        {"VACUUM orders", fit::write_there, fit::here},
        {"DECLARE c CURSOR FOR SELECT * FROM orders", fit::read_there, fit::here},
        {"EXECUTE p", fit::write_there, fit::here},
        {"EXECUTE another", fit::here, fit::maybe_there},
        {"EXECUTE itself", fit::here, fit::maybe_there},
        {"EXPLAIN EXECUTE itself", fit::here, fit::maybe_there},
        {"SELECT mine()", fit::here, fit::maybe_there},
        {"DO $$ BEGIN END $$", fit::here, fit::maybe_there},
        {"CALL p()", fit::here, fit::maybe_there},
        {"LISTEN news", fit::here, fit::maybe_there},
        {"CREATE FUNCTION f() RETURNS int LANGUAGE sql AS 'SELECT 1'", fit::here, fit::maybe_there},
        {"not SQL", fit::here, fit::maybe_there},
        {"SELECT mine() FROM orders", fit::read_there, fit::here},
        {"DELETE FROM orders; DELETE FROM users", fit::torn, fit::torn},
        {"SELECT * FROM orders; DELETE FROM users", fit::here, fit::write_there},
        {"MERGE INTO orders o USING users u ON o.id = u.id WHEN MATCHED THEN DELETE", fit::write_there, fit::here},
    };
    for (const auto& each : table) {
        EXPECT_EQ(at(side::legacy, each.text), each.at_legacy) << each.text;
        EXPECT_EQ(at(side::modern, each.text), each.at_modern) << each.text;
    }
}

TEST(a_long_text, tells_by_its_beginning_what_it_writes_first) {
    const auto table = [](std::string_view beginning) -> std::string {
        const auto found = written_first(beginning);
        return found ? found->schema + '.' + found->name : "none";
    };
    for (const auto& [beginning, name] :
         {std::pair{"INSERT INTO orders (a) VALUES", ".orders"},
          std::pair{"insert into Public.Orders\nVALUES (1", "public.orders"},
          std::pair{"/* a /* b */ */ INSERT -- c\n INTO \"My \"\"s\" . \"T\" (a", "My \"s.T"},
          std::pair{"UPDATE ONLY orders SET a", ".orders"},
          std::pair{" DELETE FROM public.orders WHERE", "public.orders"},
          std::pair{"update t$1\xc3\xa4 set", ".t$1\xc3\xa4"}, std::pair{"INSERT INTO orders", "none"},
          std::pair{"INSERT INTO \"orders\"", "none"}, std::pair{"INSERT INTO \"orders", "none"},
          std::pair{"INSERT INTO public.", "none"}, std::pair{"INSERT INTO a.b.c (", "none"},
          std::pair{"INSERT INTO U&\"a\" (", "none"}, std::pair{"INSERT \"into\" orders (", "none"},
          std::pair{"INSERTINTO orders (", "none"}, std::pair{"WITH a AS (SELECT 1) INSERT INTO orders (", "none"},
          std::pair{"SELECT a FROM orders ", "none"}, std::pair{"/* INSERT INTO orders (", "none"},
          std::pair{"", "none"}})
        EXPECT_EQ(table(beginning), name) << beginning;
}

TEST_F(a_text, can_be_said_again) {
    for (const auto* text :
         {"BEGIN", "START TRANSACTION READ ONLY", "SET LOCAL app.x = 1", "SET work_mem = '1MB'", "SHOW work_mem",
          "RESET work_mem", "SET TRANSACTION ISOLATION LEVEL SERIALIZABLE", "SAVEPOINT s", "ROLLBACK TO s; RELEASE s",
          "SELECT 1", "SELECT now()", "SELECT current_setting('a.b')", "SELECT set_config('a.b', 'c', true)",
          "SELECT * FROM users", "", "SET ROLE team", "EXECUTE r(lower('X'))"})
        EXPECT_TRUE(of(text).repeatable) << text;
    for (const auto* text : {"COMMIT",
                             "PREPARE q AS SELECT 1",
                             "DEALLOCATE q",
                             "DISCARD ALL",
                             "LISTEN a",
                             "NOTIFY a",
                             "SELECT nextval('s')",
                             "SELECT random()",
                             "SELECT pg_advisory_xact_lock(1)",
                             "SELECT mine()",
                             "DECLARE c CURSOR FOR SELECT 1",
                             "FETCH c",
                             "DELETE FROM users",
                             "SELECT 1 FROM users FOR UPDATE",
                             "LOCK TABLE users",
                             "DO $$ BEGIN END $$",
                             "not SQL",
                             "BEGIN; DELETE FROM users",
                             "PREPARE TRANSACTION 'x'",
                             "EXECUTE p",
                             "EXECUTE r(nextval('s'))",
                             "SELECT mine() FROM users"})
        EXPECT_FALSE(of(text).repeatable && !of(text).writes[0]) << text;
}

TEST_F(a_text, begins_and_ends_transactions) {
    const auto state = [&](const char* text) { return std::pair{of(text).ends, of(text).begins}; };
    EXPECT_EQ(state("BEGIN"), std::pair(false, true));
    EXPECT_EQ(state("COMMIT"), std::pair(true, false));
    EXPECT_EQ(state("ROLLBACK AND CHAIN"), std::pair(true, true));
    EXPECT_EQ(state("COMMIT; BEGIN"), std::pair(true, true));
    EXPECT_EQ(state("BEGIN; DELETE FROM users; COMMIT"), std::pair(true, false));
    EXPECT_EQ(state("PREPARE TRANSACTION 'x'"), std::pair(true, false));
    EXPECT_EQ(state("ROLLBACK TO s"), std::pair(false, false));
}

}  // namespace
}  // namespace crossfade::proxy::strategy
