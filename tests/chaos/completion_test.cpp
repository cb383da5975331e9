// The end of a cutover, by an order or by mishap: there is no way back then, and everybody says so.
#include <fstream>
#include <iterator>
#include <sstream>

#include "tests/chaos/flip_states.hpp"
#include "tests/support/http.hpp"
#include "tests/support/programs.hpp"

namespace crossfade::chaos {
namespace {

using namespace std::chrono_literals;
using testing::AllOf;
using testing::HasSubstr;
using testing::Not;

class completion : public flip_states {
  protected:
    support::finished complete(const std::vector<std::string>& more) {
        std::vector<std::string> arguments{"flip", "--complete"};
        arguments.insert(arguments.end(), more.begin(), more.end());
        return world().crossfade(arguments);
    }
    std::string slots() {
        return world().modern.value("SELECT coalesce(string_agg(slot_name, ', '), '') FROM pg_replication_slots");
    }
    std::string state() {
        const auto json = world().crossfade({"--json", "status"}).output;
        // The programs' flags have scopes, too.
        const auto scopes = json.rfind("\"scopes\"");
        if (scopes == std::string::npos) return json;
        const auto at = json.find("\"state\": \"", scopes) + 10;
        return json.substr(at, json.find('"', at) - at);
    }
    // How many programs are, of the way back, in a state that the alert's expression counts.
    int counted_by(const std::string& alert) {
        std::ifstream file{support::source_root() / "deploy/prometheus/alerts.yml"};
        const std::string rules{std::istreambuf_iterator<char>{file}, {}};
        // ...: sum by (stream) (crossfade_x_state{state=~"a|b"}) == 0
        const auto braces = rules.find("_state{", rules.find("- alert: " + alert + '\n'));
        const auto metric = rules.rfind('(', braces) + 1;
        const auto from = rules.find('"', braces) + 1;
        std::istringstream states{rules.substr(from, rules.find('"', from) - from)};
        const auto said = metrics_of(world().proxy) + metrics_of(world().cdc);
        int programs = 0;
        for (std::string state; std::getline(states, state, '|');) {
            const auto there = rules.substr(metric, rules.find('{', metric) - metric) + "{state=\"" + state +
                               "\",stream=\"app_back\"} 1";
            for (auto at = said.find(there); at != std::string::npos; at = said.find(there, at + 1)) ++programs;
        }
        return programs;
    }
    static std::string metrics_of(const support::crossfade_program& program) {
        return support::http_get(program.admin_port(), "/metrics").body;
    }
    // Nobody is to be told for ever that nobody does what isn't to be done any more.
    void expect_no_alert() {
        const auto quiet = [&] {
            return counted_by("CrossfadeNobodyPublishes") == 1 && counted_by("CrossfadeNobodyApplies") == 1 &&
                   counted_by("CrossfadeHeldForLong") == 0 &&
                   support::sample_value(metrics_of(world().cdc),
                                         "crossfade_stream_lag_seconds{stream=\"app_back\"}") == 0;
        };
        EXPECT_TRUE(support::eventually(30s, quiet))
            << metrics_of(world().proxy) << metrics_of(world().cdc) << world().logs();
    }
    void go_to_modern() {
        ASSERT_EQ(in_the_way(world()), "");
        ASSERT_EQ(flip("modern", {"--hold-max", "3000"}).exit_code, 0);
        ASSERT_EQ(in_the_way(world(), "legacy"), "");
    }
};

TEST_F(completion, ends_the_way_back_for_good) {
    EXPECT_TRUE(support::eventually(30s, [&] { return state() == "ready"; })) << state();
    auto made = complete({"--yes", "--reason", "too early"});
    EXPECT_EQ(made.exit_code, 1);
    EXPECT_THAT(made.output, AllOf(HasSubstr("only what is on modern as a whole is completed"), HasSubstr("refused;")));
    go_to_modern();
    EXPECT_EQ(state(), "cutover");
    ASSERT_EQ(flip("legacy", {"--hold-max", "3000"}).exit_code, 0);
    EXPECT_EQ(state(), "rolled_back");
    go_to_modern();

    // By the file nothing ends: it only keeps others from going back.
    const auto by_file = [&](const std::string& completed) {
        world().proxy.configure(world().configuration(
            "  dual_write_strategy: prefer-modern\n  hybrid_read_strategy: modern\n  cutover_completed: " + completed +
            "\n"));
    };
    by_file("true");
    // What the file says later is another word than this one for who has heard it.
    const auto heard = [&] { return world().proxy.log().find("-> prefer-modern") != std::string::npos; };
    EXPECT_TRUE(support::eventually(30s, heard)) << world().proxy.log();
    EXPECT_THAT(flip("legacy", {"--force"}).output, HasSubstr("cutover_completed is true for everything in the file"));
    expect_status("cutover_completed is true in the file, and the way back is open");
    EXPECT_THAT(slots(), HasSubstr("crossfade_app_back"));
    by_file("false");

    // It looks, and does nothing without a word and a reason.
    ASSERT_EQ(in_the_way(world(), "legacy"), "");
    made = complete({});
    EXPECT_EQ(made.exit_code, 1);
    EXPECT_THAT(made.output, AllOf(HasSubstr("a row went from modern to legacy"), HasSubstr("can't be undone: --yes")));
    EXPECT_EQ(complete({"--yes"}).exit_code, 2);
    EXPECT_EQ(state(), "cutover");
    EXPECT_THAT(slots(), HasSubstr("crossfade_app_back"));
    made = complete({"--yes", "--reason", "ticket 4712"});
    EXPECT_EQ(made.exit_code, 0) << told(made) << world().logs();
    EXPECT_THAT(made.output, HasSubstr("nothing leads back to legacy"));

    EXPECT_EQ(slots(), "");
    EXPECT_EQ(state(), "completed");
    expect_writes();
    EXPECT_TRUE(support::eventually(30s, [&] {
        return world().cdc.log().find("stream app_back: the cutover was completed, nothing comes any more") !=
               std::string::npos;
    }));
    expect_no_alert();
    for (const auto* side : {&world().legacy, &world().modern})
        EXPECT_EQ(side->value("SELECT completed_at IS NOT NULL FROM crossfade.authority"), "t");
    made = flip("legacy", {"--force"});
    EXPECT_EQ(made.exit_code, 1);
    EXPECT_THAT(made.output, AllOf(HasSubstr("cutover of everything was completed at "),
                                   HasSubstr("there is no way back by Crossfade"), HasSubstr("refused;")));
    made = world().crossfade({"flip", "--history", "1"});
    EXPECT_THAT(made.output, AllOf(HasSubstr("completed"), HasSubstr("ticket 4712")));
    made = world().crossfade({"audit", "log", "--action", "complete"});
    EXPECT_THAT(made.output, AllOf(HasSubstr("everything on modern"), HasSubstr("done"), HasSubstr("ticket 4712")));
    made = world().crossfade({"init"});
    EXPECT_EQ(made.exit_code, 0) << told(made);
    EXPECT_THAT(told(made), HasSubstr("none: the cutover was completed at"));
    EXPECT_EQ(slots(), "");

    // The file orders no flip either.
    world().proxy.configure(world().configuration("  dual_write_strategy: legacy-primary\n"));
    EXPECT_TRUE(support::eventually(30s, [&] {
        return world().proxy.log().find("refused: cutover: cutover of everything was completed at") !=
               std::string::npos;
    })) << world().proxy.log();
    for (auto* program : {&world().proxy, &world().cdc})
        program->configure(world().configuration(
            "  dual_write_strategy: modern-only\n  hybrid_read_strategy: modern\n  cutover_completed: true\n"));
    expect_status("none: the cutover was completed at");
    std::string last;
    EXPECT_TRUE(support::eventually(30s, [&] {
        last = told(world().crossfade({"status"}));
        return last.find("healthy\n") != std::string::npos;
    })) << last;
    EXPECT_TRUE(support::eventually(30s, [&] { return world().cdc.log().find("-> modern-only") != std::string::npos; }))
        << world().cdc.log();
    expect_no_alert();
    // Programs that begin behind it know it, too.
    for (auto* program : {&world().proxy, &world().cdc}) {
        EXPECT_EQ(program->stop(), 0);
        program->start();
        EXPECT_TRUE(program->wait_ready());
    }
    expect_no_alert();
    EXPECT_EQ(authority(world()), "modern");
    EXPECT_EQ(slots(), "");
    auto client = connect(world().client_dsn());
    ASSERT_TRUE(client);
    EXPECT_EQ(execute(client.get(), "INSERT INTO orders (tag) VALUES ('past the end')"), answer::done);
    EXPECT_EQ(world().modern.value("SELECT count(*) FROM orders WHERE tag = 'past the end'"), "1");
}

// Where it died behind the decision, whoever says it again finishes it.
TEST_F(completion, is_finished_by_whoever_says_it_again) {
    go_to_modern();
    world().modern.exec("UPDATE crossfade.authority SET completed_at = now()");
    expect_status("slot crossfade_app_back on modern keeps WAL for nobody");
    const auto made = complete({"--yes", "--reason", "again"});
    EXPECT_EQ(made.exit_code, 0) << told(made);
    EXPECT_EQ(slots(), "");
    EXPECT_EQ(world().legacy.value("SELECT completed_at IS NOT NULL FROM crossfade.authority"), "t");
    EXPECT_EQ(state(), "completed");
}

// docs/operations.md, The way back is lost: modern becomes the legacy of a new stream, to a database that is made anew.
TEST_F(completion, a_way_back_that_is_lost_is_made_anew) {
    go_to_modern();
    drop_slot(world().modern, "crossfade_app_back");
    expect_status("the way back is lost, and no flip to legacy can be made: slot crossfade_app_back on modern is gone");
    EXPECT_THAT(told(world().crossfade({"status"})),
                AllOf(HasSubstr("docs/operations.md, The way back is lost"), HasSubstr("NEEDS A HAND"),
                      Not(HasSubstr("the stream is not set up"))));
    expect_writes();
    // What is lacking there is shown, and what was there before is.
    EXPECT_TRUE(support::eventually(30s, [&] { return world().crossfade({"verify"}).exit_code == 1; }));

    world().legacy.exec("CREATE DATABASE anew");
    world().legacy.exec(shop::schema(), "anew");
    auto text = world().configuration();
    const auto replace = [&](const std::string& what, const std::string& with) {
        text.replace(text.find(what), what.size(), with);
    };
    const auto legacy = world().legacy.dsn();
    replace("legacy: { dsn: \"" + legacy, "legacy: { dsn: \"" + world().modern.dsn());
    replace("modern: { dsn: \"" + world().modern.dsn(), "modern: { dsn: \"" + world().legacy.dsn("anew"));
    replace("name: app,", "name: again,");
    const support::temp_dir dir;
    const auto path = dir.path() / "again.yaml";
    std::ofstream{path} << text;
    const auto again = [&](std::vector<std::string> arguments) {
        arguments.insert(arguments.begin(), {support::program_path("crossfade").string(), "--config", path.string()});
        const auto made = support::run(std::move(arguments), 120s);
        EXPECT_EQ(made.exit_code, 0) << told(made);
    };
    again({"init"});
    again({"backfill"});
    stop_load();
    // The programs with the new file.
    EXPECT_EQ(world().proxy.stop(), 0);
    EXPECT_EQ(world().cdc.stop(), 0);
    world().proxy.configure(text);
    world().cdc.configure(text);
    world().proxy.start();
    world().cdc.start();
    EXPECT_TRUE(world().proxy.wait_ready() && world().cdc.wait_ready()) << world().logs();
    again({"verify", "--wait", "60"});
    EXPECT_EQ(in_the_way(world(), "modern"), "") << world().logs();
    again({"flip", "--to", "modern", "--hold-max", "3000"});
    auto client = connect(world().client_dsn());
    ASSERT_TRUE(client);
    EXPECT_EQ(execute(client.get(), "INSERT INTO orders (tag) VALUES ('anew')"), answer::done);
    EXPECT_EQ(world().legacy.value("SELECT count(*) FROM orders WHERE tag = 'anew'", "anew"), "1");
}

}  // namespace
}  // namespace crossfade::chaos
