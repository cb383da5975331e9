#pragma once

#include <cstdint>
#include <map>
#include <set>
#include <string>
#include <string_view>
#include <vector>

namespace crossfade::proxy::portrait {

struct parameter_type {
    std::uint32_t oid = 0;
    std::string name{};  // qualified and quoted; what counts, as another database has other OIDs for its own types

    friend bool operator==(const parameter_type& left, const parameter_type& right) { return left.name == right.name; }
};
// Types below have the same OID in every PostgreSQL: FirstGenbkiObjectId of access/transam.h.
inline constexpr std::uint32_t first_varying_oid = 10000;

struct prepared_statement {
    std::string text;  // of PREPARE whole, without what was sent beside it; empty when that can't be told apart
    std::vector<parameter_type> parameters{};
    bool by_sql = false;

    friend bool operator==(const prepared_statement&, const prepared_statement&) = default;
};

// What only the messages told (hearing.hpp); a session that nobody listened to is known by nothing of it.
struct heard_facts {
    // Whether all settings of the application's own that the session may have set beyond a transaction were asked for:
    // those that its statements set, and those that functions of the database do (survey.hpp).
    bool settings_known = false;
    bool functions_known = false;
    bool strings_changed = true;   // what a backslash means was changed, or may have been
    bool sequence_values = false;  // currval or lastval is called
    enum class unnamed { none, kept, unknown } statement = unnamed::unknown;
    std::string parse{};  // when it is kept: the body of the client's Parse
};

// All that a session holds between two transactions, as far as it can be known. Texts are in the database's encoding.
// Values are the application's: never logged.
struct session_portrait {
    std::string user;      // SESSION_USER
    std::string role;      // of SET ROLE, or "none"
    std::string encoding;  // the database's
    // Another one than a survey's (survey.hpp): its functions have changed since. Empty if that wasn't asked.
    std::string functions{};
    // Set by the session or its start-up, and those that decide what a text means or how a value is written, whoever
    // set them. As the database spells the names.
    std::map<std::string, std::string> settings{};
    // Those with a dot, in lower case: the application's, as "app.tenant", and libraries'.
    std::map<std::string, std::string> own_settings{};
    // Of both, what nobody is known to have set in a session: the database, the role or the server says so.
    std::set<std::string> given{};
    std::map<std::string, prepared_statement> prepared{};
    std::set<std::string> channels{};  // of LISTEN
    // Of the settings that PostgreSQL tells clients of by itself: what this client was told last, whoever set them.
    std::map<std::string, std::string> reported{};

    // What can't be had on another database.
    std::uint64_t held_cursors = 0;  // WITH HOLD
    std::uint64_t advisory_locks = 0;
    std::uint64_t temporary_objects = 0;
    std::uint64_t temporary_slots = 0;
    bool cut_short = false;      // something was longer than is read
    bool unnamed_there = false;  // the unnamed statement, if that was asked

    heard_facts heard{};
};

// Why a session can't go to another database. Each is enough.
enum class obstacle : std::uint8_t {
    held_cursor,        // its rows, and where it stands in them
    advisory_lock,      // others respect it on this database
    temporary_object,   // tables with their rows, and more
    temporary_slot,     // of replication
    too_much,           // more than is read
    prepared_text,      // of a PREPARE that was sent among other statements and isn't understood
    string_syntax,      // a prepared text has a backslash, which has had two meanings here
    unnamed_statement,  // there may be one, and its text is not known
    own_type,           // the unnamed statement names a type by an OID that another database has for something else
    own_settings,       // there may be settings of the application's that nobody has heard of
    sequence_values,    // currval and lastval would fail
};
std::string_view to_string(obstacle what);

// Each once, in the order above; none: recreate() can make the same on a database that has the same objects.
std::vector<obstacle> obstacles(const session_portrait& of);

// Whether the statement without a name is the same, too: where one of them has it, both are known to have it.
bool same_unnamed(const session_portrait& one, const session_portrait& other);

// Memory for it, about.
std::size_t bytes_of(const session_portrait& it);

// Whether the other one has a setting with a dot that this one lacks, and not by what its own database or role says
// alone. What is empty is as good as not there: PostgreSQL leaves it so where it is set in a transaction that has
// ended.
bool has_more_of_its_own(const session_portrait& other, const session_portrait& than, const std::string& name);

// What isn't the same in the other one, a session that was made to be as `one`, by kind and name, never by value:
// "setting search_path". What only the messages tell is left out, and so is `reported`: the client can be told; and
// what the other's own database, role or server says of settings that the first knows nothing of.
inline constexpr std::string_view setting_prefix = "setting ";
std::vector<std::string> differences(const session_portrait& one, const session_portrait& other);

// Of how numbers, money and dates are written, what a server says whose host may have other locales: `found` has it by
// nobody else, and `there` otherwise.
std::vector<std::string> given_formats(const session_portrait& found, const session_portrait& there);

}  // namespace crossfade::proxy::portrait
