#include <gtest/gtest.h>

#include <cmath>
#include <csignal>
#include <memory>

#include "lib/store/receipts.hpp"
#include "tests/chaos/landscape.hpp"
#include "tests/integration/stream/by_hand.hpp"
#include "tests/support/eventually.hpp"
#include "tests/support/http.hpp"

namespace crossfade {
namespace {

using namespace std::chrono_literals;

constexpr const char* schema = R"sql(
    CREATE TABLE items (id int PRIMARY KEY, note text, n int);
    CREATE TABLE trail (id int PRIMARY KEY, what text);
)sql";

// Whatever is done to items on modern, by whomever.
constexpr const char* history = R"sql(
    CREATE SCHEMA seen;
    CREATE TABLE seen.items (seq bigserial, id int, note text);
    CREATE FUNCTION seen.note() RETURNS trigger LANGUAGE plpgsql AS $$
        BEGIN INSERT INTO seen.items (id, note) VALUES (coalesce(NEW.id, OLD.id), coalesce(NEW.note, '-'));
              RETURN NULL; END $$;
    CREATE TRIGGER seen AFTER INSERT OR UPDATE OR DELETE ON public.items FOR EACH ROW EXECUTE FUNCTION seen.note();
    ALTER TABLE public.items ENABLE ALWAYS TRIGGER seen;
)sql";

// One landscape for all: each test has rows of its own.
class receipts : public testing::Test {
  protected:
    static void SetUpTestSuite() { begin("mirror"); }
    static void TearDownTestSuite() { world_.reset(); }
    static void begin(const std::string& strategy) {
        if (!support::kafka_broker::available()) return;
        world_ = std::make_unique<chaos::landscape>(chaos::landscape_options{
            .schema = schema, .strategy = strategy, .modern = {{"track_commit_timestamp=on"}}});
        world_->modern.exec(history);
    }

    void SetUp() override {
        if (!world_) GTEST_SKIP() << "no Kafka: script/bootstrap --kafka";
        healed_ = metric("crossfade_mirror_healed_rows_total");
        judged_ = metric("crossfade_mirror_judged_total");
        retries_ = metric("crossfade_apply_retries_total");
        ahead_ = metric(left_out);
        careful_ = metric("crossfade_apply_careful_batches_total");
    }

    // All is equal, no receipt is left, and nothing was found fault with.
    void expect_quiet_end() {
        EXPECT_EQ(world_->settle(30s), "") << world_->logs();
        EXPECT_TRUE(support::eventually(
            10s, [] { return world_->modern.value("SELECT count(*) FROM crossfade.receipts") == "0"; }));
        EXPECT_EQ(world_->complaints(), "");
        EXPECT_EQ(metric("crossfade_apply_retries_total"), retries_) << world_->cdc.log();
    }
    // What modern's row has been in turn, by its notes.
    static std::string seen(int id) {
        return world_->modern.value("SELECT string_agg(note, ' ' ORDER BY seq) FROM seen.items WHERE id = " +
                                    std::to_string(id));
    }
    static double metric(const std::string& name) {
        const auto value = support::sample_value(support::http_get(world_->cdc.admin_port(), "/metrics").body, name);
        return std::isnan(value) ? 0 : value;
    }
    // Counted a moment after the commit.
    bool judges(double transactions) {
        return support::eventually(5s, [&] { return judged() == transactions; });
    }
    double healed() { return metric("crossfade_mirror_healed_rows_total") - healed_; }
    double judged() { return metric("crossfade_mirror_judged_total") - judged_; }
    bool leaves_out(double rows) {
        return support::eventually(20s, [&] { return metric(left_out) - ahead_ >= rows; });
    }
    static bool waits_for_a_lock() {
        return support::eventually(20s, [] {
            return world_->modern.value(
                       "SELECT count(*) FROM pg_stat_activity WHERE application_name LIKE "
                       "'crossfade-cdc%' AND wait_event_type = 'Lock'") != "0";
        });
    }
    static void hold() { world_->cdc.signal(SIGSTOP); }
    static void go_on() { world_->cdc.signal(SIGCONT); }
    static mirrored mirror(const std::string& sql, const std::vector<std::string>& ids) {
        return {*world_, sql, sql, ids};
    }

    static inline std::unique_ptr<chaos::landscape> world_;
    static constexpr const char* left_out = "crossfade_events_skipped_total{reason=\"mirrored-ahead\"";
    double healed_ = 0;
    double judged_ = 0;
    double retries_ = 0;
    double ahead_ = 0;
    double careful_ = 0;
};

TEST_F(receipts, are_taken_and_what_is_right_is_left_alone) {
    mirror("INSERT INTO public.items VALUES (100, 'new', 1), (101, 'b', NULL)", {"100", "101"}).commit();
    expect_quiet_end();
    mirror("UPDATE public.items SET note = 'changed' WHERE id = 100", {"100"}).commit();
    mirror("DELETE FROM public.items WHERE id = 101", {"101"}).commit();
    expect_quiet_end();
    EXPECT_EQ(seen(100), "new changed");
    EXPECT_EQ(seen(101), "b -");
    EXPECT_EQ(metric("crossfade_apply_careful_batches_total"), careful_);
    EXPECT_TRUE(judges(3));
    EXPECT_EQ(healed(), 0);
}

TEST_F(receipts, heal_what_is_not_as_it_should_be) {
    world_->legacy.exec("INSERT INTO public.items VALUES (203, 'goes', 1)");
    expect_quiet_end();
    mirrored{*world_,
             "INSERT INTO public.items VALUES (200, 'right', 1), (201, 'missing', 2), (202, 'good', 3);"
             "DELETE FROM public.items WHERE id = 203",
             "INSERT INTO public.items VALUES (200, 'wrong', 1), (202, 'good', 3)",
             {"200", "201", "202", "203"}}
        .commit();
    expect_quiet_end();
    EXPECT_TRUE(support::eventually(5s, [&] { return healed() == 3; }));
    EXPECT_EQ(seen(202), "good");
}

// Legacy has answered, and what it says is in the topic before the proxy has come to the other side.
TEST_F(receipts, are_waited_for) {
    auto slow = mirror("INSERT INTO public.items VALUES (300, 'slow', 1)", {"300"});
    slow.commit_on_legacy();
    ASSERT_TRUE(waits_for_a_lock());
    const auto began = std::chrono::steady_clock::now();
    EXPECT_FALSE(support::eventually(1500ms, [] { return world_->difference().empty(); }));
    EXPECT_GE(std::chrono::steady_clock::now() - began, 1500ms);
    slow.commit_on_modern();
    expect_quiet_end();
    EXPECT_EQ(seen(300), "slow");
    EXPECT_TRUE(judges(1));
    EXPECT_EQ(healed(), 0);
}

TEST_F(receipts, of_one_row_never_take_it_back) {
    mirror("INSERT INTO public.items VALUES (400, 'zero', 1)", {"400"}).commit();
    expect_quiet_end();
    hold();
    mirror("UPDATE public.items SET note = 'one' WHERE id = 400", {"400"}).commit();
    mirror("UPDATE public.items SET note = 'two' WHERE id = 400", {"400"}).commit();
    go_on();
    expect_quiet_end();
    EXPECT_EQ(seen(400), "zero one two");
    EXPECT_TRUE(judges(3));
    EXPECT_EQ(healed(), 0);
}

TEST_F(receipts, of_one_row_never_take_it_back_in_batches_of_their_own) {
    mirror("INSERT INTO public.items VALUES (410, 'zero', 1)", {"410"}).commit();
    expect_quiet_end();
    hold();
    mirror("UPDATE public.items SET note = 'one' WHERE id = 410", {"410"}).commit();
    auto last = mirror("UPDATE public.items SET note = 'two' WHERE id = 410", {"410"});
    last.commit_on_modern();
    go_on();
    ASSERT_TRUE(leaves_out(1)) << world_->logs();
    last.commit_on_legacy();
    expect_quiet_end();
    EXPECT_EQ(seen(410), "zero one two");
    EXPECT_TRUE(judges(3));
    EXPECT_EQ(healed(), 0);
}

// What others bring about on legacy comes by later than what is mirrored on top of it.
struct later_change {
    const char* name;
    int id;
    const char* on_legacy;
    const char* on_modern;
    const char* seen;
};
void PrintTo(const later_change& of, std::ostream* out) {
    *out << of.name;
}

class on_top : public receipts, public testing::WithParamInterface<later_change> {
  protected:
    // Of a row that only legacy has.
    mirrored on_a_new_row(int id) {
        const auto number = std::to_string(id);
        hold();
        world_->legacy.exec("INSERT INTO public.items VALUES (" + number + ", 'earlier', 1)");
        const auto with_id = [&](std::string sql) { return sql.replace(sql.find('$'), 1, number); };
        return {*world_, with_id(GetParam().on_legacy), with_id(GetParam().on_modern), {number}};
    }
};

TEST_P(on_top, of_what_comes_in_the_same_batch) {
    on_a_new_row(GetParam().id).commit();
    go_on();
    expect_quiet_end();
    EXPECT_EQ(seen(GetParam().id), GetParam().seen);
    EXPECT_EQ(healed(), 0);
}

// The later one's commit on legacy is late, as seen from the topic.
TEST_P(on_top, of_what_comes_in_a_batch_of_its_own) {
    const int id = GetParam().id + 10;
    auto on_its_way = on_a_new_row(id);
    on_its_way.commit_on_modern();
    go_on();
    ASSERT_TRUE(leaves_out(1)) << world_->logs();
    on_its_way.commit_on_legacy();
    expect_quiet_end();
    EXPECT_EQ(seen(id), GetParam().seen);
    EXPECT_EQ(healed(), 0);
}

INSTANTIATE_TEST_SUITE_P(
    receipts, on_top,
    testing::Values(later_change{"update", 500, "UPDATE public.items SET note = 'later' WHERE id = $",
                                 "INSERT INTO public.items VALUES ($, 'later', 1) ON CONFLICT (id) DO UPDATE SET note "
                                 "= 'later', n = 1",
                                 "later"},
                    later_change{"remove", 501, "DELETE FROM public.items WHERE id = $",
                                 "DELETE FROM public.items WHERE id = $", ""}),
    [](const auto& each) { return std::string{each.param.name}; });

TEST_F(receipts, that_never_were_leave_all_to_the_stream) {
    auto failed = mirror("INSERT INTO public.items VALUES (600, 'streamed', 1)", {"600"});
    failed.commit_on_legacy();
    failed.roll_back_on_modern();
    expect_quiet_end();
    EXPECT_TRUE(judges(0));
    EXPECT_EQ(healed(), 0);
    EXPECT_EQ(world_->modern.value("SELECT note FROM public.items WHERE id = 600"), "streamed");
}

// The row is as a proxy left it, which is no stranger.
TEST_F(receipts, are_what_later_changes_go_by) {
    mirror("INSERT INTO public.items VALUES (700, 'one', 1), (701, 'one', 1)", {"700", "701"}).commit();
    world_->legacy.exec("UPDATE public.items SET note = 'two' WHERE id = 700; DELETE FROM public.items WHERE id = 701");
    expect_quiet_end();
    hold();
    mirror("UPDATE public.items SET note = 'three' WHERE id = 700", {"700"}).commit();
    mirror("INSERT INTO public.items VALUES (701, 'three', 1)", {"701"}).commit();
    world_->legacy.exec(
        "UPDATE public.items SET note = 'four' WHERE id = 700; DELETE FROM public.items WHERE id = 701");
    go_on();
    expect_quiet_end();
    EXPECT_EQ(seen(700), "one two three four");
    EXPECT_EQ(seen(701), "one - three -");
    EXPECT_EQ(healed(), 0);
}

TEST_F(receipts, are_about_two_rows_where_one_moves) {
    world_->legacy.exec("INSERT INTO public.items VALUES (800, 'moves', 1), (810, 'moves', 1), (820, 'moves', 1)");
    expect_quiet_end();
    hold();
    mirrored{*world_,
             "UPDATE public.items SET id = 801 WHERE id = 800",
             "DELETE FROM public.items WHERE id = 800; INSERT INTO public.items VALUES (801, 'moves', 1)",
             {"800", "801"}}
        .commit();
    // Before one that is mirrored, on either side.
    world_->legacy.exec("UPDATE public.items SET id = 811 WHERE id = 810");
    mirror("INSERT INTO public.items VALUES (810, 'new', 1) ON CONFLICT (id) DO UPDATE SET note = 'new'", {"810"})
        .commit();
    world_->legacy.exec("UPDATE public.items SET id = 821 WHERE id = 820");
    mirrored{*world_,
             "UPDATE public.items SET note = 'moved' WHERE id = 821",
             "INSERT INTO public.items VALUES (821, 'moved', 1)",
             {"821"}}
        .commit();
    go_on();
    expect_quiet_end();
    EXPECT_EQ(seen(801), "moves");
    EXPECT_EQ(seen(810), "moves new");
    EXPECT_EQ(seen(821), "moved");
    EXPECT_EQ(healed(), 0);
}

// The applier waits for the row's lock and would then write over what had it.
TEST_F(receipts, that_come_while_a_batch_is_written_have_it_written_anew) {
    world_->legacy.exec("INSERT INTO public.items VALUES (900, 'zero', 1)");
    expect_quiet_end();
    hold();
    world_->legacy.exec("UPDATE public.items SET note = 'one' WHERE id = 900");
    auto racing = mirror("UPDATE public.items SET note = 'two' WHERE id = 900", {"900"});
    go_on();
    ASSERT_TRUE(waits_for_a_lock());
    racing.commit_on_modern();
    ASSERT_TRUE(leaves_out(1)) << world_->logs();
    racing.commit_on_legacy();
    expect_quiet_end();
    EXPECT_EQ(seen(900), "zero two");
    EXPECT_EQ(healed(), 0);
}

// What isn't among its rows is the stream's.
TEST_F(receipts, say_nothing_of_rows_that_legacys_triggers_write) {
    world_->legacy.exec(
        "CREATE FUNCTION trail_it() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN INSERT INTO public.trail VALUES"
        " (NEW.id, TG_OP); RETURN NULL; END $$;"
        "CREATE TRIGGER trailed AFTER INSERT ON public.items FOR EACH ROW WHEN (NEW.id = 1000)"
        " EXECUTE FUNCTION trail_it()");
    mirror("INSERT INTO public.items VALUES (1000, 'trailed', 1)", {"1000"}).commit();
    expect_quiet_end();
    EXPECT_EQ(world_->modern.value("SELECT what FROM public.trail WHERE id = 1000"), "INSERT");
    EXPECT_TRUE(judges(1));
    EXPECT_EQ(healed(), 0);
}

// Its receipt and the progress go together.
TEST_F(receipts, outlive_whoever_takes_them) {
    hold();
    mirror("INSERT INTO public.items VALUES (1100, 'once', 1)", {"1100"}).commit();
    world_->cdc.kill9();
    EXPECT_EQ(world_->modern.value("SELECT count(*) FROM crossfade.receipts"), "1");
    world_->cdc.start();
    ASSERT_TRUE(world_->cdc.wait_ready(60s));
    retries_ = metric("crossfade_apply_retries_total");
    expect_quiet_end();
    EXPECT_EQ(seen(1100), "once");
}

// A proxy has read its configuration before crossfade-cdc has.
// A failover may take away what legacy had committed last. What becomes of the row later must not be left out for it.
TEST_F(receipts, of_transactions_that_legacy_has_lost_are_given_up) {
    world_->legacy.exec("INSERT INTO public.items (id, note) VALUES (1201, 'so that the stream knows the time')");
    ASSERT_EQ(world_->settle(30s), "");
    world_->kill(chaos::victim::cdc);
    const std::vector<std::pair<std::string_view, std::string_view>> key{{"id", "1200"}};
    world_->modern.exec(
        "INSERT INTO crossfade.receipts (stream, xid, keys, mirrored_at) VALUES ('app', 4000000000, '{" +
        std::to_string(store::row_mark({"public", "items"}, key)) + "}', now() - interval '1 hour')");
    world_->legacy.exec("INSERT INTO public.items (id, note) VALUES (1200, 'x')");
    world_->revive(chaos::victim::cdc);
    EXPECT_EQ(world_->settle(30s), "") << world_->logs();
    EXPECT_EQ(world_->modern.value("SELECT count(*) FROM crossfade.receipts"), "0");
    EXPECT_EQ(metric("crossfade_mirror_given_up_total"), 1);
    EXPECT_EQ(world_->complaints(), "");
}

// The new primary gives the number once more, and the stream comes by another transaction than the receipt is of.
TEST_F(receipts, of_lost_transactions_whose_number_another_has_are_given_up) {
    constexpr const char* given_up = "crossfade_mirror_given_up_total";
    const auto before = metric(given_up);
    world_->legacy.exec("INSERT INTO public.items VALUES (1301, 'had by both', 1)");
    ASSERT_EQ(world_->settle(30s), "");
    mirrored{
        *world_,
        "INSERT INTO public.items VALUES (1302, 'new', 1)",
        "INSERT INTO public.items VALUES (1300, 'phantom', 1); UPDATE public.items SET note = 'lost' WHERE id = 1301",
        {"1300", "1301"}}
        .commit();
    EXPECT_TRUE(support::eventually(20s, [&] { return metric(given_up) == before + 1; })) << world_->logs();
    // What is left of it is found by a comparison.
    EXPECT_EQ(world_->modern.value("SELECT note FROM public.items WHERE id = 1302"), "new");
    EXPECT_EQ(world_->modern.value("SELECT count(*) FROM crossfade.receipts"), "0");
    world_->modern.exec("DELETE FROM public.items WHERE id = 1300");
    world_->modern.exec("UPDATE public.items SET note = 'had by both' WHERE id = 1301");
    EXPECT_EQ(world_->settle(30s), "");
    // Of a row that is written twice, and of two that one becomes, all is in the stream.
    mirrored{*world_,
             "INSERT INTO public.items VALUES (1310, 'a', 1); UPDATE public.items SET note = 'b' WHERE id = 1310;"
             "DELETE FROM public.items WHERE id = 1310; UPDATE public.items SET note = note WHERE id = 1302",
             "UPDATE public.items SET note = 'new' WHERE id = 1302",
             {"1310", "1302"}}
        .commit();
    EXPECT_TRUE(judges(2));
    EXPECT_EQ(metric(given_up), before + 1);
}

class receipts_that_nobody_told_of : public receipts {
  protected:
    static void SetUpTestSuite() { begin("legacy-primary"); }
};

TEST_F(receipts_that_nobody_told_of, are_found) {
    mirror("INSERT INTO public.items VALUES (1, 'one', 1)", {"1"}).commit();
    expect_quiet_end();
    EXPECT_EQ(seen(1), "one");
    EXPECT_TRUE(judges(1));
    EXPECT_EQ(healed(), 0);
}

}  // namespace
}  // namespace crossfade
