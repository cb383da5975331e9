#pragma once

#include "tests/integration/changeover/two_sides.hpp"

namespace crossfade::proxy::test {

// The same two servers with tables of two authorities: `orders` and `lines` are group shop's, which modern has; all
// others are legacy's. Each side refuses writes of the other's, as after a flip.
class two_groups : public two_sides {
  protected:
    static void SetUpTestSuite() {
        two_sides::SetUpTestSuite();
        if (!legacy_) return;
        legacy_->exec(tables(), "app");
        modern_->exec(tables(), "app_modern");
        legacy_->exec(fence("orders") + fence("lines"), "app");
        modern_->exec(fence("users"), "app_modern");
    }
    void SetUp() override {
        for (const auto* name : {"orders", "lines", "users"}) {
            // Round the fence.
            const auto emptied = "SET session_replication_role = replica; TRUNCATE " + std::string{name};
            legacy_->exec(emptied, "app");
            modern_->exec(emptied, "app_modern");
        }
        start_apart();
    }

    void start_apart(const std::string& strategy = "legacy-primary", const std::string& more = {}) {
        front_.reset();
        front_ = std::make_unique<front_of_two>(legacy_->dsn("app") + "?sslmode=disable",
                                                modern_->dsn("app_modern") + "?sslmode=disable", strategy, more,
                                                "{ shop: { tables: [\"public.orders\", \"public.lines\"] } }");
        front_->decide(apart());
    }
    static settings::assignment apart() { return {legacy_side, {{{"shop", ""}, modern_side}}}; }

    // Where the session is, asked so that it stays there.
    static std::string is_at(const connection& one) {
        return run(one, "SELECT current_database()") == "app" ? "legacy" : "modern";
    }
    static std::string at(const std::string& side, const std::string& sql) {
        return side == "legacy" ? legacy_->value(sql, "app") : modern_->value(sql, "app_modern");
    }
    static std::string notes(const std::string& side, const std::string& table) {
        return at(side, "SELECT string_agg(note, ' ' ORDER BY id) FROM " + table);
    }
    static std::string error_of(const answer& of) {
        const auto field = [&](int which) {
            const char* text = PQresultErrorField(of.get(), which);
            return std::string{text == nullptr ? "" : text};
        };
        return field(PG_DIAG_SQLSTATE) + ' ' + field(PG_DIAG_MESSAGE_PRIMARY) + " | " + field(PG_DIAG_MESSAGE_DETAIL);
    }
    static std::string refusal_of(const connection& on, const std::string& sql) {
        return error_of(answer{PQexec(on.get(), sql.c_str())});
    }
    double detours(const std::string& result) {
        return front_->metric("crossfade_session_detours_total{result=\"" + result + "\"}");
    }
    double detours() { return detours("came_back") + detours("logged_in"); }
    double parked() { return front_->metric("crossfade_parked_connections"); }
    double refused() { return front_->metric("crossfade_group_writes_refused_total"); }

  private:
    static std::string tables() {
        std::string made =
            "CREATE FUNCTION fence() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE EXCEPTION USING ERRCODE = "
            "'XF005', MESSAGE = 'fenced'; END $$;";
        for (const auto* name : {"orders", "lines", "users"})
            made += "CREATE TABLE " + std::string{name} + " (id serial PRIMARY KEY, note text, amount int DEFAULT 0);";
        return made +
               "GRANT ALL ON ALL TABLES IN SCHEMA public TO PUBLIC;"
               "GRANT ALL ON ALL SEQUENCES IN SCHEMA public TO PUBLIC";
    }
    static std::string fence(const std::string& table) {
        return "CREATE TRIGGER fence BEFORE INSERT OR UPDATE OR DELETE ON " + table +
               " FOR EACH STATEMENT EXECUTE FUNCTION fence();";
    }
};

}  // namespace crossfade::proxy::test
