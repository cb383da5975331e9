// The whole front at work at once: long and short sessions, in the clear and under TLS, cancels, reloads, pauses,
// kills, and an operator who looks. CROSSFADE_SOAK_SECONDS is how long; under a sanitizer it is what finds races.
#include <atomic>
#include <iostream>
#include <thread>

#include "tests/integration/console/operators_console.hpp"
#include "tests/support/certificates.hpp"
#include "tests/support/configured.hpp"

namespace crossfade::proxy::test {
namespace {

using namespace std::chrono_literals;
using testing::HasSubstr;
using testing::Not;

std::chrono::seconds duration() {
    return std::chrono::seconds{support::configured("CROSSFADE_SOAK_SECONDS", 8)};
}

class soak : public operators_console {
  protected:
    void SetUp() override {
        const auto made =
            support::run({(postgres_->bin_dir() / "pgbench").string(), "-i", "-q", "-s", "1", postgres_->dsn()});
        ASSERT_EQ(made.exit_code, 0) << made.errors;
        restart("pause_wait: 5s", keys("1h"));
    }
    static std::string keys(const std::string& idle_timeout) {
        static const support::certificate_authority authority{"soak"};
        static const auto files = authority.issue("proxy", "DNS:localhost,IP:127.0.0.1");
        return "threads: 2, max_sessions: 60, pause_max: 1m, idle_timeout: " + idle_timeout +
               ", tls: { mode: prefer, cert_file: " + files.cert + ", key_file: " + files.key + " }";
    }
    support::child_process pgbench(const std::string& name, const std::string& encryption,
                                   const std::vector<std::string>& how) const {
        std::vector<std::string> argv{(postgres_->bin_dir() / "pgbench").string(), "-n", "-T",
                                      std::to_string(duration().count())};
        argv.insert(argv.end(), how.begin(), how.end());
        argv.push_back(conninfo("user=crossfade sslmode=" + encryption));
        return support::child_process{{.argv = argv, .log = dir_.path() / name}};
    }
    // A client of its own kind: asks for what it cancels, until it is over.
    void cancel_again_and_again() {
        while (!over_) {
            const auto session = connect();
            PQsendQuery(session.get(), "select pg_sleep(60)");
            ASSERT_TRUE(support::eventually(30s, [&] {
                const std::unique_ptr<PGcancel, decltype(&PQfreeCancel)> handle{PQgetCancel(session.get()),
                                                                                &PQfreeCancel};
                std::array<char, 256> why{};
                PQcancel(handle.get(), why.data(), why.size());
                PQconsumeInput(session.get());
                return PQisBusy(session.get()) == 0;
            }));
            while (const answer got{PQgetResult(session.get())})
                EXPECT_STREQ(PQresultErrorField(got.get(), PG_DIAG_SQLSTATE), "57014");
            ++cancelled_;
        }
    }
    void kill_again_and_again() {
        const auto operators = console();
        while (!over_) {
            const auto victim = connect();
            const auto id = session(operators, value(victim, "select pg_backend_pid()"), "id");
            EXPECT_EQ(sqlstate(operators, "KILL " + id), "") << PQerrorMessage(operators.get());
            ASSERT_TRUE(support::eventually(30s, [&] {
                PQexec(victim.get(), "select 1");
                return PQstatus(victim.get()) == CONNECTION_BAD;
            }));
            ++killed_;
        }
    }
    void look_and_pause_again_and_again() {
        const auto operators = console();
        while (!over_) {
            for (const auto* what : {"SHOW SESSIONS", "SHOW STATS", "SHOW POOLS", "SHOW CONFIG", "PAUSE", "RESUME"})
                EXPECT_EQ(sqlstate(operators, what), "") << what << ": " << PQerrorMessage(operators.get());
            ++paused_;
        }
    }

    support::temp_dir dir_;
    std::atomic<bool> over_{false};
    std::atomic<int> cancelled_{0};
    std::atomic<int> killed_{0};
    std::atomic<int> paused_{0};
};

TEST_F(soak, nobody_is_disturbed_but_who_is_meant) {
    struct client {
        std::string name;
        std::string encryption;
        std::vector<std::string> how;
    };
    const std::vector<client> clients{
        {"prepared", "disable", {"-S", "-M", "prepared", "-c", "4"}},
        {"encrypted", "require", {"-N", "-M", "extended", "-c", "2"}},
        {"reconnecting", "disable", {"-S", "-M", "simple", "-C", "-c", "2"}},
        {"reconnecting_encrypted", "require", {"-S", "-M", "simple", "-C", "-c", "2"}},
    };
    std::vector<support::child_process> running;
    for (const auto& each : clients) running.push_back(pgbench(each.name, each.encryption, each.how));
    std::vector<std::thread> threads;
    threads.emplace_back([this] { cancel_again_and_again(); });
    threads.emplace_back([this] { kill_again_and_again(); });
    threads.emplace_back([this] { look_and_pause_again_and_again(); });

    const auto yaml = support::read_file(proxy_->config_path());
    int reloads = 0;
    while (running.front().running()) {
        auto changed = yaml;
        const std::string is = "idle_timeout: 1h";
        changed.replace(changed.find(is), is.size(), "idle_timeout: " + std::to_string(60 + reloads % 2) + "m");
        proxy_->configure(changed);
        EXPECT_EQ(support::http_post(proxy_->admin_port(), "/-/reload").status, 200U);
        ++reloads;
    }
    over_ = true;
    for (auto& thread : threads) thread.join();
    for (std::size_t index = 0; index < clients.size(); ++index) {
        EXPECT_EQ(running[index].wait_exit(60s), 0);
        const auto told = support::read_file(dir_.path() / clients[index].name);
        EXPECT_THAT(told, HasSubstr("number of failed transactions: 0 ")) << clients[index].name << told;
    }
    std::cout << duration().count() << " s: " << cancelled_ << " cancels, " << killed_ << " kills, " << paused_
              << " pauses, " << reloads << " reloads\n";
    EXPECT_GT(cancelled_, 0);
    EXPECT_GT(killed_, 0);
    EXPECT_GT(paused_, 0);
    EXPECT_EQ(proxy_->stop(), 0) << proxy_->log();
    EXPECT_THAT(proxy_->log(), Not(HasSubstr("Sanitizer")));
}

}  // namespace
}  // namespace crossfade::proxy::test
