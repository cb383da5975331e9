// `crossfade backfill --live`: every table is copied once more while the application writes to it, and while who copies
// is killed at each step.
#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <condition_variable>
#include <cstdlib>
#include <mutex>
#include <random>
#include <thread>

#include "lib/pgclient/copy.hpp"
#include "tests/chaos/trial.hpp"
#include "tests/support/eventually.hpp"

namespace crossfade::chaos {
namespace {

using namespace std::chrono_literals;

struct passed_place {
    const char* name;
    unsigned most;  // how often it is passed, at least, until all tables are copied
};
// In the order in which they can come while the first tables are copied.
constexpr std::array passed{
    passed_place{"backfill.begun", 2},           passed_place{"backfill.chunk", 2},
    passed_place{"backfill.refetched", 1},       passed_place{"backfill.finishing", 3},
    passed_place{"backfill.chunk_committed", 9},
};

class live_backfill : public trial {
  protected:
    // As few clients as leave the machine time for copying, and with pauses: a backfill ends when the stream has come
    // to where it read, which a load that is more than crossfade-cdc can apply puts off for ever.
    static constexpr auto pause = 4ms;
    live_backfill() : trial(false, 2) {}

    static support::finished ask(const landscape& of, std::vector<std::string> more = {}) {
        more.insert(more.begin(), {"backfill", "--live", "--max-lag", "600"});
        return of.crossfade(std::move(more));
    }
    bool done() const {
        return world().modern.value("SELECT count(*) FROM crossfade.backfills WHERE state <> 'done'") == "0";
    }
    void copy_under_load(const std::string& what) {
        start_load(pause);
        ASSERT_TRUE(goes_on(200));
        const auto copied = ask(world(), {what});
        EXPECT_EQ(copied.exit_code, 0) << copied.output << copied.errors << world().logs();
        stop_load_and_check();
    }
};

TEST_F(live_backfill, copies_every_table_under_load) {
    copy_under_load("--again");
}

TEST_F(live_backfill, begins_the_stream_anew_under_load) {
    copy_under_load("--resync");
}

TEST_F(live_backfill, goes_on_where_it_was_killed) {
    const char* const seed_given = std::getenv("CROSSFADE_CHAOS_SEED");  // NOLINT(concurrency-mt-unsafe)
    const auto seed = seed_given != nullptr ? std::stoul(seed_given) : std::random_device{}();
    std::cout << "CROSSFADE_CHAOS_SEED=" << seed << '\n';
    std::mt19937 random{static_cast<std::uint32_t>(seed)};
    start_load(pause);
    ASSERT_TRUE(goes_on(200));
    ASSERT_EQ(ask(world(), {"--again", "--detach"}).exit_code, 0);
    for (const auto& place : passed) {
        const auto armed = std::string{place.name} + ':' + std::to_string(1 + random() % place.most);
        SCOPED_TRACE(armed);
        auto& cdc = world().cdc;
        cdc.kill9();
        cdc.start({{"CROSSFADE_FAILPOINT", armed}});
        // The last ones may not come any more.
        ASSERT_TRUE(support::eventually(240s, [&] { return !cdc.running() || done(); })) << world().logs();
        std::cout << armed << (cdc.running() ? ": not passed\n" : ": killed\n");
        cdc.kill9();
        cdc.start();
        ASSERT_TRUE(support::eventually(60s, [&] { return cdc.wait_ready(); }));
        if (done()) {
            ASSERT_EQ(ask(world(), {"--again", "--detach"}).exit_code, 0);
        }
    }
    const auto copied = ask(world());
    EXPECT_EQ(copied.exit_code, 0) << copied.output << copied.errors << world().logs();
    stop_load_and_check();
}

// Changes rows of `item` until it is stopped.
class item_clerk {
  public:
    item_clerk(const std::string& dsn, std::uint64_t rows)
        : db_(pgclient::connection::open(dsn, {}).value()), rows_(rows) {
        thread_ = std::jthread{[this](const std::stop_token& stopping) { run(stopping); }};
    }
    void stop() {
        thread_.request_stop();
        if (thread_.joinable()) thread_.join();
    }
    std::uint64_t changes() const { return changes_; }

  private:
    void run(const std::stop_token& stopping) {
        std::mt19937_64 random{11};
        for (auto next = rows_ + 1; !stopping.stop_requested();) {
            const auto id = std::to_string(1 + random() % rows_);
            const std::string statements[] = {
                "UPDATE public.item SET amount = amount + 1 WHERE id = " + id,
                "DELETE FROM public.item WHERE id = " + id,
                "INSERT INTO public.item VALUES (" + std::to_string(next++) + ", 1, 'new', repeat('x', 60))",
                "UPDATE public.item SET id = " + std::to_string(next++) + " WHERE id = " + id,
            };
            EXPECT_TRUE(db_.exec(statements[random() % std::size(statements)]));
            ++changes_;
            // An application with other things to do, too.
            std::unique_lock hold{mutex_};
            pause_.wait_for(hold, stopping, 2ms, [] { return false; });
        }
    }

    pgclient::connection db_;
    const std::uint64_t rows_;
    std::atomic<std::uint64_t> changes_ = 0;
    std::mutex mutex_;
    std::condition_variable_any pause_;
    std::jthread thread_;
};

std::uint64_t number_of(const char* variable, std::uint64_t otherwise) {
    const char* const given = std::getenv(variable);  // NOLINT(concurrency-mt-unsafe)
    return given == nullptr ? otherwise : std::stoull(given);
}

// As large as CROSSFADE_BACKFILL_ROWS says, with as many kills as CROSSFADE_BACKFILL_KILLS.
TEST_F(live_backfill, of_a_table_that_joins_later_is_whole_whoever_dies) {
    const auto rows = number_of("CROSSFADE_BACKFILL_ROWS", 100'000);
    const auto kills = number_of("CROSSFADE_BACKFILL_KILLS", 2);
    const std::string schema = "CREATE TABLE public.item (id bigint PRIMARY KEY, amount int, note text, filler text)";
    world().legacy.exec(schema);
    world().modern.exec(schema + "; CREATE TABLE public.plain (LIKE public.item INCLUDING ALL)");
    const auto many = std::to_string(rows);
    world().legacy.exec(
        "INSERT INTO public.item SELECT n, n % 1000, 'item ' || n, repeat('x', 60) FROM generate_series(1, " + many +
        ") n; ANALYZE public.item");
    world().watch("item");
    start_load(pause);
    const auto init = world().crossfade({"init"});
    ASSERT_EQ(init.exit_code, 0) << init.output << init.errors;
    item_clerk clerk{world().client_dsn(), rows};
    // Behind the rows above, which are in the WAL as well, there would be no stream beside the COPY.
    const auto here = world().legacy.value("SELECT pg_current_wal_insert_lsn()");
    ASSERT_TRUE(support::eventually(600s, [&] {
        return world().modern.value("SELECT bool_and(end_lsn >= '" + here + "') FROM crossfade.progress") == "t";
    })) << world().logs();

    const auto seconds = [](auto since) {
        return std::chrono::duration<double>(std::chrono::steady_clock::now() - since).count();
    };
    auto from = pgclient::connection::open(world().legacy.dsn(), {}).value();
    auto to = pgclient::connection::open(world().modern.dsn(), {}).value();
    auto began = std::chrono::steady_clock::now();
    const auto plain = pgclient::relay_copy(from, "COPY public.item TO STDOUT", to, "COPY public.plain FROM STDIN", {});
    ASSERT_TRUE(plain.fine()) << to_string(plain.source ? *plain.source : *plain.target);
    const auto by_copy = seconds(began);
    world().modern.exec("DROP TABLE public.plain");

    began = std::chrono::steady_clock::now();
    ASSERT_EQ(ask(world(), {"--detach", "--tables", "public.item"}).exit_code, 0);
    for (std::uint64_t kill = 1; kill <= kills; ++kill) {
        const auto reached =
            "SELECT count(*) FROM crossfade.backfills WHERE table_name = 'public.item' AND copied_rows >= " +
            std::to_string(rows * kill / (kills + 1));
        // By one connection: one for each look would take a good part of the machine from what is measured.
        ASSERT_TRUE(support::eventually(600s, [&] { return to.exec(reached)->text(0, 0) == "1"; })) << world().logs();
        world().cdc.kill9();
        world().cdc.start();
    }
    const auto copied = ask(world(), {"--tables", "public.item"});
    EXPECT_EQ(copied.exit_code, 0) << copied.output << copied.errors << world().logs();
    const auto live = seconds(began);
    clerk.stop();
    std::cout << rows << " rows under load: COPY " << by_copy << " s; beside the stream " << live << " s, " << kills
              << " kills, " << clerk.changes() << " changes of its rows\n";
    stop_load_and_check();
}

}  // namespace
}  // namespace crossfade::chaos
