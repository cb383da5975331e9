#include "lib/settings/console_reader.hpp"

#include <algorithm>

#include "lib/settings/field_reader.hpp"

namespace crossfade::settings {
namespace {

using namespace std::chrono_literals;

constexpr std::size_t most_users = 100;
constexpr std::size_t longest_name = 63;  // NAMEDATALEN - 1

bool is_name(std::string_view text) {
    return !text.empty() && text.size() <= longest_name &&
           std::none_of(text.begin(), text.end(), [](unsigned char c) { return c < ' ' || c == 0x7f; });
}

void read_users(const section& from, std::string_view key, std::vector<std::string>& into) {
    const auto users = from.list(key);
    if (!users) return;
    if (users->size() > most_users)
        from.out().add(from.at(key), std::to_string(users->size()) + " users", "at most " + std::to_string(most_users));
    for (const auto& user : *users) {
        if (!is_name(user.text))
            from.out().add(user.at, quote_found(user.text), "names of 1 to 63 bytes without control characters");
        else if (std::find(into.begin(), into.end(), user.text) != into.end())
            from.out().add(user.at, quote_found(user.text) + " a second time", "each user once");
        else
            into.push_back(user.text);
    }
}

}  // namespace

void read_console(const section& from, console& into) {
    if (const auto database = from.text("database")) {
        into.database = database->text;
        if (!is_name(database->text))
            from.out().add(database->at, quote_found(database->text),
                           "the name of a database, 1 to 63 bytes without control characters");
    }
    read_users(from, "admins", into.admins);
    read_users(from, "viewers", into.viewers);
    for (const auto& each : into.viewers)
        if (std::find(into.admins.begin(), into.admins.end(), each) != into.admins.end())
            from.out().add(from.at("viewers"), quote_found(each) + ", who is in admins too", "each user once");
    const field_reader fields(from);
    fields.boolean("trust_local", into.trust_local);
    fields.number("max_sessions", into.max_sessions, 1, 100);
    fields.number("max_rows", into.max_rows, 1, 100'000);
    fields.duration("pause_wait", into.pause_wait, 100ms, 10min);
    fields.duration("query_timeout", into.query_timeout, 100ms, 1min);
}

}  // namespace crossfade::settings
