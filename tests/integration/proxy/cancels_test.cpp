// Fault 6 at length: ten thousand cancels under load, and not one of them hits another than the session it was meant
// for.
#include <poll.h>

#include <array>
#include <atomic>
#include <thread>

#include "lib/pgwire/startup.hpp"
#include "tests/integration/proxy/proxy_before_postgres.hpp"
#include "tests/scripted/proxy/peer.hpp"

namespace crossfade::proxy::test {
namespace {

using namespace std::chrono_literals;

class cancels : public proxy_before_postgres {};

constexpr int cancelled_sessions = 12;
constexpr int cancels_each = 840;

// A query that says when it has begun, so that the cancel finds it at work.
constexpr auto sleep = "do $$ begin raise notice 'asleep'; perform pg_sleep(60); end $$";

// Whether the server has said so before `patience` is over.
bool told(const connection& session, const std::atomic<int>& notices, int before) {
    return support::eventually(30s, [&] {
        pollfd one{PQsocket(session.get()), POLLIN, 0};
        ::poll(&one, 1, 1000);
        PQconsumeInput(session.get());
        PQisBusy(session.get());  // parses what has come
        return notices > before;
    });
}

TEST_F(cancels, ten_thousand_under_load_find_no_wrong_victim) {
    std::vector<connection> sessions;
    for (int n = 0; n < cancelled_sessions; ++n) sessions.push_back(connect());
    // Who is hit by a stray cancel is told so.
    std::vector<connection> bystanders;
    for (int n = 0; n < 4; ++n) {
        bystanders.push_back(connect());
        ASSERT_EQ(PQsendQuery(bystanders.back().get(), "select pg_sleep(100000)"), 1);
    }
    std::atomic<bool> over{false};
    std::atomic<int> disturbed{0};
    std::atomic<int> cancelled{0};
    std::vector<std::thread> threads;
    for (int n = 0; n < 2; ++n) {
        threads.emplace_back([&over, &disturbed] {
            const auto busy = connect();
            while (!over) {
                const answer got{PQexec(busy.get(), "select count(*) from pg_class")};
                if (PQresultStatus(got.get()) != PGRES_TUPLES_OK) ++disturbed;
            }
        });
    }
    std::vector<std::thread> cancelling;
    for (int index = 0; index < cancelled_sessions; ++index) {
        cancelling.emplace_back([&, index] {
            const auto& own = sessions[static_cast<std::size_t>(index)];
            const auto& other = bystanders[static_cast<std::size_t>(index) % bystanders.size()];
            std::atomic<int> notices{0};
            PQsetNoticeReceiver(
                own.get(), [](void* count, const PGresult*) { ++*static_cast<std::atomic<int>*>(count); }, &notices);
            const std::unique_ptr<PGcancel, decltype(&PQfreeCancel)> handle{PQgetCancel(own.get()), &PQfreeCancel};
            for (int round = 0; round < cancels_each; ++round) {
                const int before = notices;
                PQsendQuery(own.get(), sleep);
                if (!told(own, notices, before)) return;
                if (round % 10 == 0) {
                    // Nearly a bystander's: the database finds that it isn't.
                    auto stranger = peer::connect(port_);
                    stranger.send(pgwire::build(pgwire::cancel_request{
                        static_cast<std::uint32_t>(PQbackendPID(other.get())), std::to_string(1000 + round)}));
                    stranger.expect_closed();
                }
                std::array<char, 256> why{};
                if (PQcancel(handle.get(), why.data(), why.size()) != 1) return;
                while (const answer got{PQgetResult(own.get())}) {
                    const char* state = PQresultErrorField(got.get(), PG_DIAG_SQLSTATE);
                    if (state != nullptr && std::string_view{state} == "57014") ++cancelled;
                }
            }
            PQsetNoticeReceiver(
                own.get(), [](void*, const PGresult*) {}, nullptr);
        });
    }
    for (auto& thread : cancelling) thread.join();
    over = true;
    for (auto& thread : threads) thread.join();

    EXPECT_EQ(cancelled, cancelled_sessions * cancels_each);
    EXPECT_EQ(disturbed, 0);
    EXPECT_EQ(postgres_->value("select count(*) from pg_stat_activity where query = 'select pg_sleep(100000)'"
                               " and wait_event = 'PgSleep'"),
              std::to_string(bystanders.size()));
    EXPECT_EQ(metric("crossfade_cancel_requests_total{result=\"forwarded\"}"), cancelled_sessions * cancels_each);
    EXPECT_EQ(metric("crossfade_cancel_requests_total{result=\"handed_on\"}"), cancelled_sessions * cancels_each / 10);
}

}  // namespace
}  // namespace crossfade::proxy::test
