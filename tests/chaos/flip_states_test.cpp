// What a flip meets that it can't go through: each of these ends in a state that has a name (docs/operations.md,
// Flips), with nothing lost, and when the cause is gone the next flip is like any other.
#include <pwd.h>
#include <sys/mount.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>

#include "tests/chaos/flip_states.hpp"

namespace crossfade::chaos {
namespace {

using namespace std::chrono_literals;
using testing::AllOf;
using testing::HasSubstr;

std::string pid_of(PGconn* session) {
    const std::unique_ptr<PGresult, decltype(&PQclear)> got{PQexec(session, "SELECT pg_backend_pid()"), PQclear};
    return PQgetvalue(got.get(), 0, 0);
}

TEST_F(flip_states, another_one_under_way) {
    armed_flip first{world(), "modern", "flip.held:1:stop", {"--hold-max", "10000"}};
    ASSERT_TRUE(first.arrives() && first.running()) << first.told();
    const auto made = flip("legacy", {"--wait", "0"});
    EXPECT_EQ(made.exit_code, 1);
    EXPECT_THAT(told(made), HasSubstr("another flip is under way"));
    armed_flip second{world(), "legacy", "", {"--hold-max", "3000"}};
    const auto waits = [&] { return second.told().find("waiting for its end") != std::string::npos; };
    ASSERT_TRUE(support::eventually(30s, waits)) << second.told();
    first.go_on();
    EXPECT_EQ(first.wait_exit(60s), 0) << first.told();
    EXPECT_EQ(second.wait_exit(60s), 0) << second.told();
    EXPECT_THAT(second.told(), HasSubstr("legacy is the authority, epoch 3"));
    expect_writes();
    expect_nothing_lost();
}

TEST_F(flip_states, a_transaction_that_spans_it) {
    auto client = connect(world().client_dsn());
    ASSERT_TRUE(client);
    ASSERT_EQ(execute(client.get(), "BEGIN; INSERT INTO orders (tag) VALUES ('spans')"), answer::done);
    const auto process = "process " + pid_of(client.get()) + " of crossfade";

    // Once it has run for more than a second nothing is even tried.
    support::finished made;
    ASSERT_TRUE(support::eventually(30s, [&] {
        made = world().crossfade({"flip", "--to", "modern", "--dry-run"});
        return made.output.find("that have written run for long on legacy") != std::string::npos;
    })) << told(made);
    EXPECT_EQ(made.exit_code, 1);
    EXPECT_THAT(made.output, HasSubstr("refused; nothing has changed"));
    EXPECT_THAT(made.output, HasSubstr(process));
    expect_as_before();

    made = flip("modern", {"--force", "--hold-max", "200", "--wait", "2"});
    EXPECT_EQ(made.exit_code, 1);
    EXPECT_THAT(made.output, AllOf(HasSubstr("not done, and undone after "),
                                   HasSubstr("transactions of proxies did not end within 200 ms"),
                                   HasSubstr(" sessions in a transaction"), HasSubstr(process)));
    expect_as_before();

    // One that ends while attempts are made.
    armed_flip waits{world(), "modern", "", {"--force", "--hold-max", "300", "--wait", "60"}};
    ASSERT_TRUE(support::eventually(30s, [&] { return attempts() == "2"; })) << waits.told();
    EXPECT_EQ(execute(client.get(), "COMMIT"), answer::done);
    EXPECT_EQ(waits.wait_exit(60s), 0) << waits.told() << world().logs();
    EXPECT_THAT(waits.told(), AllOf(HasSubstr("undone, writes go on"), HasSubstr("modern is the authority, epoch 2"),
                                    HasSubstr("in attempt ")));
    EXPECT_EQ(rows(), modern_settled);
    expect_writes();
    // Its session has gone over, too.
    EXPECT_EQ(execute(client.get(), "INSERT INTO orders (tag) VALUES ('after')"), answer::done);
    EXPECT_EQ(world().modern.value("SELECT port FROM orders WHERE tag = 'after'"),
              std::to_string(world().modern.port()));

    // One that ends before attempts are made: it is waited for, and nothing is held meanwhile.
    ASSERT_EQ(in_the_way(world(), "legacy"), "");
    ASSERT_EQ(execute(client.get(), "BEGIN; INSERT INTO orders (tag) VALUES ('is waited for')"), answer::done);
    ASSERT_TRUE(support::eventually(30s, [&] {
        return told(world().crossfade({"flip", "--to", "legacy", "--dry-run"})).find("run for long") !=
               std::string::npos;
    }));
    armed_flip back{world(), "legacy", "", {"--hold-max", "3000", "--wait", "60"}};
    ASSERT_TRUE(support::eventually(30s, [&] {
        return back.told().find("waiting for their end before anything is held") != std::string::npos;
    })) << back.told();
    expect_writes();
    EXPECT_EQ(execute(client.get(), "COMMIT"), answer::done);
    EXPECT_EQ(back.wait_exit(60s), 0) << back.told() << world().logs();
    EXPECT_THAT(back.told(), HasSubstr("legacy is the authority, epoch 3"));
    expect_nothing_lost();
    expect_both_have("spans");
    expect_both_have("is waited for");
    expect_both_have("after");
}

// It isn't waited for, and stays where it is.
TEST_F(flip_states, a_transaction_in_another_database_of_the_server) {
    for (const auto* side : {&world().legacy, &world().modern}) {
        side->exec("CREATE DATABASE reports", "postgres");
        side->exec("CREATE TABLE orders (tag text)", "reports");
    }
    auto reports = world().client_dsn();
    reports.replace(reports.rfind("/app"), 4, "/reports");
    const auto client = connect(reports);
    ASSERT_TRUE(client);
    ASSERT_EQ(execute(client.get(), "BEGIN; INSERT INTO orders (tag) VALUES ('before')"), answer::done);
    const auto made = flip("modern", {"--hold-max", "3000", "--wait", "0"});
    EXPECT_EQ(made.exit_code, 0) << told(made) << world().logs();
    EXPECT_EQ(execute(client.get(), "INSERT INTO orders (tag) VALUES ('behind'); COMMIT"), answer::done);
    EXPECT_EQ(execute(client.get(), "INSERT INTO orders (tag) VALUES ('later')"), answer::done);
    const auto late = connect(reports);
    ASSERT_TRUE(late);
    EXPECT_EQ(execute(late.get(), "INSERT INTO orders (tag) VALUES ('late')"), answer::done);
    EXPECT_EQ(world().legacy.value("SELECT count(*) FROM orders", "reports"), "4");
    EXPECT_EQ(world().modern.value("SELECT count(*) FROM orders", "reports"), "0");
    expect_nothing_lost();
}

TEST_F(flip_states, a_prepared_transaction_and_a_lock_that_go_round_the_proxy) {
    auto client = connect(world().client_dsn());
    ASSERT_TRUE(client);
    ASSERT_EQ(execute(client.get(),
                      "BEGIN; INSERT INTO orders (tag) VALUES ('in two phases');"
                      "PREPARE TRANSACTION 'one'"),
              answer::done);
    auto made = flip("modern", {"--force"});
    EXPECT_EQ(made.exit_code, 1);
    EXPECT_THAT(made.output, AllOf(HasSubstr("1 on legacy hold their locks"), HasSubstr("ROLLBACK PREPARED"),
                                   HasSubstr("refused; nothing has changed")));
    expect_as_before();
    ASSERT_EQ(execute(client.get(), "COMMIT PREPARED 'one'"), answer::done);

    // Prepared when the gates have been passed: it has no process that could be named.
    armed_flip in_the_middle{world(), "modern", "flip.held:1:stop", {"--force", "--hold-max", "2000", "--wait", "0"}};
    ASSERT_TRUE(in_the_middle.arrives() && in_the_middle.running()) << in_the_middle.told();
    world().legacy.exec("BEGIN; INSERT INTO orders (tag) VALUES ('never'); PREPARE TRANSACTION 'two'");
    in_the_middle.go_on();
    EXPECT_EQ(in_the_middle.wait_exit(60s), 1);
    EXPECT_THAT(in_the_middle.told(), AllOf(HasSubstr("not done, and undone after 1 attempts: the tables of legacy"),
                                            HasSubstr("could not be locked within 2000 ms"),
                                            HasSubstr("prepared transaction 'two' of crossfade")));
    expect_as_before();
    world().legacy.exec("ROLLBACK PREPARED 'two'");

    // As VACUUM and CREATE INDEX CONCURRENTLY have it: nobody's writes wait for it, and it has no transaction's id.
    auto round = connect(world().legacy.dsn());
    ASSERT_TRUE(round);
    ASSERT_EQ(execute(round.get(), "BEGIN; LOCK TABLE orders IN SHARE UPDATE EXCLUSIVE MODE"), answer::done);
    made = flip("modern", {"--hold-max", "300", "--wait", "0"});
    EXPECT_EQ(made.exit_code, 1);
    EXPECT_THAT(made.output,
                AllOf(HasSubstr("not done, and undone after 1 attempts: the tables of legacy"),
                      HasSubstr("process " + pid_of(round.get()) + " of crossfade"), HasSubstr("idle in transaction")));
    expect_as_before();
    ASSERT_EQ(execute(round.get(), "COMMIT"), answer::done);

    expect_flips();
    expect_nothing_lost();
    expect_both_have("in two phases");
}

TEST_F(flip_states, ddl_in_the_middle) {
    // It changes no row, and the fence is not against it.
    armed_flip one{world(), "modern", "flip.fenced:1:stop", {"--hold-max", "10000"}};
    ASSERT_TRUE(one.arrives() && one.running()) << one.told();
    world().legacy.exec("ALTER TABLE orders ADD COLUMN colour text");
    one.go_on();
    EXPECT_EQ(one.wait_exit(60s), 0) << one.told();
    EXPECT_EQ(rows(), modern_settled);
    expect_writes();
    EXPECT_THAT(world().crossfade({"ddl", "list"}).output, AllOf(HasSubstr("public.orders"), HasSubstr("ALTER TABLE")));
    world().modern.exec("ALTER TABLE orders ADD COLUMN colour text");
    ASSERT_EQ(in_the_way(world(), "legacy"), "");
    EXPECT_EQ(flip("legacy", {"--hold-max", "3000"}).exit_code, 0);

    // With a row that modern can't take as it is.
    ASSERT_EQ(in_the_way(world()), "");
    armed_flip other{world(), "modern", "flip.held:1:stop", {"--hold-max", "10000", "--wait", "0"}};
    ASSERT_TRUE(other.arrives() && other.running()) << other.told();
    world().legacy.exec("ALTER TABLE orders ADD COLUMN size int; INSERT INTO orders (tag, size) VALUES ('sized', 7)");
    other.go_on();
    EXPECT_EQ(other.wait_exit(60s), 1) << other.told();
    EXPECT_THAT(other.told(),
                HasSubstr("not done, and undone after 1 attempts: changes of legacy became dead letters on modern"));
    EXPECT_EQ(rows(), "legacy 3 settled; legacy 3 settled");
    expect_writes();
    auto made = flip("modern");
    EXPECT_EQ(made.exit_code, 1);
    EXPECT_THAT(made.output, AllOf(HasSubstr("changes are not applied on modern"), HasSubstr("refused;")));
    world().modern.exec("ALTER TABLE orders ADD COLUMN size int");
    made = world().crossfade({"deadletters", "replay", "--all"});
    EXPECT_EQ(made.exit_code, 0) << told(made);

    expect_flips();
    expect_nothing_lost(testing::MatchesRegex("drift public.orders rejected repaired: [0-9]+\n"));
    expect_both_have("sized");
}

TEST_F(flip_states, tables_that_come_and_go_between_two) {
    world().legacy.exec("CREATE TABLE public.later (id int PRIMARY KEY); INSERT INTO public.later VALUES (1)");
    auto made = flip("modern");
    EXPECT_EQ(made.exit_code, 1);
    EXPECT_THAT(made.output, AllOf(HasSubstr("not in the stream: public.later"), HasSubstr("crossfade init"),
                                   HasSubstr("refused; nothing has changed")));
    expect_as_before();
    world().modern.exec("CREATE TABLE public.later (id int PRIMARY KEY)");
    made = world().crossfade({"init"});
    EXPECT_EQ(made.exit_code, 0) << told(made);
    made = flip("modern");
    EXPECT_EQ(made.exit_code, 1);
    EXPECT_THAT(made.output, HasSubstr("modern lacks rows of public.later"));
    made = world().crossfade({"backfill", "--live", "--tables", "public.later"});
    EXPECT_EQ(made.exit_code, 0) << told(made);
    expect_flips();
    EXPECT_EQ(world().modern.value("SELECT count(*) FROM public.later"), "1");

    world().legacy.exec("DROP TABLE public.later");
    made = flip("modern");
    EXPECT_EQ(made.exit_code, 1);
    EXPECT_THAT(made.output, AllOf(HasSubstr("carried one way alone: public.later (not on legacy)"),
                                   HasSubstr("refused; nothing has changed")));
    EXPECT_EQ(rows(), "legacy 3 settled; legacy 3 settled");
    expect_writes();
    world().modern.exec("DROP TABLE public.later");
    expect_flips();
    expect_nothing_lost();
}

// A file system of its own, with room for some megabytes.
class small_disk {
  public:
    small_disk() {
        const auto* owner = ::getpwnam("postgres");
        mounted_ = owner != nullptr && ::mount("none", path().c_str(), "tmpfs", 0, "size=4m") == 0 &&
                   ::chown(path().c_str(), owner->pw_uid, owner->pw_gid) == 0;
    }
    // What still has files open there ends later.
    ~small_disk() {
        if (mounted_) ::umount2(path().c_str(), MNT_DETACH);
    }
    small_disk(const small_disk&) = delete;
    small_disk& operator=(const small_disk&) = delete;

    bool mounted() const { return mounted_; }
    const std::filesystem::path& path() const { return dir_.path(); }
    void fill() const {
        std::ofstream to{path() / "in_the_way"};
        const std::string block(4096, 'x');
        while (to.write(block.data(), static_cast<std::streamsize>(block.size())).flush()) {
        }
    }
    void make_room() const { std::filesystem::remove(path() / "in_the_way"); }

  private:
    support::temp_dir dir_;
    bool mounted_ = false;
};

TEST_F(flip_states, a_full_disk_on_the_new_side) {
    const small_disk disk;
    if (!disk.mounted()) GTEST_SKIP() << "a file system can't be mounted here";
    world().modern.exec("CREATE TABLESPACE small LOCATION '" + disk.path().string() + '\'');
    world().modern.exec("ALTER TABLE lines SET TABLESPACE small");
    const auto rows_that_need_room = [](const std::string& tag) {
        return "WITH o AS (INSERT INTO orders (tag) VALUES ('" + tag +
               "') RETURNING id) INSERT INTO lines (order_id, note) SELECT id, repeat('x', 500) FROM o, "
               "generate_series(1, 200)";
    };
    ASSERT_EQ(in_the_way(world()), "") << world().logs();
    armed_flip in_the_middle{world(), "modern", "flip.held:1:stop", {"--hold-max", "2000", "--wait", "0"}};
    ASSERT_TRUE(in_the_middle.arrives() && in_the_middle.running()) << in_the_middle.told();
    disk.fill();
    world().legacy.exec(rows_that_need_room("no room"));
    in_the_middle.go_on();
    EXPECT_EQ(in_the_middle.wait_exit(60s), 1) << in_the_middle.told();
    EXPECT_THAT(in_the_middle.told(), AllOf(HasSubstr("not done, and undone after 1 attempts: what was written on"
                                                      " legacy did not reach modern within 2000 ms"),
                                            HasSubstr("crossfade status says where it stands")));
    expect_as_before();
    expect_status("No space left on device");

    const auto made = flip("modern");
    EXPECT_EQ(made.exit_code, 1);
    EXPECT_THAT(made.output, AllOf(HasSubstr("a row from legacy was not applied on modern within 5 s"),
                                   HasSubstr("refused; nothing has changed")));
    expect_as_before();

    disk.make_room();
    expect_flips();
    expect_nothing_lost();
    expect_both_have("no room");
    world().modern.exec("ALTER TABLE lines SET TABLESPACE pg_default");
}

TEST_F(flip_states, a_slot_of_the_way_back_that_is_gone) {
    // What `crossfade status` sends to is init, and that says the rest.
    const auto begin_anew = [&] {
        expect_status("modern has no replication slot crossfade_app_back. Way out: run `crossfade init`");
        const auto refused = world().crossfade({"init"});
        EXPECT_EQ(refused.exit_code, 1);
        EXPECT_THAT(told(refused), AllOf(HasSubstr("legacy has progress but modern has no slot"),
                                         HasSubstr("while legacy is the authority: drop slot crossfade_app_back on"
                                                   " modern and topic crossfade.app_back.changes, delete the rows of"
                                                   " stream app_back from crossfade.progress on legacy")));
        support::delete_topic(world().broker.config(), "crossfade.app_back.changes");
        world().legacy.exec("DELETE FROM crossfade.progress WHERE stream = 'app_back'");
        const auto made = world().crossfade({"init"});
        EXPECT_EQ(made.exit_code, 0) << told(made);
    };
    drop_slot(world().modern, "crossfade_app_back");
    auto made = flip("modern");
    EXPECT_EQ(made.exit_code, 1);
    EXPECT_THAT(made.output, AllOf(HasSubstr("stream.app_back"), HasSubstr("was not applied on legacy within 5 s"),
                                   HasSubstr("refused; nothing has changed")));
    expect_as_before();
    begin_anew();
    ASSERT_EQ(in_the_way(world()), "") << world().logs();

    armed_flip in_the_middle{world(), "modern", "flip.held:1:stop", {"--hold-max", "10000", "--wait", "0"}};
    ASSERT_TRUE(in_the_middle.arrives() && in_the_middle.running()) << in_the_middle.told();
    drop_slot(world().modern, "crossfade_app_back");
    in_the_middle.go_on();
    EXPECT_EQ(in_the_middle.wait_exit(60s), 1) << in_the_middle.told();
    EXPECT_THAT(in_the_middle.told(), HasSubstr("the way back is gone: modern has no slot crossfade_app_back"));
    expect_as_before();
    begin_anew();
    expect_flips();
    expect_nothing_lost();
}

// What modern takes from then on does not come back, and to say so is all that can be done.
TEST_F(flip_states, a_slot_of_the_way_back_that_is_gone_too_late) {
    ASSERT_EQ(flip("modern", {"--hold-max", "3000"}).exit_code, 0);
    drop_slot(world().modern, "crossfade_app_back");
    auto made = flip("legacy", {"--force"});
    EXPECT_EQ(made.exit_code, 1);
    EXPECT_THAT(made.output, AllOf(HasSubstr("a row from modern was not applied on legacy within 5 s"),
                                   HasSubstr("refused; nothing has changed")));
    EXPECT_EQ(rows(), modern_settled);
    expect_writes();
    // Nor does it begin anew with a legacy that lacks rows, for the next flip to lose them.
    support::delete_topic(world().broker.config(), "crossfade.app_back.changes");
    world().legacy.exec("DELETE FROM crossfade.progress WHERE stream = 'app_back'");
    made = world().crossfade({"init"});
    EXPECT_EQ(made.exit_code, 1);
    EXPECT_THAT(told(made), HasSubstr("modern is the authority, and what it has taken since"));
    made = flip("legacy", {"--force"});
    EXPECT_EQ(made.exit_code, 1);
    EXPECT_THAT(made.output, HasSubstr("legacy has no progress of stream app_back"));
    EXPECT_EQ(rows(), modern_settled);
    expect_writes();
}

TEST_F(flip_states, a_slot_of_the_stream_that_is_gone) {
    armed_flip in_the_middle{world(), "modern", "flip.held:1:stop", {"--hold-max", "2000", "--wait", "0"}};
    ASSERT_TRUE(in_the_middle.arrives() && in_the_middle.running()) << in_the_middle.told();
    drop_slot(world().legacy, "crossfade_app");
    in_the_middle.go_on();
    EXPECT_EQ(in_the_middle.wait_exit(60s), 1) << in_the_middle.told();
    EXPECT_THAT(in_the_middle.told(), AllOf(HasSubstr("not done, and undone after 1 attempts: what was written on"
                                                      " legacy did not reach modern within 2000 ms"),
                                            HasSubstr("crossfade status says where it stands")));
    expect_as_before();

    auto made = flip("modern");
    EXPECT_EQ(made.exit_code, 1);
    EXPECT_THAT(made.output, AllOf(HasSubstr("a row from legacy was not applied on modern within 5 s"),
                                   HasSubstr("refused; nothing has changed")));
    expect_as_before();
    expect_status("waiting (legacy has no replication slot crossfade_app)");
    made = world().crossfade({"init"});
    EXPECT_EQ(made.exit_code, 1);
    EXPECT_THAT(told(made), AllOf(HasSubstr("modern has progress but legacy has no slot"),
                                  HasSubstr("crossfade backfill --resync")));
    made = world().crossfade({"backfill", "--resync"});
    EXPECT_EQ(made.exit_code, 0) << told(made);
    expect_flips();
    expect_nothing_lost();
}

}  // namespace
}  // namespace crossfade::chaos
