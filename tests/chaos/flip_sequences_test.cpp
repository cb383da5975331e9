// Sequences that no column of the stream's tables draws from by itself: an application's (JPA's SEQUENCE), a trigger's,
// a function's.
#include <fstream>

#include "tests/chaos/flip_states.hpp"
#include "tests/support/programs.hpp"

namespace crossfade::chaos {
namespace {

using namespace std::chrono_literals;
using testing::AllOf;
using testing::HasSubstr;
using testing::Not;

long draw(const support::postgres_cluster& on, const std::string& sequence, int times = 1) {
    return std::stol(
        on.value("SELECT max(nextval('" + sequence + "')) FROM generate_series(1, " + std::to_string(times) + ")"));
}

class flip_sequences : public flip_states {
  protected:
    landscape_options options() const override {
        auto made = flip_states::options();
        // One that a column owned once, and still does, though it draws from another one.
        made.schema +=
            ";CREATE SEQUENCE orders_seq; CREATE SEQUENCE \"Pooled\" INCREMENT BY 50;"
            "CREATE SEQUENCE wheel MAXVALUE 7 CYCLE; CREATE SEQUENCE common_seq;"
            "ALTER TABLE lines ALTER COLUMN id SET DEFAULT nextval('common_seq')";
        return made;
    }
    void go(const std::string& to, const std::vector<std::string>& more = {"--hold-max", "3000"}) {
        ASSERT_EQ(in_the_way(world(), to), "") << world().logs();
        const auto made = flip(to, more);
        ASSERT_EQ(made.exit_code, 0) << told(made) << world().logs();
    }
};

TEST_F(flip_sequences, are_set_ahead_there_and_back) {
    EXPECT_EQ(draw(world().legacy, "orders_seq", 50), 50);
    EXPECT_EQ(draw(world().legacy, "\"Pooled\"", 3), 101);
    EXPECT_EQ(draw(world().legacy, "wheel", 5), 5);
    const auto lines = draw(world().legacy, "common_seq", 1000);
    EXPECT_EQ(draw(world().legacy, "lines_id_seq", 7), 7);
    go("modern");
    EXPECT_GT(draw(world().modern, "orders_seq"), 50);
    EXPECT_GT(draw(world().modern, "\"Pooled\""), 101);
    EXPECT_EQ(draw(world().modern, "wheel"), 6);
    EXPECT_GT(draw(world().modern, "common_seq"), lines);
    EXPECT_GT(draw(world().modern, "lines_id_seq"), 7);

    const auto orders = draw(world().modern, "orders_seq", 500);
    go("legacy");
    EXPECT_GT(draw(world().legacy, "orders_seq"), orders);
    EXPECT_EQ(draw(world().legacy, "wheel"), 7);
    expect_nothing_lost();
}

TEST_F(flip_sequences, that_one_side_lacks_are_named) {
    world().legacy.exec("CREATE SEQUENCE public.invoice_numbers");
    auto made = flip("modern");
    EXPECT_EQ(made.exit_code, 1);
    EXPECT_THAT(made.output, AllOf(HasSubstr("sequences            warn"), HasSubstr("public.invoice_numbers"),
                                   HasSubstr("CREATE SEQUENCE"), HasSubstr("refused; nothing has changed")));
    expect_as_before();
    // Whoever knows that nobody draws from it there.
    made = flip("modern", {"--force", "--hold-max", "3000"});
    EXPECT_EQ(made.exit_code, 0) << told(made) << world().logs();
    EXPECT_THAT(flip("legacy", {"--dry-run"}).output, Not(HasSubstr("invoice_numbers")));
    expect_nothing_lost();
}

TEST_F(flip_sequences, that_may_not_be_read_or_set_are_named) {
    for (auto* side : {&world().legacy, &world().modern})
        side->exec(
            "CREATE ROLE limited LOGIN REPLICATION; GRANT ALL ON SCHEMA public, crossfade TO limited;"
            "GRANT ALL ON ALL TABLES IN SCHEMA public, crossfade TO limited;"
            "GRANT ALL ON ALL SEQUENCES IN SCHEMA public, crossfade TO limited;"
            "GRANT SET ON PARAMETER session_replication_role TO limited;"
            "ALTER TABLE orders OWNER TO limited; ALTER TABLE lines OWNER TO limited");
    auto text = world().configuration();
    for (const auto& dsn : {world().modern.dsn(), world().legacy.dsn()})
        text.replace(text.find(dsn), dsn.size(),
                     (dsn == world().modern.dsn() ? world().modern : world().legacy).dsn("app", "limited"));
    const support::temp_dir dir;
    const auto path = dir.path() / "limited.yaml";
    std::ofstream{path} << text;
    const auto by_limited = [&](const std::string& to) {
        return support::run({support::program_path("crossfade").string(), "--config", path.string(), "flip", "--to", to,
                             "--dry-run"},
                            60s)
            .output;
    };
    EXPECT_THAT(by_limited("modern"), HasSubstr("it may be done"));
    world().legacy.exec("REVOKE ALL ON SEQUENCE orders_seq FROM limited");
    EXPECT_THAT(by_limited("modern"),
                AllOf(HasSubstr("sequences            FAIL"), HasSubstr("public.orders_seq on legacy"),
                      HasSubstr("GRANT SELECT, UPDATE ON SEQUENCE public.orders_seq TO the role of legacy.dsn")));
    world().legacy.exec("GRANT SELECT ON SEQUENCE orders_seq TO limited");
    EXPECT_THAT(by_limited("modern"), HasSubstr("it may be done"));
    world().modern.exec("REVOKE UPDATE ON SEQUENCE orders_seq FROM limited");
    EXPECT_THAT(by_limited("modern"),
                AllOf(HasSubstr("public.orders_seq on modern"),
                      HasSubstr("GRANT SELECT, UPDATE ON SEQUENCE public.orders_seq TO the role of modern.dsn")));
    expect_as_before();
}

class sequences_of_a_group : public flip_sequences {
  protected:
    landscape_options options() const override {
        auto made = flip_sequences::options();
        made.schema += ";CREATE TABLE bills (id int PRIMARY KEY)";
        made.scopes = "groups: { shop: { tables: [public.orders, public.lines] } }\n";
        return made;
    }
};

TEST_F(sequences_of_a_group, are_set_ahead_with_it) {
    draw(world().legacy, "orders_seq", 50);
    draw(world().legacy, "wheel", 5);
    go("modern", {"--group", "shop", "--hold-max", "3000"});
    EXPECT_GT(draw(world().modern, "orders_seq"), 50);
    // Both sides draw from one that comes round, and neither is thrown back by a flip of something else.
    EXPECT_EQ(draw(world().modern, "wheel"), 1);
    const auto there = draw(world().modern, "orders_seq", 500);
    go("legacy", {"--hold-max", "3000", "--group", "shop"});
    EXPECT_GT(draw(world().legacy, "orders_seq"), there);
    expect_nothing_lost();
}

}  // namespace
}  // namespace crossfade::chaos
