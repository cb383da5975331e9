#pragma once

#include <gmock/gmock.h>
#include <libpq-fe.h>
#include <prometheus/registry.h>

#include <atomic>
#include <boost/asio/io_context.hpp>
#include <boost/asio/post.hpp>
#include <functional>
#include <future>
#include <memory>
#include <string>
#include <thread>

#include "lib/settings/load.hpp"
#include "lib/settings/reload.hpp"
#include "lib/telemetry/metrics.hpp"
#include "proxy/frontend/front.hpp"
#include "tests/integration/proxy/proxy_before_postgres.hpp"

namespace crossfade::proxy::test {

// The proxy's front, run here, before two PostgreSQL servers whose authority is changed as a flip does it.
class front_of_two {
  public:
    // `more`: further keys of the section proxy; `legacy`, `modern`: dsns; `groups`: the section of that name.
    front_of_two(const std::string& legacy, const std::string& modern, const std::string& strategy,
                 const std::string& more, const std::string& groups = "{}") {
        port_ = support::free_port();
        const auto yaml = "legacy: { dsn: \"" + legacy + "\" }\nmodern: { dsn: \"" + modern +
                          "\" }\nkafka: { brokers: \"127.0.0.1:9\" }\n" +
                          "stream: { name: app, tables: [\"public.*\"], both_ways: true }\n" +
                          "flags: { dual_write_strategy: " + strategy + " }\ngroups: " + groups + "\n" +
                          "proxy: { listen: \"127.0.0.1:" + std::to_string(port_) + "\", threads: 2, capture: false" +
                          (more.empty() ? "" : ", " + more) + " }\n";
        auto read = settings::parse(yaml, "test.yaml", [](std::string_view) { return std::nullopt; });
        if (!read) throw std::runtime_error(to_string(read.error().problems.front()));
        of_file_ = std::move(*read);
        in_force_ = std::make_shared<const settings::in_force>(settings::in_force{of_file_, 1});
        front_ = std::make_unique<frontend::front>(
            home_, [this] { return std::atomic_load(&in_force_); }, registry_);
        front_->read_by(view_);
        front_->start();
        thread_ = std::thread{[this] {
            const auto work = boost::asio::make_work_guard(home_);
            home_.run();
        }};
    }
    ~front_of_two() {
        home_.stop();
        thread_.join();
    }

    void hold() {
        console::hold_set all;
        all.add({.what = {}, .since = {}, .until = console::instant::max(), .by = "test"});
        do_at_home([&] { front_->hold(std::move(all)); });
    }
    void let_go() {
        do_at_home([&] { front_->hold({}); });
    }
    void decide(settings::side authority) { decide(settings::assignment{authority}); }
    void decide(const settings::assignment& authorities) {
        auto next = of_file_;
        next.flags = next.flags.under(authorities);
        take(std::move(next));
    }
    // As by a reload.
    void read_by(settings::read_strategy strategy) {
        auto flags = of_file_.flags.defaults();
        flags.hybrid_read_strategy = strategy;
        of_file_.flags = {flags, of_file_.flags.groups(), of_file_.flags.tenants()};
        take(of_file_);
    }
    // What sessions believe of modern.
    reading::follower_view& view() { return view_; }
    void flip(settings::side to) {
        hold();
        decide(to);
        let_go();
    }

    std::vector<console::session_facts> sessions() {
        std::promise<std::vector<console::session_facts>> told;
        boost::asio::post(home_, [&] { front_->list_sessions([&told](auto all) { told.set_value(std::move(all)); }); });
        return told.get_future().get();
    }
    double metric(const std::string& sample) {
        front_->update_metrics();
        return support::sample_value(telemetry::exposition(registry_), sample);
    }
    double moved(const std::string& result = "moved") {
        return metric("crossfade_sessions_moved_total{result=\"" + result + "\"}");
    }
    std::uint16_t port() const { return port_; }

  private:
    void take(settings::configuration next) {
        const auto now = std::atomic_load(&in_force_);
        std::atomic_store(&in_force_, settings::snapshot{std::make_shared<const settings::in_force>(
                                          settings::in_force{std::move(next), now->epoch + 1})});
        front_->reloaded();
    }
    void do_at_home(const std::function<void()>& what) {
        std::promise<void> done;
        boost::asio::post(home_, [&] {
            what();
            done.set_value();
        });
        done.get_future().wait();
    }

    boost::asio::io_context home_;
    prometheus::Registry registry_;
    reading::follower_view view_;
    settings::configuration of_file_;
    settings::snapshot in_force_;
    std::uint16_t port_ = 0;
    std::unique_ptr<frontend::front> front_;
    std::thread thread_;
};

// Two servers for all tests of a binary, with the same objects but for what says where one is.
class two_sides : public testing::Test {
  protected:
    static constexpr auto legacy_side = settings::side::legacy;
    static constexpr auto modern_side = settings::side::modern;

    static void SetUpTestSuite() {
        if (!support::postgres_cluster::available()) GTEST_SKIP() << "no PostgreSQL server here";
        legacy_ = std::make_unique<support::postgres_cluster>(options());
        modern_ = std::make_unique<support::postgres_cluster>(options());
        legacy_->start();
        modern_->start();
        modern_->exec("CREATE DATABASE app_modern", "postgres");
        legacy_->exec(objects("legacy"), "app");
        // So that OIDs differ.
        modern_->exec("CREATE TYPE early AS ENUM ('x'); CREATE ROLE nobody", "app_modern");
        modern_->exec(objects("modern"), "app_modern");
    }
    static void TearDownTestSuite() {
        legacy_.reset();
        modern_.reset();
    }
    void TearDown() override { front_.reset(); }

    void start(const std::string& strategy = "legacy-primary", const std::string& more = {},
               const std::string& groups = "{}") {
        front_.reset();
        front_ =
            std::make_unique<front_of_two>(legacy_->dsn("app") + "?sslmode=disable",
                                           modern_->dsn("app_modern") + "?sslmode=disable", strategy, more, groups);
    }

    // `other`, beside the one that moves; once in a suite.
    static void make_other_databases() {
        for (const auto& [name, server] : {std::pair{"legacy", legacy_.get()}, {"modern", modern_.get()}}) {
            server->exec("CREATE DATABASE other", "postgres");
            server->exec("CREATE TABLE side AS SELECT '" + std::string{name} + "' AS name", "other");
        }
    }

    std::string conninfo(const std::string& more = {}) const {
        return "host=127.0.0.1 dbname=app user=crossfade port=" + std::to_string(front_->port()) + " " + more;
    }
    connection connect(const std::string& more = {}) const {
        connection made{PQconnectdb(conninfo(more).c_str())};
        EXPECT_EQ(PQstatus(made.get()), CONNECTION_OK) << PQerrorMessage(made.get());
        return made;
    }
    // The one value, or the SQLSTATE of an error.
    static std::string outcome(const answer& of) {
        if (PQresultStatus(of.get()) == PGRES_COMMAND_OK) return {};
        if (PQresultStatus(of.get()) == PGRES_TUPLES_OK)
            return PQntuples(of.get()) == 0 ? "no row" : PQgetvalue(of.get(), 0, 0);
        const char* state = PQresultErrorField(of.get(), PG_DIAG_SQLSTATE);
        return state == nullptr ? PQresultErrorMessage(of.get()) : state;
    }
    static std::string run(const connection& on, const std::string& sql) {
        return outcome(answer{PQexec(on.get(), sql.c_str())});
    }
    static std::string where(const connection& is) { return run(is, "SELECT name FROM side"); }
    // Of what was sent without waiting.
    static std::string received(const connection& on) {
        std::string last;
        while (const answer got{PQgetResult(on.get())}) last = outcome(got);
        return last;
    }
    // To a session that may have ended; empty when there were none.
    static std::string last_words(const connection& to) {
        PQsendQuery(to.get(), "SELECT 1");  // or finds out that it has
        std::string said;
        while (const answer got{PQgetResult(to.get())}) {
            const char* state = PQresultErrorField(got.get(), PG_DIAG_SQLSTATE);
            const char* hint = PQresultErrorField(got.get(), PG_DIAG_MESSAGE_HINT);
            if (state != nullptr)
                said += std::string{state} + ' ' + PQresultErrorField(got.get(), PG_DIAG_MESSAGE_PRIMARY) + " | " +
                        (hint == nullptr ? "" : hint);
        }
        return said;
    }
    bool become(const std::string& result, double count) {
        return support::eventually(std::chrono::seconds{20}, [&] { return front_->moved(result) == count; });
    }
    bool moved(double count) { return become("moved", count); }

    static inline std::unique_ptr<support::postgres_cluster> legacy_;
    static inline std::unique_ptr<support::postgres_cluster> modern_;
    std::unique_ptr<front_of_two> front_;

  private:
    static support::postgres_options options() {
        return {.extra_settings = {"max_connections=300", "max_prepared_transactions=2"}};
    }
    static std::string objects(const std::string& name) {
        return "CREATE TABLE side AS SELECT '" + name +
               "' AS name; CREATE TABLE accounts (id int PRIMARY KEY, balance int NOT NULL);"
               "INSERT INTO accounts SELECT n, 0 FROM generate_series(1, 100) AS n;"
               "CREATE TYPE mood AS ENUM ('x', 'y');"
               "CREATE ROLE team; CREATE ROLE ann LOGIN PASSWORD 'secret'; GRANT team TO ann;"
               "GRANT ALL ON ALL TABLES IN SCHEMA public TO PUBLIC;"
               "CREATE FUNCTION enter(who text) RETURNS text LANGUAGE sql AS $$ SELECT set_config('app.who', who, "
               "false) $$";
    }
};

}  // namespace crossfade::proxy::test
