#include "lib/settings/describe.hpp"

#include <gmock/gmock.h>

#include <boost/json/serialize.hpp>
#include <sstream>

#include "tests/unit/settings/sample.hpp"

namespace crossfade::settings {
namespace {

TEST(describe, shows_the_flags_of_all_scopes) {
    const auto config =
        parse(required + "groups: { orders: { tables: [a.b], flags: { hybrid_mode_enabled: false } } }\n", "f.yaml",
              variables({}))
            .value();
    EXPECT_EQ(boost::json::serialize(flags_json({config, 7})),
              R"({"epoch":7,"scopes":[)"
              R"({"group":"","tenant":"","authority":"legacy","effective_strategy":"legacy-primary","flags":{)"
              R"("hybrid_mode_enabled":true,"dual_write_strategy":"legacy-primary","hybrid_read_strategy":"legacy",)"
              R"("migration_drift_tolerance":5E-4,"cutover_completed":false,"cutover_guardrail_enabled":true,)"
              R"("canary_percent":100,"on_mirror_failure":"stream"}},)"
              R"({"group":"orders","tenant":"","authority":"legacy","effective_strategy":"legacy-only","flags":{)"
              R"("hybrid_mode_enabled":false,"dual_write_strategy":"legacy-primary","hybrid_read_strategy":"legacy",)"
              R"("migration_drift_tolerance":5E-4,"cutover_completed":false,"cutover_guardrail_enabled":true,)"
              R"("canary_percent":100,"on_mirror_failure":"stream"}}]})");
}

TEST(describe, shows_a_reload) {
    const reload_report report{reload_outcome::refused, 3, {"a: 1 -> 2", "b: changed"}, {"no"}, {"b"}};
    EXPECT_EQ(
        boost::json::serialize(report_json(report)),
        R"({"outcome":"refused","epoch":3,"changes":["a: 1 -> 2","b: changed"],"problems":["no"],"restart":["b"]})");
    EXPECT_EQ(
        report_line("SIGHUP", report),
        "configuration refused (SIGHUP), epoch 3; problems: no; changes: a: 1 -> 2; b: changed; at the next start: b");
}

TEST(describe, checks_a_file) {
    const scratch_folder folder;
    std::ostringstream said;
    const auto good = folder.write("good.yaml", required);
    EXPECT_EQ(check_config(good, variables({}), said), 0);
    EXPECT_EQ(said.str(), good + ": ok\n");

    said.str("");
    const auto bad = folder.write("bad.yaml", required + "log: { level: loud }\nproxi: {}\n");
    EXPECT_EQ(check_config(bad, variables({}), said), 2);
    EXPECT_THAT(said.str(),
                testing::StartsWith(bad +
                                    ":5: log.level: found 'loud'; allowed: trace, debug, info, "
                                    "warn, error, critical\n" +
                                    bad + ":6: proxi: found an unknown key; allowed: did you mean proxy? "));
    EXPECT_THAT(said.str(), testing::EndsWith(bad + ": refused, 2 problems\n"));
}

}  // namespace
}  // namespace crossfade::settings
