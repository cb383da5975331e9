// Whoever makes a flip stands still or is cut off in it, or one of the databases is: what is decided stays so and is
// finished, what isn't is undone, and nobody says what he doesn't know.
#include "tests/chaos/flip_states.hpp"

namespace crossfade::chaos {
namespace {

using namespace std::chrono_literals;
using testing::AnyOf;
using testing::HasSubstr;
using testing::Not;

class flip_makers : public flip_states {
  protected:
    std::unique_ptr<armed_flip> stopped(const std::string& to, const std::string& place,
                                        const std::vector<std::string>& more = {}) {
        EXPECT_EQ(in_the_way(world(), to), "") << world().logs();
        auto made = std::make_unique<armed_flip>(world(), to, place + ":1:stop", more);
        const bool there = made->arrives() && made->running();
        EXPECT_TRUE(there) << made->told() << world().logs();
        return there ? std::move(made) : nullptr;
    }
    void expect_becomes(const std::string& wanted, std::chrono::milliseconds within) {
        std::string last;
        EXPECT_TRUE(support::eventually(within, [&] { return (last = rows()) == wanted; })) << last << world().logs();
    }
    void expect_write_by_proxy(const std::string& tag) {
        EXPECT_TRUE(support::eventually(30s, [&] {
            const auto client = connect(world().client_dsn());
            return client && execute(client.get(), "INSERT INTO orders (tag) VALUES ('" + tag + "')") == answer::done;
        })) << world().logs();
    }
};

// cdc's commits aren't flushed, and a crash of modern takes the last of them away, their progress with them.
TEST_F(flip_makers, modern_that_has_lost_what_had_drained_is_not_opened) {
    stop_load();
    ASSERT_EQ(world().settle(30s), "");
    const auto before =
        world()
            .modern.exec("SELECT next_offset, commit_lsn, end_lsn FROM crossfade.progress WHERE stream = 'app'")
            .at(0);
    world().legacy.exec("INSERT INTO orders (tag) VALUES ('the last one')");
    ASSERT_EQ(world().settle(30s), "");
    auto flip = stopped("modern", "flip.decided", {"--hold-max", "3000"});
    ASSERT_TRUE(flip);
    world().kill(victim::cdc);
    // As whoever applies it, so that it doesn't go back to legacy.
    ASSERT_TRUE(support::eventually(20s, [&] {
        try {
            world().modern.exec(
                "BEGIN; SET LOCAL session_replication_role = replica;"
                "SELECT pg_replication_origin_session_setup(min(roname)) FROM pg_replication_origin"
                " WHERE roname ~ '^crossfade_app_[0-9]+$';"
                "DELETE FROM orders WHERE tag = 'the last one'; UPDATE crossfade.progress SET next_offset = " +
                before[0] + ", commit_lsn = '" + before[1] + "', end_lsn = '" + before[2] +
                "' WHERE stream = 'app'; COMMIT");
            return true;
        } catch (const std::exception&) {
            return false;  // its session has not ended yet
        }
    }));
    flip->kill();
    EXPECT_TRUE(support::eventually(20s, [&] {
        return world().proxy.log().find("modern lacks") != std::string::npos || rows() == modern_settled;
    })) << world().logs();
    EXPECT_EQ(rows(), "modern 2 handed; legacy 1 settled");
    world().revive(victim::cdc);
    expect_becomes(modern_settled, 60s);
    expect_write_by_proxy("afterwards");
    EXPECT_EQ(world().settle(30s), "") << world().logs();
    // The gates' own rows came before, and are brought again, too.
    EXPECT_THAT(world().complaints(), Not(AnyOf(HasSubstr("public."), HasSubstr("dead letter"))));
    expect_both_have("the last one");
    expect_both_have("afterwards");
}

TEST_F(flip_makers, what_the_old_side_has_decided_is_not_known_without_it) {
    stop_load();
    auto flip = stopped("modern", "flip.decided");
    ASSERT_TRUE(flip);
    world().kill(victim::legacy);
    flip->go_on();
    EXPECT_EQ(flip->wait_exit(120s), 3) << flip->told();
    EXPECT_THAT(flip->told(), HasSubstr("what became of the flip is not known: legacy: "));
    EXPECT_EQ(world().modern.value("SELECT epoch FROM crossfade.authority"), "1");
    world().revive(victim::legacy);
    EXPECT_TRUE(support::eventually(60s, [&] { return authority(world()) == "modern"; })) << world().logs();
    EXPECT_EQ(rows(), modern_settled);
    expect_write_by_proxy("afterwards");
    EXPECT_EQ(world().settle(30s), "") << world().logs();
}

// What is open can't be anything else any more.
TEST_F(flip_makers, what_is_open_is_known_without_the_old_side) {
    stop_load();
    auto flip = stopped("modern", "flip.opened");
    ASSERT_TRUE(flip);
    world().kill(victim::legacy);
    flip->go_on();
    EXPECT_EQ(flip->wait_exit(60s), 0) << flip->told();
    EXPECT_THAT(flip->told(), HasSubstr("modern is the authority, epoch 2"));
    world().revive(victim::legacy);
    expect_becomes(modern_settled, 60s);
}

TEST_F(flip_makers, whoever_stands_still_in_it_is_not_waited_for) {
    struct stop {
        std::string to;
        std::string place;
        std::string then;  // the rows
        int exit_code;     // when it goes on
    };
    for (const auto& each :
         {stop{"modern", "flip.held", legacy_settled, 1}, stop{"modern", "flip.fenced", legacy_settled, 1},
          stop{"modern", "flip.decided", modern_settled, 0}, stop{"legacy", "flip.fenced", modern_settled, 1},
          stop{"legacy", "flip.opened", "legacy 3 settled; legacy 3 settled", 0}}) {
        SCOPED_TRACE(each.place + " to " + each.to);
        const auto flip = stopped(each.to, each.place, {"--wait", "0"});
        ASSERT_TRUE(flip);
        expect_becomes(each.then, 15s);
        expect_writes();
        flip->go_on();
        EXPECT_EQ(flip->wait_exit(60s), each.exit_code) << flip->told();
        EXPECT_EQ(rows(), each.then) << flip->told();
        EXPECT_EQ(authority(world()), each.then.substr(0, each.then.find(' ')));
        if (HasFailure()) break;
    }
    // Nobody has noticed any of it but by waiting.
    expect_nothing_lost();
}

}  // namespace
}  // namespace crossfade::chaos
