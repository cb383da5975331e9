// What is left of a flip whose maker, or one of whose databases, is no longer there: by the rows alone, with nobody who
// carries a stream (tests/chaos/flip_makers_test.cpp has all of it).
#include <gmock/gmock.h>
#include <signal.h>

#include <atomic>
#include <chrono>
#include <fstream>
#include <future>
#include <stop_token>
#include <thread>
#include <vector>

#include "lib/handover/carry_out.hpp"
#include "proxy/handover/authority_watch.hpp"
#include "tests/integration/changeover/two_rows.hpp"
#include "tests/support/eventually.hpp"

namespace crossfade::handover {
namespace {

using namespace std::chrono_literals;
using clock = std::chrono::steady_clock;
using settings::side;
using testing::HasSubstr;

const std::string legacy_settled = "legacy 1 settled; legacy 1 settled";
const std::string modern_settled = "modern 2 settled; modern 2 settled";

support::postgres_options nothing_but_what_is_asked_for() {
    return {.extra_settings = {"autovacuum=off", "wal_writer_delay=10s"}};
}

class left_flips : public test::two_rows {
  protected:
    left_flips() : two_rows{nothing_but_what_is_asked_for()} {}

    std::string rows() const {
        std::string both;
        for (const auto* each : {&legacy_, &modern_})
            both += (both.empty() ? "" : "; ") +
                    each->value("SELECT authority || ' ' || epoch || ' ' || state FROM crossfade.authority");
        return both;
    }
    // A flip to modern, begun `ago`, for which proxies hold for another `left`.
    void fenced(const std::string& left) const {
        legacy_.exec(
            "INSERT INTO crossfade.flips (stream, from_side, to_side, by_whom) VALUES ('app', 'legacy', 'modern', "
            "'test');"
            "UPDATE crossfade.authority SET state = 'fenced', flip = 1, fenced_at = '0/2000', moving = '{\"group\": "
            "\"\", \"tenant\": \"\"}', hold_until = clock_timestamp() + interval '" +
            left + "'; SELECT pg_notify('crossfade.authority', 'app')");
    }
    void decided(const std::string& ago) const {
        fenced("0");
        legacy_.exec(
            "UPDATE crossfade.flips SET outcome = 'done', epoch = 2;"
            "UPDATE crossfade.authority SET state = 'handed', epoch = 2, authority = 'modern', hold_until = NULL,"
            " updated_at = clock_timestamp() - interval '" +
            ago + "'; SELECT pg_notify('crossfade.authority', 'app')");
    }
    // Of the stream from legacy, on modern.
    void applied_to(const std::string& lsn) const {
        modern_.exec(
            "INSERT INTO crossfade.progress (stream, topic, partition, next_offset, system_identifier, timeline, "
            "commit_lsn, end_lsn) VALUES ('app', 'crossfade.app.changes', 0, 1, 1, 1, '0/1', '" +
            lsn + "') ON CONFLICT (stream, partition) DO UPDATE SET end_lsn = excluded.end_lsn");
    }
    pgclient::connection lock_on(const support::postgres_cluster& where) const {
        auto made = pgclient::connection::open(where.dsn(), {.application_name = "whoever makes it"}).value();
        made.exec("SELECT pg_advisory_lock($1::int, $2::int)", store::handover_lock_key("app")).value();
        return made;
    }
    static bool holds(const support::postgres_cluster& where) {
        return where.value("SELECT count(*) FROM pg_stat_activity WHERE application_name = 'whoever makes it'") != "0";
    }
};

// What cdc has committed there is seen before it is flushed, and a crash takes it away.
TEST_F(left_flips, one_that_was_decided_opens_when_modern_has_all_of_it) {
    applied_to("0/1000");
    decided("0");
    std::atomic<bool> waits{false};
    auto settling = std::async(std::launch::async, [&] {
        return settle(config(), [&](const std::string& said) {
            if (said.find("modern lacks") != std::string::npos) waits = true;
        });
    });
    ASSERT_TRUE(
        support::eventually(20s, [&] { return waits.load() || settling.wait_for(0s) == std::future_status::ready; }));
    EXPECT_EQ(rows(), "modern 2 handed; legacy 1 settled");
    modern_.exec("INSERT INTO crossfade.receipts (stream, xid, keys) VALUES ('app', 1, '{}')");
    applied_to("0/3000");
    EXPECT_EQ(settling.wait_for(500ms), std::future_status::timeout) << "with a transaction that legacy may not have";
    modern_.exec("DELETE FROM crossfade.receipts");
    EXPECT_EQ(settling.get(), leftover::finished);
    EXPECT_EQ(rows(), modern_settled);
}

TEST_F(left_flips, one_that_waits_for_modern_is_given_up_at_once) {
    applied_to("0/1000");
    decided("0");
    std::stop_source stopping;
    std::atomic<bool> waits{false};
    auto settling = std::async(std::launch::async, [&] {
        return settle(
            config(),
            [&](const std::string& said) {
                if (said.find("modern lacks") != std::string::npos) waits = true;
            },
            stopping.get_token());
    });
    ASSERT_TRUE(support::eventually(20s, [&] { return waits.load(); }));
    const auto asked = clock::now();
    stopping.request_stop();
    EXPECT_THROW(settling.get(), trouble);
    EXPECT_LT(clock::now() - asked, 10s);
}

// Here it comes to nothing behind that, as there is no way back.
TEST_F(left_flips, what_has_drained_is_flushed) {
    applied_to("0/1000");
    const auto flusher = std::stoi(modern_.value("SELECT pid FROM pg_stat_activity WHERE backend_type = 'walwriter'"));
    ASSERT_EQ(::kill(flusher, SIGSTOP), 0);
    auto flipping = std::async(std::launch::async, [&] {
        const order placed{.meant = {.to = side::modern, .before = {side::legacy, {}}, .after = {side::modern, {}}},
                           .scope = {},
                           .by = "test",
                           .program = "test",
                           .reason = "",
                           .forced = {},
                           .hold_max = 20s,
                           .patience = 0ms,
                           .give_up = {}};
        coordinator by{config(), [](const std::string&) {}};
        return by.claim() ? by.flip(placed) : report{};
    });
    EXPECT_TRUE(
        support::eventually(20s, [&] { return legacy_.value("SELECT state FROM crossfade.authority") == "fenced"; }));
    auto cdc = pgclient::connection::open(modern_.dsn(), {}).value();
    cdc.exec("SET synchronous_commit = off").value();
    cdc.exec("UPDATE crossfade.progress SET end_lsn = 'FFFFFFFF/0' WHERE stream = 'app'").value();
    const std::string written{cdc.exec("SELECT pg_current_wal_insert_lsn()").value().text(0, 0)};
    EXPECT_THAT(flipping.get().why, HasSubstr("the way back is gone"));
    EXPECT_EQ(modern_.value("SELECT pg_current_wal_flush_lsn() >= '" + written + "'::pg_lsn"), "t");
    ::kill(flusher, SIGCONT);
    EXPECT_EQ(rows(), legacy_settled);
}

// The one that is left doesn't know what the other one has decided.
TEST_F(left_flips, of_which_a_database_is_away_are_not_called_settled) {
    std::stop_source stopping;
    stopping.request_stop();
    const auto quiet = [](const std::string&) {};
    for (auto* away : {&legacy_, &modern_}) {
        away->stop();
        EXPECT_THROW(settle(config(), quiet, stopping.get_token()), trouble);
        away->start();
    }
    EXPECT_EQ(settle(config(), quiet, stopping.get_token()), leftover::none);
    // And writes go on where that can be had without the other one.
    fenced("0");
    modern_.stop();
    EXPECT_THROW(settle(config(), quiet, stopping.get_token()), trouble);
    EXPECT_EQ(legacy_.value("SELECT state FROM crossfade.authority"), "settled");
}

// Whoever makes it stands still, or his host is gone: his sessions and their locks live on.
TEST_F(left_flips, whose_maker_says_nothing_are_taken_from_him) {
    for (const bool done : {false, true}) {
        SCOPED_TRACE(done ? "decided" : "fenced");
        applied_to("0/3000");
        const auto first = lock_on(legacy_);
        const auto second = lock_on(modern_);
        done ? decided("1 minute") : fenced("-1 second");
        std::optional<leftover> made;
        const auto settles = [&] {
            made = settle(config(), [](const std::string&) {});
            return made.has_value();
        };
        ASSERT_TRUE(support::eventually(15s, settles));
        EXPECT_EQ(made, done ? leftover::finished : leftover::undone);
        EXPECT_EQ(rows(), done ? modern_settled : legacy_settled);
        EXPECT_FALSE(holds(legacy_) || holds(modern_));
        legacy_.exec("TRUNCATE crossfade.flips RESTART IDENTITY");
    }
}

TEST_F(left_flips, whose_maker_has_lost_one_of_his_sessions_are_taken_from_him) {
    fenced("-1 second");
    const auto only = lock_on(modern_);
    ASSERT_TRUE(support::eventually(15s, [&] { return settle(config(), [](const std::string&) {}).has_value(); }));
    EXPECT_EQ(rows(), legacy_settled);
    EXPECT_FALSE(holds(modern_));
}

TEST_F(left_flips, of_one_who_is_at_work_stay_his) {
    const auto idle_for_a_while = [&](const support::postgres_cluster& where) {
        return support::eventually(15s, [&] {
            return where.value(
                       "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'whoever makes it' AND"
                       " state = 'idle' AND state_change < clock_timestamp() - interval '2 seconds'") != "0";
        });
    };
    auto first = lock_on(legacy_);
    auto second = lock_on(modern_);
    ASSERT_TRUE(idle_for_a_while(legacy_) && idle_for_a_while(modern_));
    const auto settles = [&] { return settle(config(), [](const std::string&) {}).has_value(); };
    // Nothing is under way; it is, and proxies still hold for it; it is decided just now.
    EXPECT_FALSE(settles());
    fenced("1 minute");
    EXPECT_FALSE(settles());
    decided("0");
    EXPECT_FALSE(settles());
    // He undoes it, as long as that may take him.
    legacy_.exec(
        "UPDATE crossfade.authority SET epoch = 1, authority = 'legacy', state = 'fenced', hold_until = "
        "clock_timestamp()");
    auto works = std::async(std::launch::async, [&] { return first.exec("SELECT pg_sleep(1)").has_value(); });
    ASSERT_TRUE(support::eventually(10s, [&] {
        return legacy_.value("SELECT count(*) FROM pg_stat_activity WHERE wait_event = 'PgSleep'") == "1";
    }));
    EXPECT_FALSE(settles());
    EXPECT_TRUE(works.get());
    EXPECT_TRUE(holds(legacy_) && holds(modern_));
}

// Several are after it, and none takes another one for silent who waits for a side that hangs.
TEST_F(left_flips, are_undone_while_the_other_side_hangs) {
    const auto stopped = lock_on(legacy_);
    fenced("-1 second");
    pid_t postmaster = 0;
    std::ifstream{modern_.data_dir() / "postmaster.pid"} >> postmaster;
    ASSERT_GT(postmaster, 0);
    ASSERT_EQ(::kill(postmaster, SIGSTOP), 0);
    std::atomic<bool> over{false};
    std::vector<std::jthread> proxies;
    for (int each = 0; each < 3; ++each)
        proxies.emplace_back([&] {
            std::stop_source once;
            once.request_stop();
            while (!over) try {
                    settle(
                        config(), [](const std::string&) {}, once.get_token());
                } catch (const trouble&) {  // as modern is away
                }
        });
    const auto is_undone = [&] { return legacy_.value("SELECT state FROM crossfade.authority") == "settled"; };
    EXPECT_TRUE(support::eventually(60s, is_undone));
    over = true;
    ::kill(postmaster, SIGCONT);
}

// By the proxies themselves, with nobody's hand.
TEST_F(left_flips, whose_maker_says_nothing_hold_no_proxy) {
    applied_to("0/3000");
    prometheus::Registry metrics;
    std::atomic<int> held{0};
    std::atomic<int> let_go{0};
    proxy::handover::authority_watch watch{config(), "this one", metrics};
    ASSERT_TRUE(watch.first_look());
    watch.start({.hold = [&](const settings::flag_scope&) { ++held; },
                 .busy = []() -> std::optional<std::size_t> { return 0; },
                 .go_on = [&](const std::optional<settings::decision>&) { ++let_go; },
                 .rely = [](side, clock::time_point) {}});
    const auto first = lock_on(legacy_);
    const auto second = lock_on(modern_);
    fenced("4 seconds");
    ASSERT_TRUE(support::eventually(10s, [&] { return held == 1; }));
    ASSERT_TRUE(support::eventually(15s, [&] { return rows() == legacy_settled; }));
    EXPECT_TRUE(support::eventually(10s, [&] { return let_go == 1; }));
    legacy_.exec("TRUNCATE crossfade.flips RESTART IDENTITY");

    const auto third = lock_on(legacy_);
    const auto fourth = lock_on(modern_);
    decided("0");
    EXPECT_TRUE(support::eventually(15s, [&] { return rows() == modern_settled; }));
    EXPECT_TRUE(support::eventually(10s, [&] { return let_go == 2; }));
}

}  // namespace
}  // namespace crossfade::handover
