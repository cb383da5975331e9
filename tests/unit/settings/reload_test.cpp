#include "lib/settings/reload.hpp"

#include <gmock/gmock.h>

#include <algorithm>
#include <array>
#include <thread>

#include "lib/settings/entries.hpp"
#include "tests/unit/settings/sample.hpp"

namespace crossfade::settings {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

configuration taken(const std::string& text) {
    return parse(text, "f.yaml", variables({})).value();
}

class reloads : public testing::Test {
  protected:
    reload_report after(const std::string& text) {
        folder_.write("f.yaml", text);
        return reloader_.reload("test");
    }
    scratch_folder folder_;
    reloader reloader_{folder_.write("f.yaml", required), variables({}), taken(required)};
};

TEST_F(reloads, of_the_same_file_change_nothing) {
    const auto before = reloader_.current();
    for (const auto& same : {required, "# a comment\n" + required, required + "proxy: { max_sessions: 1000 }\n"})
        EXPECT_EQ(after(same).outcome, reload_outcome::unchanged);
    EXPECT_EQ(reloader_.current(), before);
}

TEST_F(reloads, of_a_flag_raise_the_epoch) {
    auto report = after(required + "flags: { migration_drift_tolerance: 0.001 }\n");
    EXPECT_EQ(report.outcome, reload_outcome::applied);
    EXPECT_EQ(report.epoch, 2U);
    EXPECT_THAT(report.changes, ElementsAre("flags.migration_drift_tolerance: 0.0005 -> 0.001"));
    EXPECT_THAT(report.restart, IsEmpty());
    EXPECT_EQ(reloader_.current()->epoch, 2U);
    EXPECT_EQ(reloader_.current()->config.flags.defaults().migration_drift_tolerance, 0.001);

    report = after(required +
                   "groups: { g: { tables: [a.b], flags: { dual_write_strategy: legacy-only } } }\n"
                   "tenants: { session: user, overrides: { t: { flags: { canary_percent: 100 } } } }\n");
    EXPECT_EQ(report.epoch, 3U);
    EXPECT_THAT(report.changes,
                ElementsAre("flags.migration_drift_tolerance: 0.001 -> 0.0005", "tenants.session: none -> user",
                            "groups.g.flags.dual_write_strategy: (not set) -> legacy-only",
                            "groups.g.tables: (not set) -> [a.b]",
                            "tenants.overrides.t.flags.canary_percent: (not set) -> 100"));
}

TEST_F(reloads, of_what_is_no_flag_keep_the_epoch) {
    const auto report = after(required +
                              "log: { level: debug }\nproxy: { max_sessions: 7, pause_max: 20s, console: { max_rows: 5 "
                              "} }\ntenants: { session: database }\n");
    EXPECT_EQ(report.outcome, reload_outcome::applied);
    EXPECT_EQ(report.epoch, 1U);
    EXPECT_THAT(report.restart, IsEmpty());
    EXPECT_EQ(reloader_.current()->config.log.level, "debug");
    EXPECT_EQ(reloader_.current()->config.proxy.max_sessions, 7U);
    EXPECT_EQ(reloader_.current()->config.proxy.pause_max, std::chrono::seconds{20});
    EXPECT_EQ(reloader_.current()->config.proxy.console.max_rows, 5U);
    EXPECT_EQ(reloader_.current()->config.tenants.session, tenant_source::database);
}

// The list of keys and the code that takes them say the same.
TEST_F(reloads, take_each_key_that_the_list_says) {
    const auto report = after(
        required +
        "log: { level: debug }\nproxy: { listen: '[::1]:7000', threads: 2, max_sessions: 70, max_sessions_per_user: 7, "
        "max_sessions_per_database: 8, reserved_sessions: 2, reserved_users: [ann], max_message_bytes: 1MiB, "
        "max_session_memory: 2MiB, max_memory: 20MiB, "
        "connect_timeout: 1s, login_timeout: 2s, drain_timeout: 3s, idle_timeout: 4s, idle_in_transaction_timeout: 5s, "
        "query_timeout: 6s, tcp_keepalive_idle: 7s, tcp_keepalive_interval: 8s, tcp_keepalive_count: 9, "
        "tcp_user_timeout: 10s, reuse_port: true, io_uring: false, busy_poll_us: 50, replication_sessions: false, "
        "max_unacknowledged_events: 3, "
        "statement_cache_entries: 10, statement_cache_bytes: 1MiB, "
        "tls: { mode: prefer, cert_file: /c, key_file: /k, ca_file: /a, crl_file: /l, min_version: '1.3', ciphers: "
        "HIGH, "
        "hosts: [{ names: db.example, cert_file: /c, key_file: /k }] } }\ncdc: { verify_mirrored_percent: 5 }\n");
    ASSERT_EQ(report.outcome, reload_outcome::applied);
    const auto taken = entries_of(reloader_.current()->config);
    for (const auto& change : report.changes) {
        const auto key = change.substr(0, change.find(':'));
        const bool waits = std::ranges::find(report.restart, key) != report.restart.end();
        const auto wanted = change.substr(change.find(waits ? ": " : " -> ") + (waits ? 2 : 4));
        const auto& text = taken.at(key).text;
        EXPECT_EQ(text, waits ? wanted.substr(0, wanted.find(" -> ")) : wanted) << key;
    }
    EXPECT_EQ(report.changes.size(), 39U);
}

TEST_F(reloads, are_refused_when_what_the_file_names_cannot_be_used) {
    reloader strict{reloader_.path(), variables({}), reloader_.current()->config, [](const configuration& next) {
                        return next.proxy.tls.mode == tls_mode::disable
                                   ? std::vector<std::string>{}
                                   : std::vector<std::string>{"no such certificate"};
                    }};
    folder_.write("f.yaml",
                  required + "proxy: { max_sessions: 7, tls: { mode: prefer, cert_file: /c, key_file: /k } }\n");
    const auto report = strict.reload("test");
    EXPECT_EQ(report.outcome, reload_outcome::refused);
    EXPECT_THAT(report.problems, ElementsAre("no such certificate"));
    EXPECT_EQ(strict.current()->config.proxy.max_sessions, 1000U);
}

TEST_F(reloads, leave_what_takes_effect_at_start) {
    auto other = required;
    other.replace(other.find("5432/app"), 8, "5430/app?password=hunter2");
    other.replace(other.find("9092' }"), 7, "9092', properties: { sasl.password: hunter2 } }");
    const auto before = reloader_.current()->config;
    auto report = after(other + "proxy: { threads: 3 }\n");
    EXPECT_EQ(report.outcome, reload_outcome::applied);
    EXPECT_THAT(report.changes,
                ElementsAre("legacy.dsn: changed", "proxy.threads: 0 -> 3", "kafka.properties.sasl.password: changed"));
    EXPECT_THAT(report.restart, ElementsAre("legacy.dsn", "proxy.threads", "kafka.properties.sasl.password"));
    EXPECT_EQ(reloader_.current()->config, before);

    // It stays named for as long as it isn't in force.
    report = after(other + "proxy: { threads: 3 }\n");
    EXPECT_EQ(report.outcome, reload_outcome::unchanged);
    EXPECT_THAT(report.restart, ElementsAre("legacy.dsn", "proxy.threads", "kafka.properties.sasl.password"));
    EXPECT_THAT(after(required).restart, IsEmpty());
}

TEST_F(reloads, of_bad_files_change_nothing) {
    const auto before = reloader_.current();
    const auto report = after(required + "flags: { migration_drift_tolerance: 0.1, dual_write_strategy: both }\n");
    EXPECT_EQ(report.outcome, reload_outcome::refused);
    EXPECT_EQ(report.epoch, 1U);
    EXPECT_THAT(report.problems, ElementsAre(HasSubstr("f.yaml:5: flags.dual_write_strategy: found 'both'")));
    EXPECT_THAT(report.changes, IsEmpty());
    EXPECT_EQ(reloader_.current(), before);

    std::filesystem::remove(folder_ / "f.yaml");
    EXPECT_EQ(reloader_.reload("test").outcome, reload_outcome::refused);
    EXPECT_EQ(reloader_.current(), before);
}

TEST_F(reloads, never_move_the_authority) {
    const auto before = reloader_.current();
    const auto report = after(required + "flags: { dual_write_strategy: modern-only, hybrid_read_strategy: modern }\n");
    EXPECT_EQ(report.outcome, reload_outcome::refused);
    EXPECT_THAT(report.problems,
                ElementsAre(HasSubstr("the defaults: the authority would change from legacy to modern")));
    EXPECT_EQ(reloader_.current(), before);
    // The next file is held against what is in force, not against the refused one.
    EXPECT_EQ(after(required).outcome, reload_outcome::unchanged);
}

TEST_F(reloads, take_who_is_the_authority_from_the_databases) {
    const auto authority = [&] { return reloader_.current()->config.authority(); };
    EXPECT_TRUE(reloader_.take(decision{{side::modern, {}}, 4}));
    EXPECT_EQ(authority(), side::modern);
    EXPECT_EQ(reloader_.current()->epoch, 2U);
    EXPECT_EQ(reloader_.current()->decided, (decision{{side::modern, {}}, 4}));
    EXPECT_EQ(reloader_.current()->config.flags.defaults().dual_write_strategy, write_strategy::prefer_modern);

    // Neither news that are old nor the file change it.
    EXPECT_FALSE(reloader_.take(decision{{side::legacy, {}}, 3}));
    EXPECT_FALSE(reloader_.take(decision{{side::legacy, {}}, 4}));
    EXPECT_EQ(after(required + "flags: { dual_write_strategy: mirror }\n").outcome, reload_outcome::applied);
    EXPECT_EQ(authority(), side::modern);
    EXPECT_EQ(reloader_.current()->decided, (decision{{side::modern, {}}, 4}));

    // What it says otherwise than before is a wish, and no more.
    const auto wished = after(required + "flags: { dual_write_strategy: modern-only, hybrid_read_strategy: modern }\n");
    EXPECT_THAT(wished.words, ElementsAre(file_word{{"", ""}, side::modern, true}));
    EXPECT_THAT(after(required + "flags: { dual_write_strategy: mirror }\n").words,
                ElementsAre(file_word{{"", ""}, side::legacy, true}));
    EXPECT_EQ(authority(), side::modern);

    // What the file says counts again when its side is in charge again.
    EXPECT_TRUE(reloader_.take(decision{{side::legacy, {}}, 5}));
    EXPECT_EQ(reloader_.current()->config.flags.defaults().dual_write_strategy, write_strategy::mirror);
    EXPECT_EQ(after(required + "flags: { dual_write_strategy: modern-only, hybrid_read_strategy: modern }\n").outcome,
              reload_outcome::applied);
    EXPECT_EQ(authority(), side::legacy);
}

TEST_F(reloads, move_no_table_by_its_group_alone) {
    const auto with = [](const std::string& tables) {
        return required + "groups: { g: { tables: [" + tables + "] } }\n";
    };
    EXPECT_EQ(after(with("a.b")).outcome, reload_outcome::applied);
    EXPECT_TRUE(reloader_.take(decision{{side::legacy, {{{"g", ""}, side::modern}}}, 2}));
    EXPECT_THAT(after(with("a.c")).problems,
                ElementsAre(HasSubstr("groups.g.tables: groups have different authorities")));
    EXPECT_THAT(after(required).problems, ElementsAre(HasSubstr("groups.g.tables")));
    EXPECT_EQ(after(with("a.b") + "flags: { migration_drift_tolerance: 0.001 }\n").outcome, reload_outcome::applied);
    EXPECT_TRUE(reloader_.take(decision{{side::modern, {}}, 3}));
    EXPECT_EQ(after(with("a.c")).outcome, reload_outcome::applied);
}

TEST_F(reloads, divide_no_tenants_that_are_apart) {
    const auto with = [](const std::string& tenants) { return required + "tenants: { " + tenants + " }\n"; };
    const auto by_user = with("session: user, column: tenant");
    EXPECT_EQ(after(by_user).outcome, reload_outcome::applied);
    EXPECT_TRUE(reloader_.take(decision{{side::legacy, {{{"", "acme"}, side::modern}}}, 2}));
    EXPECT_THAT(
        after(with("session: database, column: tenant")).problems,
        ElementsAre("tenants.session: tenants have different authorities (legacy, modern of tenant acme), and a "
                    "session would change hands by this alone. Bring them together by `crossfade flip` before"));
    EXPECT_THAT(after(with("session: user, column: customer")).problems, ElementsAre(HasSubstr("tenants.column: ")));
    EXPECT_THAT(after(with("session: 'parameter:a.b'")).problems,
                ElementsAre(HasSubstr("tenants.session: "), HasSubstr("tenants.column: ")));
    EXPECT_EQ(reloader_.current()->config.tenants.session, tenant_source::user);
    EXPECT_EQ(after(by_user + "flags: { migration_drift_tolerance: 0.001 }\n").outcome, reload_outcome::applied);
    // A group of a tenant is the tenant's, too; what belongs to everybody's isn't.
    EXPECT_TRUE(reloader_.take(decision{{side::legacy, {{{"g", "acme"}, side::modern}}}, 3}));
    EXPECT_EQ(after(with("session: database, column: tenant")).outcome, reload_outcome::refused);
    EXPECT_TRUE(reloader_.take(decision{{side::legacy, {{{"g", ""}, side::modern}}}, 4}));
    EXPECT_EQ(after(with("session: database")).outcome, reload_outcome::applied);
}

// Sound by itself, and not beside what stays in force until the next start.
class reloads_beside : public testing::TestWithParam<std::array<const char*, 3>> {};

TEST_P(reloads_beside, what_does_not_go_with_it_are_refused) {
    const auto& [runs, file, says] = GetParam();
    auto with_stream = [](const std::string& more) {
        auto text = required;
        if (const auto end = more.find('\n'); end > 0) text.insert(text.rfind(" }"), ", " + more.substr(0, end));
        return text + more.substr(more.find('\n') + 1);
    };
    const scratch_folder folder;
    const auto first = with_stream(runs);
    reloader running{folder.write("f.yaml", first), variables({}), taken(first)};
    const auto before = running.current();
    folder.write("f.yaml", with_stream(file));
    const auto report = running.reload("test");
    EXPECT_EQ(report.outcome, reload_outcome::refused);
    EXPECT_THAT(report.problems, ElementsAre(says));
    EXPECT_EQ(running.current(), before);
}

INSTANTIATE_TEST_SUITE_P(
    all, reloads_beside,
    testing::Values(
        std::array{
            "ordering: key, partitions: 4\n", "\nflags: { dual_write_strategy: mirror }",
            "stream.ordering: 'key' with dual_write_strategy: mirror; allowed: transaction (commits that wait for "
            "the follower need commit order). What the file says of stream.ordering, "
            "stream.partitions holds from the next start on: restart with it, or leave out what doesn't go with what "
            "is in force"},
        std::array{"ordering: key, partitions: 4\n", "\nflags: { hybrid_read_strategy: prefer-modern }",
                   "stream.ordering: 'key' with hybrid_read_strategy on modern under legacy; allowed: transaction (how "
                   "far modern is behind is told in commit order). What the file says of stream.ordering, "
                   "stream.partitions holds from the next start on: restart with it, or leave out what doesn't go with "
                   "what is in force"},
        std::array{"\nflags: { dual_write_strategy: modern-only, hybrid_read_strategy: modern }",
                   "both_ways: true\nflags: { dual_write_strategy: prefer-modern, hybrid_read_strategy: modern }",
                   "stream.both_ways: 'false' with dual_write_strategy: prefer-modern; allowed: true (modern's changes "
                   "go to legacy by a stream of their own). What the file says of stream.both_ways holds from the next "
                   "start on: "
                   "restart with it, or leave out what doesn't go with what is in force"}));

TEST_F(reloads, give_the_console_no_name_that_sessions_use) {
    auto other = required;
    for (const std::string each : {"5432/app", "5433/app"})
        other.replace(other.find(each), each.size(), each.substr(0, 5) + "moved");
    EXPECT_THAT(after(other + "proxy: { console: { database: app, admins: [ops] } }\n").problems,
                ElementsAre(HasSubstr("proxy.console.database: 'app'; allowed: another name than the application's")));
}

TEST_F(reloads, may_name_another_authority_where_nobody_goes_by_it) {
    reloader_.ignore_authority();
    EXPECT_EQ(after(required + "flags: { dual_write_strategy: modern-only, hybrid_read_strategy: modern }\n").outcome,
              reload_outcome::applied);
}

TEST_F(reloads, move_no_table_by_its_group_where_nobody_goes_by_the_file) {
    const auto with = [](const std::string& tables) {
        return required + "groups: { g: { tables: [" + tables + "] } }\n";
    };
    std::optional<assignment> known;
    int asked = 0;
    reloader_.ignore_authority([&] { return ++asked, known; });
    EXPECT_EQ(after(required + "flags: { migration_drift_tolerance: 0.001 }\n").outcome, reload_outcome::applied);
    EXPECT_EQ(asked, 0);
    // Nobody can be asked whether it matters.
    EXPECT_THAT(after(with("a.b")).problems, ElementsAre(HasSubstr("neither database says who the authority is")));
    known = assignment{};
    EXPECT_EQ(after(with("a.b")).outcome, reload_outcome::applied);
    known = assignment{side::legacy, {{{"g", ""}, side::modern}}};
    EXPECT_THAT(after(with("a.c")).problems,
                ElementsAre(HasSubstr("groups.g.tables: groups have different authorities")));
    EXPECT_EQ(after(with("a.b") + "flags: { migration_drift_tolerance: 0.001 }\n").outcome, reload_outcome::applied);
}

TEST_F(reloads, say_since_when_the_file_was_known) {
    const auto with = [](const std::string& strategy) {
        return required + "flags: { dual_write_strategy: " + strategy + " }\n";
    };
    const auto decided = [](std::uint64_t epoch) { return decision{{}, epoch}; };
    EXPECT_TRUE(reloader_.take(decided(3)));
    EXPECT_TRUE(reloader_.take(decided(5)));
    EXPECT_EQ(after(with("mirror")).read_before, 3U);
    EXPECT_TRUE(reloader_.take(decided(7)));
    // Read once more is known for longer.
    EXPECT_EQ(after(with("mirror") + "# the same").outcome, reload_outcome::unchanged);
    EXPECT_TRUE(reloader_.take(decided(9)));
    EXPECT_EQ(after(with("legacy-primary")).read_before, 7U);
}

TEST_F(reloads, tell_the_listener_of_all_but_unchanged_ones) {
    std::vector<std::string> heard;
    reloader_.on_report([&](std::string_view trigger, const reload_report& report) {
        heard.push_back(std::string(trigger) + ' ' + std::string(to_string(report.outcome)));
        if (report.outcome == reload_outcome::applied) throw std::runtime_error("deaf");
    });
    after(required);
    after("");
    EXPECT_THAT(after(required + "flags: { canary_percent: 100, cutover_guardrail_enabled: false }\n").problems,
                ElementsAre("what listens to reloads failed: deaf"));
    EXPECT_THAT(heard, ElementsAre("test refused", "test applied"));
    EXPECT_EQ(reloader_.current()->epoch, 2U);
}

TEST_F(reloads, may_come_from_several_threads) {
    // Each thread sees epochs that only rise, and a flag that fits its epoch: whole snapshots, never halves.
    const auto flipped = required + "flags: { cutover_guardrail_enabled: false }\n";
    std::atomic<bool> done = false;
    std::atomic<int> torn = 0;
    std::vector<std::jthread> readers;
    for (int i = 0; i < 2; ++i)
        readers.emplace_back([&] {
            std::uint64_t last = 0;
            while (!done) {
                const auto now = reloader_.current();
                const bool guarded = now->config.flags.defaults().cutover_guardrail_enabled;
                if (now->epoch < last || guarded != (now->epoch % 2 == 1)) ++torn;
                last = now->epoch;
            }
        });
    for (int i = 0; i < 50; ++i) after(i % 2 == 0 ? flipped : required);
    {
        std::vector<std::jthread> writers;
        for (int i = 0; i < 4; ++i) writers.emplace_back([&] { reloader_.reload("test"); });
    }
    done = true;
    readers.clear();
    EXPECT_EQ(torn, 0);
    EXPECT_EQ(reloader_.current()->epoch, 51U);
}

TEST(reload_objections, name_every_scope_that_would_change_hands) {
    auto before = taken(required);
    auto after = before;
    const auto modern = [] {
        flag_overrides made;
        made.dual_write_strategy = write_strategy::modern_only;
        return made;
    }();
    before.flags = flag_set(flags{}, {{"g", {{"a.b"}, {}}}}, {{"gone", {modern, {}}}});
    after.flags = flag_set(flags{}, {{"g", {{"a.b"}, modern}}}, {{"t", {{}, {{"h", modern}}}}});
    EXPECT_THAT(reload_objections(before, after),
                ElementsAre(HasSubstr("tenant gone: the authority would change from modern to legacy"),
                            HasSubstr("group g: the authority would change from legacy to modern"),
                            HasSubstr("group h of tenant t: the authority would change from legacy to modern")));
    EXPECT_THAT(reload_objections(after, after), IsEmpty());

    // The master switch moves it as well.
    auto off = taken(required);
    off.flags = flag_set(apply(modern, flags{}), {}, {});
    auto on = off;
    flags defaults = off.flags.defaults();
    defaults.hybrid_mode_enabled = false;
    off.flags = flag_set(defaults, {}, {});
    EXPECT_THAT(reload_objections(on, off), ElementsAre(HasSubstr("from modern to legacy")));
}

}  // namespace
}  // namespace crossfade::settings
