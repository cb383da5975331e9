#include "proxy/portrait/suspicion.hpp"

#include <algorithm>
#include <array>
#include <cstring>
#include <string>

#include "lib/pgwire/ascii.hpp"

namespace crossfade::proxy::portrait {
namespace {

using pgwire::lower;

// `word` is in lower case.
bool stands_at(std::string_view text, std::size_t at, std::string_view word) {
    if (at > text.size() || text.size() - at < word.size()) return false;
    for (std::size_t i = 0; i < word.size(); ++i)
        if (lower(text[at + i]) != word[i]) return false;
    return true;
}

// Looks at each place of the word's rarest letter, which is `inside` bytes behind its beginning.
bool has_word(std::string_view text, std::string_view word, std::size_t inside) {
    const auto has_with = [&](char letter) {
        for (auto at = text.find(letter, inside); at != std::string_view::npos; at = text.find(letter, at + 1))
            if (stands_at(text, at - inside, word)) return true;
        return false;
    };
    const char letter = word[inside];
    return has_with(letter) || (letter >= 'a' && letter <= 'z' && has_with(static_cast<char>(letter - 'a' + 'A')));
}

bool is_blank(char byte) {
    return byte == ' ' || (byte >= '\t' && byte <= '\r');
}

// Where the statement's first word is, behind blanks, comments (which nest) and empty statements; npos when that is
// not in the text.
std::size_t first_word(std::string_view text, std::size_t at) {
    while (at < text.size()) {
        if (is_blank(text[at]) || text[at] == ';' || text[at] == '(') {
            ++at;
        } else if (stands_at(text, at, "--")) {
            at = std::min(text.find_first_of("\r\n", at), text.size());
        } else if (stands_at(text, at, "/*")) {
            at += 2;
            for (int depth = 1; depth > 0;) {
                at = text.find_first_of("*/", at);
                if (at == std::string_view::npos) return at;
                const bool opens = stands_at(text, at, "/*");
                const bool closes = stands_at(text, at, "*/");
                depth += opens ? 1 : closes ? -1 : 0;
                at += opens || closes ? 2 : 1;
            }
        } else {
            return at;
        }
    }
    return std::string_view::npos;
}

// Statements that themselves change what a portrait doesn't show, or take back such changes.
constexpr std::array<std::string_view, 4> heads{"set", "reset", "do", "discard"};

bool begins_suspiciously(std::string_view text, std::size_t at) {
    const auto word = first_word(text, at);
    if (word == std::string_view::npos) return false;
    return std::ranges::any_of(heads, [&](std::string_view head) {
        // A word that goes on is another one; one that ends with the text may go on.
        return stands_at(text, word, head) &&
               (word + head.size() >= text.size() ||
                !((lower(text[word + head.size()]) >= 'a' && lower(text[word + head.size()]) <= 'z') ||
                  text[word + head.size()] == '_'));
    });
}

bool calls_suspiciously(std::string_view text) {
    return has_word(text, "set_config", 3) || has_word(text, "currval", 4) || has_word(text, "lastval", 4) ||
           has_word(text, "u&\"", 1);  // an identifier with escapes may be any of them
}

bool has_suspicious_head(std::string_view text, stands_in message) {
    if (message == stands_in::parse) return false;
    for (auto end = text.find(';'); end != std::string_view::npos; end = text.find(';', end + 1))
        if (begins_suspiciously(text, end)) return true;
    return false;
}

}  // namespace

bool is_suspicious(std::string_view text, stands_in message) {
    return begins_suspiciously(text, 0) || calls_suspiciously(text) || has_suspicious_head(text, message);
}

bool long_text::take(std::string_view piece) {
    if (suspicious_) return true;
    // Whether a statement begins whose first word is not to be seen: what overlaps with the next piece, that will show.
    const auto cut = [&](std::string_view text) {
        constexpr std::size_t longest_head = 8;
        // rfind() would look at each byte by itself.
        const auto* found = message_ == stands_in::query ? ::memrchr(text.data(), ';', text.size()) : nullptr;
        if (found == nullptr) return false;
        const auto last = static_cast<std::size_t>(static_cast<const char*>(found) - text.data());
        if (text.size() - last <= overlap / 2) return false;
        const auto word = first_word(text, last);
        return word == std::string_view::npos || word + longest_head > text.size();
    };
    if (!begun_) {
        begun_ = true;
        const auto word = first_word(piece, 0);
        suspicious_ = is_suspicious(piece, message_) || word > piece.size() - std::min(piece.size(), overlap);
    } else {
        const auto joined = std::string{before_, kept_} + std::string{piece.substr(0, overlap)};
        suspicious_ = calls_suspiciously(joined) || has_suspicious_head(joined, message_) || cut(joined) ||
                      calls_suspiciously(piece) || has_suspicious_head(piece, message_);
    }
    suspicious_ = suspicious_ || cut(piece);
    const auto tail =
        std::string{before_, kept_} + std::string{piece.substr(piece.size() - std::min(piece.size(), overlap))};
    kept_ = std::min(tail.size(), overlap);
    std::memcpy(before_, tail.data() + tail.size() - kept_, kept_);
    return suspicious_;
}

}  // namespace crossfade::proxy::portrait
