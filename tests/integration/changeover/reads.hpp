#pragma once

#include "tests/integration/changeover/two_sides.hpp"

namespace crossfade::proxy::test {

// A proxy whose sessions read on modern, which is as fresh as the test says.
class reads : public two_sides {
  protected:
    static void SetUpTestSuite() {
        two_sides::SetUpTestSuite();
        if (!legacy_) return;
        legacy_->exec(
            "CREATE TABLE here_alone AS SELECT 'legacy' AS name; CREATE SEQUENCE drawn START 4711" + writing_view(),
            "app");
        modern_->exec("CREATE SEQUENCE drawn" + writing_view(), "app_modern");
    }
    void SetUp() override { begin("prefer-modern"); }

    // `more`: further keys of the section proxy, each behind a comma.
    void begin(const std::string& strategy, const std::string& writes = "legacy-primary", const std::string& more = {},
               const std::string& groups = "{}") {
        start(writes + ", hybrid_read_strategy: " + strategy, "max_read_lag: 1h" + more, groups);
        auto& view = front_->view();
        view.set_tables({{"public.side", 0}, {"public.accounts", 0}, {"public.here_alone", 0}, {"public.noted", 0}});
        for (const auto each : {legacy_side, modern_side}) view.set_shared(each, {});
        view.set_views({"public.sides"});
        view.set_whole(true);
        view.set_there(true);
        view.set_looked(std::chrono::steady_clock::time_point::max());
        is_fresh();
    }
    void is_fresh() { front_->view().set_fresh_to(std::chrono::steady_clock::now()); }
    void is_late() { front_->view().set_fresh_to(std::chrono::steady_clock::now() - std::chrono::hours{2}); }
    double fallbacks(const std::string& reason) {
        return front_->metric("crossfade_read_fallbacks_total{reason=\"" + reason + "\"}");
    }
    double read_at(const std::string& side) { return front_->metric("crossfade_reads_total{side=\"" + side + "\"}"); }
    double said_again() { return front_->metric("crossfade_reads_said_again_total"); }
    double detours() {
        return front_->metric("crossfade_session_detours_total{result=\"came_back\"}") +
               front_->metric("crossfade_session_detours_total{result=\"logged_in\"}");
    }
    static std::string extended(const connection& on, const std::string& sql, const std::vector<const char*>& values) {
        return outcome(answer{PQexecParams(on.get(), sql.c_str(), static_cast<int>(values.size()), nullptr,
                                           values.data(), nullptr, nullptr, 0)});
    }
    static std::string prepared(const connection& on, const std::string& name,
                                const std::vector<const char*>& values = {}) {
        return outcome(answer{PQexecPrepared(on.get(), name.c_str(), static_cast<int>(values.size()), values.data(),
                                             nullptr, nullptr, 0)});
    }
    // Of a pipeline: so many outcomes, or fewer where the session ends.
    static std::vector<std::string> piped(const connection& from, std::size_t count) {
        std::vector<std::string> got;
        while (got.size() < count && PQstatus(from.get()) == CONNECTION_OK) {
            const answer one{PQgetResult(from.get())};
            if (one && PQresultStatus(one.get()) != PGRES_PIPELINE_SYNC) got.push_back(outcome(one));
        }
        return got;
    }
    static void prepare(const connection& on, const std::string& name, const std::string& sql) {
        EXPECT_EQ(outcome(answer{PQprepare(on.get(), name.c_str(), sql.c_str(), 0, nullptr)}), "");
    }
    static void end_sessions_on_modern() {
        modern_->exec(
            "SELECT pg_terminate_backend(pid, 10000) FROM pg_stat_activity WHERE datname = 'app_modern' AND "
            "pid <> pg_backend_pid() AND application_name <> 'holder'",
            "app_modern");
    }
    static std::string count(const std::string& side, const std::string& table) {
        const auto sql = "SELECT count(*) FROM " + table;
        return side == "legacy" ? legacy_->value(sql, "app") : modern_->value(sql, "app_modern");
    }

  private:
    static std::string writing_view() {
        return "; CREATE TABLE notes (note text); CREATE FUNCTION take_note() RETURNS text LANGUAGE sql AS $$ INSERT "
               "INTO notes VALUES ('n') RETURNING note $$; CREATE VIEW noted AS SELECT take_note() AS note; CREATE "
               "VIEW "
               "sides AS SELECT name FROM side";
    }
};

}  // namespace crossfade::proxy::test
