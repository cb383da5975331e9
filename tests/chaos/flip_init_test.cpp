// `crossfade init` while a flip is under way, as the hook of an upgrade has it: it sets each fence as the rows say, and
// these say of a flip what it has come to on the side alone that gives something away.
#include "tests/chaos/flip_states.hpp"

namespace crossfade::chaos {
namespace {

using testing::AllOf;
using testing::HasSubstr;

class flip_init : public flip_states {
  protected:
    // Round the proxy; the error's code.
    static std::string write_to(const support::postgres_cluster& side) {
        const auto direct = connect(side.dsn());
        const std::unique_ptr<PGresult, decltype(&PQclear)> got{
            PQexec(direct.get(), "INSERT INTO orders (tag) VALUES ('behind the fence')"), PQclear};
        const char* code = PQresultErrorField(got.get(), PG_DIAG_SQLSTATE);
        return code == nullptr ? "" : code;
    }
    // A flip that has drained, and init beside it.
    void expect_init_keeps_off(const std::string& to, const support::postgres_cluster& from) {
        SCOPED_TRACE(to);
        ASSERT_EQ(in_the_way(world(), to), "") << world().logs();
        armed_flip under_way{world(), to, "flip.drained:1:stop", {"--hold-max", "60000", "--wait", "0"}};
        ASSERT_TRUE(under_way.arrives() && under_way.running()) << under_way.told();
        EXPECT_THAT(world().crossfade({"status"}).output, HasSubstr("a flip of everything is under way: fenced"));
        EXPECT_THAT(world().crossfade({"--json", "status"}).output, HasSubstr("\"flip\": \"fenced\""));
        const auto made = world().crossfade({"init"});
        EXPECT_EQ(made.exit_code, 1);
        EXPECT_THAT(told(made), AllOf(HasSubstr("a flip is under way"), HasSubstr("then crossfade init again")));
        EXPECT_EQ(write_to(from), "XF005");
        under_way.go_on();
        EXPECT_EQ(under_way.wait_exit(std::chrono::seconds{60}), 0) << under_way.told();
        EXPECT_EQ(authority(world()), to);
        expect_writes();
    }
};

TEST_F(flip_init, keeps_off_from_one_that_is_under_way) {
    expect_init_keeps_off("modern", world().legacy);
    expect_init_keeps_off("legacy", world().modern);
    const auto made = world().crossfade({"init"});
    EXPECT_EQ(made.exit_code, 0) << told(made);
    EXPECT_EQ(authority(world()), "legacy");
    expect_nothing_lost();
}

}  // namespace
}  // namespace crossfade::chaos
