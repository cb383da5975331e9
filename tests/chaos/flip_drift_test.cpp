// What a flip makes of rows that differ: each table that moves is held to its own tolerance, by its own rows.
#include "tests/chaos/flip_states.hpp"

namespace crossfade::chaos {
namespace {

using testing::AllOf;
using testing::HasSubstr;
using testing::Not;

class flips_with_drift : public flip_states {
  protected:
    landscape_options options() const override {
        auto made = flip_states::options();
        made.schema += std::string{
            ";CREATE TABLE large (id int PRIMARY KEY); CREATE TABLE small (id int PRIMARY KEY);"
            "CREATE TABLE parts (id int PRIMARY KEY) PARTITION BY RANGE (id);"
            "CREATE TABLE parts_0 PARTITION OF parts FOR VALUES FROM (0) TO (20000)"};
        made.rows =
            "INSERT INTO large SELECT generate_series(1, 300000); INSERT INTO small SELECT generate_series(1, 100);"
            "INSERT INTO parts SELECT generate_series(1, 10000)";
        made.scopes =
            "groups:\n"
            "  orders: { tables: [public.orders, public.lines], flags: { migration_drift_tolerance: 0,"
            " cutover_guardrail_enabled: true } }\n"
            "  stock: { tables: [public.large, public.small, public.parts] }\n";
        return made;
    }
    // Of stream `app`, found by nobody.
    void record(const std::string& table, int rows, const std::string& state = "confirmed") {
        world().modern.exec("INSERT INTO crossfade.drift (stream, table_name, key, kind, state) SELECT 'app', '" +
                            table + "', jsonb_build_object('id', -i), 'update_missing', '" + state +
                            "' FROM generate_series(1, " + std::to_string(rows) + ") i");
    }
    void forget() { world().modern.exec("DELETE FROM crossfade.drift"); }
    support::finished look(const std::vector<std::string>& scope = {}, const std::string& guardrail = "true") {
        std::vector<std::string> arguments{"flip", "--to", "modern", "--dry-run"};
        arguments.insert(arguments.end(), scope.begin(), scope.end());
        return world().crossfade(arguments, {{"CUTOVER_GUARDRAIL_ENABLED", guardrail}});
    }
    static testing::Matcher<const support::finished&> refused(const std::string& because) {
        return AllOf(testing::Field(&support::finished::exit_code, 1),
                     testing::Field(&support::finished::output,
                                    AllOf(HasSubstr(because), HasSubstr("refused; nothing has changed"))));
    }
    static testing::Matcher<const support::finished&> passed(const std::string& with) {
        return AllOf(testing::Field(&support::finished::exit_code, 0),
                     testing::Field(&support::finished::output, HasSubstr(with)));
    }
};

TEST_F(flips_with_drift, hold_each_table_to_its_own_tolerance) {
    world().modern.exec("ANALYZE");
    EXPECT_THAT(look(), passed("it may be done"));

    record("public.orders", 1);
    const std::string tolerance = "rows of public.orders differ, and its migration_drift_tolerance is 0";
    for (const auto& scope : {std::vector<std::string>{}, {"--group", "orders"}}) {
        EXPECT_THAT(look(scope), refused(tolerance));
        // The group's own word on guardrails, whatever the rest says.
        EXPECT_THAT(look(scope, "false"), refused(tolerance));
    }
    // What stays has nothing to do with it, nor does its word on guardrails.
    EXPECT_THAT(look({"--group", "stock"}).output, AllOf(HasSubstr("it may be done"), Not(HasSubstr("public.orders"))));
    forget();

    // A small table that is wrong as a whole, beside a large one.
    record("public.small", 100);
    EXPECT_THAT(look({"--group", "stock"}), refused("100 of about 100 rows of public.small differ"));
    EXPECT_THAT(look({"--group", "stock"}, "false"), passed("100 of about 100 rows of public.small differ"));
    EXPECT_THAT(look({"--group", "orders"}), passed("it may be done"));
    EXPECT_THAT(look({}, "false"), refused("public.small"));
    forget();

    // A partitioned table's rows are its parts'.
    record("public.parts", 5);
    EXPECT_THAT(look(), passed("5 rows, which is tolerated"));
    record("public.large", 150);
    EXPECT_THAT(look(), passed("155 rows, which is tolerated"));
    world().modern.exec("DELETE FROM crossfade.drift WHERE table_name = 'public.parts'");
    record("public.parts", 6);
    EXPECT_THAT(look(),
                refused("6 of about 10000 rows of public.parts differ, and its migration_drift_tolerance is 0.0005"));
    forget();

    record("public.small", 1, "suspect");
    EXPECT_THAT(look({"--group", "stock"}), refused("rows are suspected to differ: 1 of public.small"));
    EXPECT_THAT(look({"--group", "orders"}), passed("it may be done"));
    forget();
    expect_flips();
    expect_nothing_lost();
}

}  // namespace
}  // namespace crossfade::chaos
