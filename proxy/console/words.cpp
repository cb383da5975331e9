#include "proxy/console/words.hpp"

#include <algorithm>
#include <stdexcept>

#include "lib/pgwire/ascii.hpp"

namespace crossfade::proxy::console {
namespace {

using pgwire::lower;

using boost::system::result;

constexpr std::size_t longest_shown = 63;

bool is_space(char c) {
    return c == ' ' || (c >= '\t' && c <= '\r');
}
bool is_digit(char c) {
    return c >= '0' && c <= '9';
}
bool starts_name(char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_' || (c & '\x80') != 0;
}
bool continues_name(char c) {
    return starts_name(c) || is_digit(c) || c == '$';
}

class lexer {
  public:
    explicit lexer(std::string_view sql) : sql_(sql) {}

    result<std::vector<std::vector<word>>, syntax_fault> run() {
        std::vector<std::vector<word>> statements(1);
        for (;;) {
            if (auto ended = skip_blanks(); !ended) return ended.error();
            if (at_ >= sql_.size()) break;
            if (sql_[at_] == ';') {
                ++at_;
                if (!statements.back().empty()) statements.emplace_back();
                continue;
            }
            auto next = take();
            if (!next) return next.error();
            statements.back().push_back(std::move(*next));
        }
        if (statements.back().empty()) statements.pop_back();
        return statements;
    }

  private:
    bool ahead(std::string_view text) const { return sql_.substr(at_, text.size()) == text; }

    result<void, syntax_fault> skip_blanks() {
        for (;;) {
            if (at_ < sql_.size() && is_space(sql_[at_])) {
                ++at_;
            } else if (ahead("--")) {
                at_ = std::min(sql_.find('\n', at_), sql_.size());
            } else if (ahead("/*")) {
                if (auto ended = skip_comment(); !ended) return ended.error();
            } else {
                return {};
            }
        }
    }

    // Comments nest.
    result<void, syntax_fault> skip_comment() {
        const auto begin = at_;
        std::size_t depth = 0;
        do {
            if (at_ >= sql_.size()) return syntax_fault{"unterminated /* comment", begin + 1};
            if (ahead("/*")) {
                ++depth;
                at_ += 2;
            } else if (ahead("*/")) {
                --depth;
                at_ += 2;
            } else {
                ++at_;
            }
        } while (depth > 0);
        return {};
    }

    result<word, syntax_fault> take() {
        const auto begin = at_;
        const char first = sql_[at_];
        if (first == '"' || first == '\'') return take_quoted(first);
        if (!starts_name(first) && !is_digit(first)) {
            ++at_;
            return word{word::kind::symbol, std::string(1, first), begin + 1};
        }
        const auto end = std::find_if_not(sql_.begin() + static_cast<std::ptrdiff_t>(at_), sql_.end(),
                                          is_digit(first) ? is_digit : continues_name);
        at_ = static_cast<std::size_t>(end - sql_.begin());
        word made{is_digit(first) ? word::kind::number : word::kind::plain,
                  std::string{sql_.substr(begin, at_ - begin)}, begin + 1};
        std::transform(made.text.begin(), made.text.end(), made.text.begin(), lower);
        return made;
    }

    result<word, syntax_fault> take_quoted(char quote) {
        const auto begin = at_++;
        word made{quote == '"' ? word::kind::quoted : word::kind::text, "", begin + 1};
        for (;;) {
            const auto end = sql_.find(quote, at_);
            if (end == std::string_view::npos)
                return syntax_fault{quote == '"' ? "unterminated quoted identifier" : "unterminated quoted string",
                                    begin + 1};
            made.text.append(sql_.substr(at_, end - at_));
            at_ = end + 1;
            if (at_ >= sql_.size() || sql_[at_] != quote) break;
            made.text.push_back(quote);
            ++at_;
        }
        if (quote == '"' && made.text.empty()) return syntax_fault{"zero-length delimited identifier", begin + 1};
        return made;
    }

    std::string_view sql_;
    std::size_t at_ = 0;
};

}  // namespace

void throw_exception_from_error(const syntax_fault& what, const boost::source_location&) {
    throw std::runtime_error(what.message);
}

result<std::vector<std::vector<word>>, syntax_fault> split(std::string_view sql) {
    return lexer{sql}.run();
}

std::string quoted_if_needed(std::string_view name) {
    const bool plain = !name.empty() && starts_name(name[0]) && std::all_of(name.begin(), name.end(), continues_name) &&
                       std::all_of(name.begin(), name.end(), [](char c) { return lower(c) == c; });
    if (plain) return std::string{name};
    std::string quoted = "\"";
    for (const char c : name) quoted.append(c == '"' ? 2 : 1, c);
    return quoted + '"';
}

std::string clipped(std::string_view text) {
    if (text.size() <= longest_shown) return std::string{text};
    // Not in the middle of a UTF-8 character.
    auto end = longest_shown;
    while (end > 0 && (text[end] & '\xc0') == '\x80') --end;
    return std::string{text.substr(0, end)} + "…";
}

}  // namespace crossfade::proxy::console
