#include "lib/sql/shape.hpp"

#include <algorithm>
#include <array>
#include <cstddef>

#include "lib/sql/characters.hpp"

namespace crossfade::sql {
namespace {

constexpr bool is_blank(char c) {
    return c == ' ' || (c >= '\t' && c <= '\r');
}
constexpr bool is_of_name(char c) {
    return continues_word(c) || c == '$';
}

bool begins_with_one_of_four(std::string_view text) {
    constexpr std::size_t length = 6;
    constexpr std::array<std::string_view, 4> words{"select", "insert", "update", "delete"};
    const auto at = static_cast<std::size_t>(std::ranges::find_if_not(text, is_blank) - text.begin());
    if (text.size() < at + length + 1 || is_of_name(text[at + length])) return false;
    const auto first = text.substr(at, length);
    const auto same = [](char c, char lower) { return (c | 0x20) == lower; };
    return std::ranges::any_of(words, [&](std::string_view word) { return std::ranges::equal(first, word, same); });
}

// Behind the quote that ends what begins at `at`; npos: there is none. One that is doubled ends it, too, and begins
// another.
std::size_t behind_quoted(std::string_view text, std::size_t at) {
    const auto end = text.find(text[at], at + 1);
    return end == std::string_view::npos ? end : end + 1;
}

}  // namespace

std::string_view shape_of(std::string_view text, std::string& scratch) {
    // A backslash may hide a quote, where settings have it so.
    if (!begins_with_one_of_four(text) || text.find('\\') != std::string_view::npos) return text;
    bool changed = false;
    for (std::size_t at = 0; at < text.size();) {
        const char c = text[at];
        const char next = at + 1 < text.size() ? text[at + 1] : '\0';
        if (is_digit(c)) {
            if (!changed) scratch.assign(text);
            changed = true;
            for (; at < text.size() && is_digit(text[at]); ++at) scratch[at] = '0';
        } else if (continues_word(c)) {
            while (at < text.size() && is_of_name(text[at])) ++at;
            if (at < text.size() && (text[at] == '\'' || text[at] == '&')) return text;
        } else if (c == '\'' || c == '"') {
            at = behind_quoted(text, at);
            if (at == std::string_view::npos) return text;
        } else if (c == '$') {
            if (!is_digit(next)) return text;
            for (++at; at < text.size() && is_digit(text[at]);) ++at;
        } else if ((c == '-' && next == '-') || (c == '/' && next == '*')) {
            return text;
        } else if (c == ';') {
            if (!std::ranges::all_of(text.substr(at + 1), is_blank)) return text;
            ++at;
        } else {
            ++at;
        }
    }
    return changed ? std::string_view{scratch} : text;
}

}  // namespace crossfade::sql
