#pragma once

#include <compare>
#include <optional>
#include <span>
#include <string>
#include <string_view>

namespace crossfade::proxy::console {

// What a PAUSE holds: everything where nothing is named; where several are, what all of them name.
struct scope {
    std::optional<std::string> group;
    std::optional<std::string> tenant;
    std::optional<std::string> database;  // as clients ask for it

    friend auto operator<=>(const scope&, const scope&) = default;
};

// As it is typed: "", "GROUP orders", "TENANT acme DATABASE app"; names that need quotes have them.
std::string to_string(const scope& of);

// What is known of a session, or of a statement of it, at the moment when it may have to wait.
struct held_party {
    std::string_view database;
    std::string_view tenant;  // empty: none
    // Table groups that it touches; not known where nobody has looked into its SQL.
    std::optional<std::span<const std::string>> groups;
};

// A party whose groups are not known is taken to touch any: what a PAUSE promises to hold never slips through.
bool covers(const scope& held, const held_party& party);

}  // namespace crossfade::proxy::console
