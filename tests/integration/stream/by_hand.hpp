#pragma once

#include <gtest/gtest.h>

#include <chrono>
#include <string>
#include <vector>

#include "lib/pgclient/connection.hpp"
#include "lib/store/receipts.hpp"
#include "lib/store/schema.hpp"
#include "tests/chaos/landscape.hpp"
#include "tests/support/eventually.hpp"

// Rows that a proxy writes to the follower itself, before legacy commits them (docs/adr/0022): the proxy's part is
// played by hand here, so that each order of things can be had.
namespace crossfade {

inline void must(pgclient::connection& db, const std::string& sql,
                 const std::vector<pgclient::parameter>& parameters = {}) {
    const auto done = parameters.empty() ? db.exec(sql) : db.exec(sql, parameters);
    ASSERT_TRUE(done) << sql << ": " << pgclient::to_string(done.error());
}

inline pgclient::connection connect(const std::string& dsn) {
    return pgclient::connection::open(dsn, {}).value();
}

// One transaction as a proxy mirrors it: on both sides, and not committed on any yet.
class mirrored {
  public:
    mirrored(const chaos::landscape& world, const std::string& on_legacy, const std::string& on_modern,
             const std::vector<std::string>& ids, const std::string& table = "items")
        : legacy_(connect(world.legacy.dsn())), modern_(connect(world.modern.dsn())) {
        must(legacy_, "BEGIN");
        must(legacy_, on_legacy);
        const auto xid = legacy_.exec("SELECT (pg_current_xact_id()::text::bigint & 4294967295)::text").value();
        const std::string transaction{xid.text(0, 0)};

        take_origin();
        must(modern_, "BEGIN");
        std::string marks;
        for (const auto& id : ids) {
            const std::vector<std::pair<std::string_view, std::string_view>> key{{"id", id}};
            marks += (marks.empty() ? "{" : ",") + std::to_string(store::row_mark({"public", table}, key));
        }
        const auto lock = store::mirroring_lock_id(static_cast<store::source_xid>(std::stoull(transaction)));
        must(modern_, std::string{store::leave_receipt_sql},
             {"app", transaction, marks + "}", std::to_string(store::mirroring_lock_class), std::to_string(lock)});
        must(modern_, on_modern);
    }

    void commit_on_legacy() { must(legacy_, "COMMIT"); }
    void commit_on_modern() { must(modern_, "COMMIT"); }
    void roll_back_on_modern() { must(modern_, "ROLLBACK"); }
    void commit() {
        commit_on_legacy();
        commit_on_modern();
    }

  private:
    // Another than the landscape's own proxy has; the session that had it before may not have ended yet.
    void take_origin() {
        const auto origin = store::origin_name("app", store::first_mirror + 900);
        must(modern_, std::string{store::make_origin_sql}, {origin});
        ASSERT_TRUE(support::eventually(std::chrono::seconds{10}, [&] {
            return modern_.exec("SELECT pg_replication_origin_session_setup($1)", {origin}).has_value();
        }));
    }

    pgclient::connection legacy_;
    pgclient::connection modern_;
};

}  // namespace crossfade
