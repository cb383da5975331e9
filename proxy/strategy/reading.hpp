#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "lib/settings/reload.hpp"
#include "lib/sql/statement.hpp"
#include "proxy/strategy/plan.hpp"

// Where reads are answered while legacy is the authority and modern follows (docs/adr/0029). Pure; knows no session.
namespace crossfade::proxy::strategy {

// Whether any of the session's reads may go to modern by the flags: all that is its has legacy for its authority, and
// a scope says prefer-modern or modern. To be asked once for each configuration.
bool may_read_at_follower(const settings::in_force& flags, const session_facts& session);

// What a message asks for, as far as that decides where it may be answered.
enum class errand : std::uint8_t {
    anywhere,   // names no table, and says the same everywhere
    read,       // rows of tables, and nothing else
    read_only,  // begins a transaction that is READ ONLY, or makes one so
    at_home,    // the authority's: all else
};
struct intent {
    errand what = errand::anywhere;
    bool alters = false;     // may leave the session another than it was
    bool may_write = false;  // may leave behind what others see
    // Of what stands in a READ ONLY transaction: has an effect there that the follower's would not be, or one by which
    // the session could not leave the follower any more.
    bool strays = false;
    bool chains = false;   // begins a transaction behind the one that it is in: COMMIT AND CHAIN
    bool unknown = false;  // has something in it that nobody knows, and that may be any of that, or read anything
    bool runs = false;     // something is carried out
    bool controls =
        false;  // and all that is leaves nothing but the transaction's own state: BEGIN, SAVEPOINT, SET LOCAL
    std::vector<const sql::table_use*> tables{};  // read; in what was given to add()

    // Nobody knows: a text that isn't understood.
    static intent of_unknown() {
        return {.what = errand::at_home, .alters = true, .may_write = true, .unknown = true, .runs = true};
    }
};
// What was prepared under the name; null: not known.
using prepared_by_name = std::function<std::shared_ptr<const sql::statement>(std::string_view name)>;
// One statement more, behind those that are in `to`. `runs`: it is carried out, and not only prepared.
enum class carried_out { now, later };
void add(intent& to, const sql::statement& it, carried_out when, const prepared_by_name& prepared);

// Why a read that the flags would send to modern is answered by legacy.
enum class fallback : std::uint8_t {
    session,     // it holds what can't be had there, or isn't let in
    away,        // modern can't be reached, or nobody has seen lately what state its tables are in
    not_ready,   // a table isn't copied yet, waits for DDL, or isn't the stream's
    own_writes,  // the session has written what modern may lack, or may have refused
    lag,         // modern lacks what is older than proxy.max_read_lag
    drift,       // more rows of a table differ than migration_drift_tolerance says
    rights,      // not the same roles may read a table on modern, or not the same rows of it
    shape,       // it has other columns there, or tables that inherit from it
};
inline constexpr std::size_t fallbacks = 8;
std::string_view to_string(fallback why);

// A table that is read, or a scope as far as its flags go.
struct read_target {
    settings::read_strategy how = settings::read_strategy::legacy;
    double tolerance = 0;  // share of rows
    bool ready = false;
    double drift = 0;     // share of its rows that are known to differ
    bool guarded = true;  // who may read which rows is as on legacy
    bool alike = true;    // what a row looks like is, too, and all rows are its own
};
struct read_circumstances {
    using instant = std::chrono::steady_clock::time_point;

    instant now{};
    std::chrono::nanoseconds max_lag{};
    bool there = false;                   // modern answers
    std::optional<instant> fresh_to{};    // it has all that legacy had committed by then; nothing: that isn't known
    std::optional<instant> last_write{};  // by when the session's own was answered
    bool session_stays = false;           // it couldn't go the last time, and doesn't try now
};
struct read_place {
    bool at_follower = false;
    std::optional<fallback> why{};  // not there although the flags would have it so

    friend bool operator==(const read_place&, const read_place&) = default;
};
// Of several targets all must allow it. None: not at the follower.
read_place place_of(std::span<const read_target> targets, const read_circumstances& now);

}  // namespace crossfade::proxy::strategy
