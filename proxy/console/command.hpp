#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "proxy/console/scope.hpp"
#include "proxy/console/words.hpp"

namespace crossfade::proxy::console {

// What SHOW can be asked for.
enum class subject : std::uint8_t {
    help,
    version,
    sessions,
    clients,
    servers,
    pools,
    databases,
    lists,
    stats,
    stats_totals,
    stats_averages,
    flags,
    stream,
    drift,
    config,
    limits,
    pauses,
    users,
    mem,
};
inline constexpr std::size_t subjects = 19;
std::string_view to_string(subject of);  // as it is typed, in capitals

// Ways to end, by what is waited for.
enum class shutdown_waits_for : std::uint8_t { transactions, clients, nothing };

// What a driver or a pooler asks any PostgreSQL; see docs/console.md.
enum class known_value : std::uint8_t {
    number,  // SELECT 1
    text,    // SELECT 'x'
    version,
    database,
    schema,
    user,
    pid,
    in_recovery,
    nothing,  // a function of type void
};
struct selected {
    std::string column;
    known_value what = known_value::nothing;
    std::string literal;  // of a number or text
};

namespace commands {
struct show {
    subject what;
};
struct show_parameter {
    std::string name;  // a setting of PostgreSQL's, lower case
};
struct select {
    std::vector<selected> values;
};
// SET, BEGIN and their like: taken, and nothing comes of them but the driver's idea of a transaction.
struct accepted {
    std::string_view tag;
    enum class effect : std::uint8_t { none, begins, ends } transaction = effect::none;
};
// DEALLOCATE and DISCARD: statements that the driver has prepared.
struct forget {
    std::string_view tag;
    std::optional<std::string> statement;  // nothing: all
};
struct reload {};
struct pause {
    scope what;
};
struct resume {
    scope what;
};
struct kill {
    std::uint64_t session;
};
struct shutdown {
    shutdown_waits_for what;
};
}  // namespace commands

using command =
    std::variant<commands::show, commands::show_parameter, commands::select, commands::accepted, commands::forget,
                 commands::reload, commands::pause, commands::resume, commands::kill, commands::shutdown>;

// All statements of one text, or why it is none of the console's language: then nothing of it is to be carried out, as
// with PostgreSQL. Pure; whatever the bytes.
boost::system::result<std::vector<command>, syntax_fault> parse(std::string_view sql);

// Whether a viewer may do it.
bool changes_nothing(const command& what);

}  // namespace crossfade::proxy::console
