#include "lib/store/audit_text.hpp"

#include <algorithm>

#include "lib/events/json_text.hpp"
#include "lib/pgwire/ascii.hpp"

namespace crossfade::store {
namespace {

constexpr std::string_view withheld = "…";
constexpr std::string_view spaces = " \t\r\n";

bool begins_with_password(std::string_view text) {
    constexpr std::string_view word = "password";
    return text.size() >= word.size() && std::equal(word.begin(), word.end(), text.begin(),
                                                    [](char wanted, char has) { return wanted == pgwire::lower(has); });
}

std::size_t run_of(std::string_view text, std::string_view of) {
    return std::min(text.find_first_not_of(of), text.size());
}

// Of "password=secret", "PASSWORD 'secret'", "\"password\": \"secret\"" and their like: where the secret begins, and
// its length. The text begins behind the word.
struct span {
    std::size_t at = 0;
    std::size_t size = 0;
};
span secret_behind(std::string_view text) {
    std::size_t at = 0;
    // The end of a JSON name, perhaps within a JSON string.
    while (at < text.size() && (text[at] == '\\' || text[at] == '"')) ++at;
    at += run_of(text.substr(at), spaces);
    const bool assigned = at < text.size() && (text[at] == '=' || text[at] == ':');
    if (assigned) at += 1 + run_of(text.substr(at + 1), spaces);
    const bool escaped = at + 1 < text.size() && text[at] == '\\' && text[at + 1] == '"';
    const std::size_t open = at + (escaped ? 1 : 0);
    const bool quoted = open < text.size() && (text[open] == '\'' || text[open] == '"');
    if (!assigned && !quoted) return {};
    if (!quoted) return {at, std::min(text.find_first_of(" \t\r\n&;,\"'\\}", at), text.size()) - at};
    const auto close = text.find(escaped ? "\\\"" : text.substr(open, 1), open + 1);
    return {open + 1, std::min(close, text.size()) - open - 1};
}

// Of "//user:secret@host": the same. The text begins behind the slashes.
span secret_before_host(std::string_view text) {
    const auto end = std::min(text.find_first_of(" \t\r\n/?#\"'\\"), text.size());
    const auto host = text.substr(0, end).rfind('@');
    const auto colon = text.find(':');
    if (host == std::string_view::npos || colon > host) return {};
    return {colon + 1, host - colon - 1};
}

std::string without_secrets(std::string_view text) {
    std::string kept;
    while (!text.empty()) {
        std::size_t taken = 1;
        span secret;
        if (begins_with_password(text)) {
            taken = std::string_view{"password"}.size();
            secret = secret_behind(text.substr(taken));
        } else if (text.starts_with("//")) {
            taken = 2;
            secret = secret_before_host(text.substr(taken));
        }
        kept += text.substr(0, taken + secret.at);
        if (secret.size > 0) kept += withheld;
        text.remove_prefix(taken + secret.at + secret.size);
    }
    return kept;
}

}  // namespace

std::string audit_text(std::string_view said, std::size_t longest) {
    const std::string open = without_secrets(said);
    std::string kept;
    for (std::string_view left = open; !left.empty();) {
        const auto length = left.front() == '\0' ? 0 : events::utf8_length(left);
        const auto next = length > 0 ? left.substr(0, length) : std::string_view{"\xEF\xBF\xBD"};
        if (next.size() > longest - kept.size()) {
            kept += withheld;
            break;
        }
        kept += next;
        left.remove_prefix(std::max<std::size_t>(length, 1));
    }
    return kept;
}

}  // namespace crossfade::store
