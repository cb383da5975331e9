#include "ctl/stream/source.hpp"

#include <string_view>

#include "ctl/catalog/database.hpp"
#include "ctl/exit_code.hpp"
#include "lib/model/table_name.hpp"

namespace crossfade::ctl::stream {

namespace {

model::lsn lsn_of(std::string_view text, std::string_view doing) {
    const auto parsed = model::parse_lsn(text);
    if (!parsed) throw stop(exit_code::no, std::string{doing} + ": the server answered no LSN");
    return *parsed;
}

}  // namespace

source_identity identify(pgclient::connection& replication) {
    const auto found = catalog::ask(replication, "IDENTIFY_SYSTEM", "IDENTIFY_SYSTEM");
    return {.system_identifier = std::string{found.text(0, 0)},
            .timeline = static_cast<std::uint32_t>(found.integer(0, 1).value_or(0))};
}

model::lsn create_slot(pgclient::connection& legacy, const std::string& name, std::chrono::milliseconds patience) {
    const std::string doing = "creating replication slot " + name;
    catalog::ask(legacy, doing, "SET statement_timeout = " + std::to_string(patience.count()));
    const std::string failover = legacy.server_version() >= first_with_failover ? ", failover => true" : "";
    auto made =
        legacy.exec("SELECT lsn::text FROM pg_create_logical_replication_slot($1, 'pgoutput'" + failover + ')', {name});
    if (!made && made.error().sqlstate == "57014") {
        catalog::ask(legacy, doing, "SET statement_timeout = 0");
        const auto running = catalog::ask(legacy, doing,
                                          "SELECT count(*), coalesce(string_agg(pid::text, ', '), '') FROM"
                                          " (SELECT pid FROM pg_stat_activity WHERE backend_xid IS NOT NULL"
                                          "  AND pid <> pg_backend_pid() ORDER BY xact_start LIMIT 10) AS oldest");
        throw stop(exit_code::no,
                   doing + ": transactions on legacy did not end in time (process ids " +
                       std::string{running.text(0, 1)} + ")",
                   "end them or wait for them, then run the command again (--slot-timeout waits longer)");
    }
    if (!made) throw stop(exit_code::no, doing + ": " + to_string(made.error()));
    catalog::ask(legacy, doing, "SET statement_timeout = 0");
    return lsn_of(made->text(0, 0), doing);
}

pgclient::result<void> enable_failover(pgclient::connection& replication, const std::string& name) {
    if (auto done = replication.exec("ALTER_REPLICATION_SLOT " + model::quote_identifier(name) + " (FAILOVER true)");
        !done)
        return done.error();
    return {};
}

exported_snapshot export_snapshot(pgclient::connection& replication, const std::string& slot_name) {
    // The syntax before PostgreSQL 15, which later ones still take.
    const auto made = catalog::ask(replication, "exporting a snapshot",
                                   "CREATE_REPLICATION_SLOT " + model::quote_identifier(slot_name) +
                                       " TEMPORARY LOGICAL pgoutput EXPORT_SNAPSHOT");
    return {.name = std::string{made.text(0, 2)}, .consistent_at = lsn_of(made.text(0, 1), "exporting a snapshot")};
}

}  // namespace crossfade::ctl::stream
