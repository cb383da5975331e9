#pragma once

#include <functional>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "cdc/apply/careful.hpp"
#include "cdc/apply/ddl_decision.hpp"
#include "cdc/apply/session.hpp"
#include "cdc/apply/waiting_rows.hpp"

namespace crossfade::cdc::apply {

// Of the dead letter that holds a table.
inline constexpr std::string_view ddl_operation = "ddl";
inline constexpr std::string_view ddl_sqlstate = "XF002";

// What was done about one command, for the log and the metrics: without its text.
struct ddl_record {
    std::string outcome;  // noted, passed, paused; `unsealed`, `unreadable`: nothing was done
    std::string tag;
    std::string tables;
    std::string advice;
    model::position at;
};

// Does what policy wants about DDL in the stream, in the transaction that applies it, at its place between the rows
// (docs/adr/0016). A table that is to wait gets a dead letter of the command itself, behind which every change of it
// waits.
class ddl_keeper {
  public:
    ddl_keeper(session& to, const careful_settings& settings) : to_(to), settings_(settings) {}

    using standing_of = std::function<ddl_standing(const events::ddl_table&)>;

    // `event` is DDL (events::is_ddl). Appends to `done` unless it is another stream's. After a failure the transaction
    // is of no use any more. The follower's tables may be others afterwards.
    pgclient::result<void> apply(const consume::received& event, const standing_of& stands, waiting_rows& waiting,
                                 std::vector<ddl_record>& done);
    // Tables whose copy has to begin anew.
    const std::set<std::string>& to_copy_anew() const { return to_copy_anew_; }

  private:
    pgclient::result<ddl_decision> decide_on(const events::ddl_notice& seen, const standing_of& stands,
                                             const waiting_rows& waiting);
    // Of a partition that the source has emptied: whatever policy says, as its rows are no less gone than by DELETE.
    pgclient::result<ddl_decision> empty(const events::ddl_table& part, ddl_standing as, const waiting_rows& waiting);
    pgclient::result<bool> sealed(const events::ddl_notice& seen, const model::change_event& event);
    pgclient::result<table_shape> shape_of(const model::table_name& table);
    using refusal = std::optional<std::string>;
    pgclient::result<refusal> remove_rows(const events::ddl_table& part);
    // Sets it until the end of the transaction, and gives what it was.
    pgclient::result<pgclient::parameter> wait_for_locks(const pgclient::parameter& most);
    // Why columns that the statement adds without a default get values all the same.
    pgclient::result<refusal> default_of_types(const events::ddl_table& table, const sql::table_change& change);
    // Why it was undone, by `attempt` or by the follower; nothing: it is done.
    pgclient::result<refusal> attempted(const std::function<pgclient::result<refusal>()>& attempt);
    // Why it could not be run; nothing: it has been, and the rows fit.
    pgclient::result<refusal> run(const events::ddl_notice& seen, const sql::table_change& change);
    pgclient::result<void> store(const events::ddl_notice& seen, const model::change_event& event,
                                 const ddl_decision& made);
    pgclient::result<void> pause(const model::table_name& table, const consume::received& event, const std::string& why,
                                 waiting_rows& waiting);

    session& to_;
    const careful_settings& settings_;
    std::set<std::string> to_copy_anew_;
};

}  // namespace crossfade::cdc::apply
