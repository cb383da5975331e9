// What a flip says why it wasn't made, there and in the history.
#include "tests/chaos/flip_states.hpp"

namespace crossfade::chaos {
namespace {

using namespace std::chrono_literals;
using testing::AllOf;
using testing::HasSubstr;

class flips_of_a_tenant : public flip_states {
  protected:
    landscape_options options() const override {
        auto made = flip_states::options();
        made.schema += std::string{
            ";CREATE TABLE bills (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, tenant text NOT NULL, tag text)"};
        made.scopes = "tenants: { session: \"parameter:app.tenant\", column: tenant }\n";
        return made;
    }
    // Of the newest flip.
    std::string history() {
        return world().legacy.value(
            "SELECT outcome || ' after ' || attempts || ': ' || why FROM crossfade.flips ORDER BY id DESC LIMIT 1");
    }
};

TEST_F(flips_of_a_tenant, a_sequence_that_cannot_be_shared) {
    const std::vector<std::string> acme{"--tenant", "acme", "--force"};
    world().modern.exec("ALTER SEQUENCE bills_id_seq INCREMENT BY -1");
    auto made = flip("modern", acme);
    EXPECT_EQ(made.exit_code, 1);
    EXPECT_THAT(made.output, AllOf(HasSubstr("public.bills_id_seq counts the other way than public.bills_id_seq"),
                                   HasSubstr("refused; nothing has changed")));
    world().modern.exec("ALTER SEQUENCE bills_id_seq INCREMENT BY 1");

    // Behind the gates: there is no use in another attempt, and no write is held for any.
    armed_flip one{world(), "modern", "flip.begun:1:stop", acme};
    ASSERT_TRUE(one.arrives() && one.running()) << one.told();
    world().modern.exec("ALTER SEQUENCE bills_id_seq CYCLE");
    one.go_on();
    EXPECT_EQ(one.wait_exit(20s), 1) << one.told();
    EXPECT_THAT(one.told(), HasSubstr("not done, and undone after 1 attempts: the two sides' sequences would meet:"
                                      " public.bills_id_seq cycles"));
    EXPECT_EQ(history(),
              "undone after 0: the two sides' sequences would meet: public.bills_id_seq cycles, and two"
              " sides would draw the same");
    EXPECT_THAT(world().crossfade({"audit", "log"}).output, HasSubstr("undone: the two sides' sequences would meet"));
    expect_as_before();
    world().modern.exec("ALTER SEQUENCE bills_id_seq NO CYCLE");

    // Somebody's lock on one is not waited for, neither by the gates nor behind them; the reason is the database's.
    const auto locker = connect(world().modern.dsn());
    ASSERT_EQ(execute(locker.get(), "BEGIN; ALTER SEQUENCE bills_id_seq INCREMENT BY 1"), answer::done);
    made = flip("modern", acme);
    EXPECT_EQ(made.exit_code, 3);
    EXPECT_THAT(made.errors, HasSubstr("lock timeout"));
    ASSERT_EQ(execute(locker.get(), "ROLLBACK"), answer::done);
    armed_flip late{world(), "modern", "flip.begun:1:stop", acme};
    ASSERT_TRUE(late.arrives() && late.running()) << late.told();
    ASSERT_EQ(execute(locker.get(), "BEGIN; ALTER SEQUENCE bills_id_seq INCREMENT BY 1"), answer::done);
    late.go_on();
    EXPECT_EQ(late.wait_exit(30s), 1) << late.told();
    EXPECT_THAT(late.told(), HasSubstr("lock timeout"));
    EXPECT_THAT(history(), AllOf(HasSubstr("undone after 0: "), HasSubstr("lock timeout")));
    expect_as_before();
    ASSERT_EQ(execute(locker.get(), "ROLLBACK"), answer::done);

    // Who dies before anything was held leaves nothing but the history.
    armed_flip dies{world(), "modern", "flip.begun:1", acme};
    EXPECT_EQ(dies.wait_exit(30s), 128 + SIGKILL) << dies.told();
    EXPECT_THAT(history(), HasSubstr("under way"));
    EXPECT_EQ(world().crossfade({"flip", "--settle"}).exit_code, 0);
    EXPECT_EQ(history(), "undone after 0: whoever made it has died before anything was held");
    expect_as_before();

    ASSERT_EQ(in_the_way(world(), "modern", acme), "") << world().logs();
    auto there = acme;
    there.insert(there.end(), {"--hold-max", "3000"});
    made = flip("modern", there);
    EXPECT_EQ(made.exit_code, 0) << told(made);
    EXPECT_EQ(flip("legacy", {"--hold-max", "3000", "--force"}).exit_code, 0);
    expect_nothing_lost();
}

TEST_F(flip_states, a_proxy_that_stops_gives_its_flip_up) {
    // Nobody's writes wait for it, and the fence does: the flip is tried again and again.
    auto round = connect(world().legacy.dsn());
    ASSERT_EQ(execute(round.get(), "BEGIN; LOCK TABLE orders IN SHARE UPDATE EXCLUSIVE MODE"), answer::done);
    world().proxy.configure(
        world().configuration("  dual_write_strategy: prefer-modern\n  hybrid_read_strategy: modern\n"));
    ASSERT_TRUE(support::eventually(60s, [&] {
        return world().legacy.value("SELECT coalesce(max(attempts), 0) >= 2 FROM crossfade.flips") == "t";
    })) << world().logs();
    const auto began = std::chrono::steady_clock::now();
    EXPECT_EQ(world().proxy.stop(), 0);
    const auto took = std::chrono::steady_clock::now() - began;
    EXPECT_LT(took, 10s);
    EXPECT_EQ(rows(), legacy_settled);
    const auto outcome =
        world().legacy.value("SELECT outcome || ': ' || why FROM crossfade.flips ORDER BY id DESC LIMIT 1");
    EXPECT_THAT(outcome, HasSubstr("undone: ")) << outcome;
    ASSERT_EQ(execute(round.get(), "COMMIT"), answer::done);
    world().proxy.start();
    EXPECT_TRUE(world().proxy.wait_ready());
    EXPECT_EQ(authority(world()), "legacy");
}

}  // namespace
}  // namespace crossfade::chaos
