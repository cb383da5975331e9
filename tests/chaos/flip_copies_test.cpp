// A copy beside the stream that is asked for before a flip, and not done: it would go over what modern takes since.
#include "tests/chaos/flip_states.hpp"

namespace crossfade::chaos {
namespace {

using namespace std::chrono_literals;
using testing::AllOf;
using testing::HasSubstr;

class flip_copies : public flip_states {
  protected:
    std::string copy(const std::string& what) {
        return world().modern.value("SELECT coalesce(" + what +
                                    ", '') FROM crossfade.backfills WHERE stream = 'app' AND table_name = "
                                    "'public.orders'");
    }
    std::string orders_on_modern(const std::string& up_to) {
        return world().modern.value("SELECT count(*) FROM orders WHERE id <= " + up_to);
    }
};

TEST_F(flip_copies, one_that_waits_for_a_reader_refuses_the_flip) {
    // As a report, pg_dump or `crossfade verify` has it.
    auto reader = connect(world().modern.dsn());
    ASSERT_EQ(execute(reader.get(), "BEGIN; LOCK TABLE orders IN ACCESS SHARE MODE"), answer::done);
    auto made = world().crossfade({"backfill", "--live", "--again", "--tables", "public.orders", "--detach"});
    ASSERT_EQ(made.exit_code, 0) << told(made);
    EXPECT_EQ(copy("state"), "asked");
    EXPECT_EQ(world().modern.value("SELECT state FROM crossfade.tables WHERE table_name = 'public.orders'"), "live");

    made = flip("modern", {"--force", "--hold-max", "3000"});
    EXPECT_EQ(made.exit_code, 1) << told(made);
    EXPECT_THAT(made.output, AllOf(HasSubstr("copies that are not done would go over what modern takes then:"
                                             " public.orders (asked)"),
                                   HasSubstr("crossfade backfill --live"), HasSubstr("refused; nothing has changed")));
    expect_as_before();

    ASSERT_EQ(execute(reader.get(), "COMMIT"), answer::done);
    EXPECT_TRUE(support::eventually(60s, [&] { return copy("state") == "done"; })) << world().logs();
    expect_flips();
    expect_nothing_lost();
}

// What the gates have seen is looked at once more when nothing is written any more.
TEST_F(flip_copies, one_that_comes_behind_the_gates_undoes_the_flip) {
    auto reader = connect(world().modern.dsn());
    ASSERT_EQ(execute(reader.get(), "BEGIN; LOCK TABLE orders IN ACCESS SHARE MODE"), answer::done);
    armed_flip late{world(), "modern", "flip.held:1:stop", {"--hold-max", "10000", "--wait", "0"}};
    ASSERT_TRUE(late.arrives() && late.running()) << late.told();
    const std::vector<std::vector<std::string>> commands{
        {"backfill", "--tables", "public.orders", "--live", "--again", "--detach"},
        {"backfill", "--tables", "public.orders"}};
    for (const auto& each : commands) {
        const auto made = world().crossfade(each);
        EXPECT_EQ(made.exit_code, 1);
        EXPECT_THAT(told(made), HasSubstr("a flip is under way"));
    }
    EXPECT_EQ(world().modern.value("SELECT count(*) FROM crossfade.backfills"), "0");
    world().modern.exec(
        "INSERT INTO crossfade.backfills (stream, table_name, state) VALUES ('app', 'public.orders', 'asked')");
    late.go_on();
    EXPECT_EQ(late.wait_exit(60s), 1) << late.told();
    EXPECT_THAT(late.told(),
                HasSubstr("not done, and undone after 1 attempts: copies that are not done would go over what"
                          " modern takes then: public.orders (asked)"));
    expect_as_before();
    ASSERT_EQ(execute(reader.get(), "COMMIT"), answer::done);
    EXPECT_TRUE(support::eventually(60s, [&] { return copy("state") == "done"; })) << world().logs();

    ASSERT_EQ(in_the_way(world()), "") << world().logs();
    armed_flip stale{world(), "modern", "flip.held:1:stop", {"--hold-max", "10000", "--wait", "0"}};
    ASSERT_TRUE(stale.arrives() && stale.running()) << stale.told();
    world().modern.exec("UPDATE crossfade.tables SET state = 'stale' WHERE table_name = 'public.lines'");
    stale.go_on();
    EXPECT_EQ(stale.wait_exit(60s), 1) << stale.told();
    EXPECT_THAT(stale.told(), HasSubstr("modern lacks rows of public.lines (stale)"));
    expect_as_before();
    const auto made = world().crossfade({"backfill", "--live", "--tables", "public.lines"});
    EXPECT_EQ(made.exit_code, 0) << told(made);
    expect_flips();
    expect_nothing_lost();
}

// Asked for by hand, or by a crossfade from before.
TEST_F(flip_copies, one_that_comes_behind_it_touches_nothing) {
    for (const std::string state : {"asked", "copying", "catching_up"}) {
        SCOPED_TRACE(state);
        ASSERT_EQ(in_the_way(world()), "") << world().logs();
        ASSERT_EQ(flip("modern", {"--hold-max", "3000"}).exit_code, 0);
        // What modern takes from here on is not on legacy yet, to be copied from there.
        auto locks = connect(world().legacy.dsn());
        ASSERT_EQ(execute(locks.get(), "BEGIN; LOCK TABLE orders IN SHARE MODE"), answer::done);
        expect_writes();
        const auto newest = world().modern.value("SELECT max(id) FROM orders");
        const auto before = orders_on_modern(newest);
        world().modern.exec(
            "UPDATE crossfade.tables SET state = '" + std::string{state == "asked" ? "live" : "backfilling"} +
            "' WHERE table_name = 'public.orders'; INSERT INTO crossfade.backfills (stream, table_name, state,"
            " key_columns, settled_lsn) VALUES ('app', 'public.orders', '" +
            state + "', '\"id\"', '0/1')");
        EXPECT_TRUE(support::eventually(30s, [&] { return !copy("reason").empty(); })) << world().logs();
        EXPECT_THAT(copy("reason"), HasSubstr("modern takes the application's writes of it"));
        EXPECT_EQ(copy("state"), state);
        // More, where one was under way.
        EXPECT_GE(std::stol(orders_on_modern(newest)), std::stol(before));
        ASSERT_EQ(execute(locks.get(), "COMMIT"), answer::done);
        expect_status("the backfill of public.orders stands still");
        world().modern.exec("DELETE FROM crossfade.backfills; UPDATE crossfade.tables SET state = 'live'");
        ASSERT_EQ(in_the_way(world(), "legacy"), "") << world().logs();
        ASSERT_EQ(flip("legacy", {"--hold-max", "3000"}).exit_code, 0);
    }
    expect_nothing_lost();
}

class copies_of_a_group : public flip_copies {
  protected:
    landscape_options options() const override {
        auto made = flip_copies::options();
        made.schema += ";CREATE TABLE bills (id int PRIMARY KEY)";
        made.rows = "INSERT INTO bills SELECT generate_series(1, 10)";
        made.scopes = "groups: { shop: { tables: [public.orders, public.lines] } }\n";
        return made;
    }
};

TEST_F(copies_of_a_group, stay_out_of_its_way_and_go_on_without_it) {
    auto reader = connect(world().modern.dsn());
    ASSERT_EQ(execute(reader.get(), "BEGIN; LOCK TABLE bills IN ACCESS SHARE MODE"), answer::done);
    auto made = world().crossfade({"backfill", "--live", "--again", "--tables", "public.bills", "--detach"});
    ASSERT_EQ(made.exit_code, 0) << told(made);
    made = flip("modern", {"--group", "shop", "--hold-max", "3000"});
    EXPECT_EQ(made.exit_code, 0) << told(made);
    ASSERT_EQ(execute(reader.get(), "COMMIT"), answer::done);
    world().modern.exec(
        "INSERT INTO crossfade.backfills (stream, table_name, state) VALUES ('app', 'public.orders', 'asked')");
    EXPECT_TRUE(support::eventually(30s, [&] { return !copy("reason").empty(); })) << world().logs();
    EXPECT_TRUE(support::eventually(30s, [&] {
        return world().modern.value("SELECT state FROM crossfade.backfills WHERE table_name = 'public.bills'") ==
               "done";
    })) << world().logs();
    EXPECT_EQ(world().modern.value("SELECT count(*) FROM bills"), "10");
    world().modern.exec("DELETE FROM crossfade.backfills");
    ASSERT_EQ(in_the_way(world(), "legacy"), "") << world().logs();
    ASSERT_EQ(flip("legacy", {"--hold-max", "3000"}).exit_code, 0);
    expect_nothing_lost();
}

}  // namespace
}  // namespace crossfade::chaos
