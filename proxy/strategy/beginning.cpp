#include "proxy/strategy/beginning.hpp"

#include <algorithm>
#include <string>

#include "lib/pgwire/ascii.hpp"
#include "lib/sql/characters.hpp"

namespace crossfade::proxy::strategy {
namespace {

// scan.l's tokens, as far as they come in front of a table's name.
class tokens {
  public:
    explicit tokens(std::string_view text) : left_(text) {}

    // Case and quotes as the catalog has them; nothing: it is no name, or may go on behind the text.
    std::optional<std::string> name() {
        skip();
        if (left_.starts_with('"')) return quoted();
        std::size_t end = 0;
        while (end < left_.size() && (sql::continues_word(left_[end]) || (end > 0 && left_[end] == '$'))) ++end;
        if (end == 0 || end == left_.size() || sql::is_digit(left_.front()) || left_[end] == '&') return std::nullopt;
        return pgwire::lower_case(std::string{take(end)});
    }
    bool word(std::string_view wanted) {
        auto ahead = *this;
        const bool plain = !(ahead.skip(), ahead.left_.starts_with('"'));
        if (!plain || ahead.name() != wanted) return false;
        *this = ahead;
        return true;
    }
    bool dot() {
        skip();
        if (!left_.starts_with('.')) return false;
        take(1);
        return true;
    }

  private:
    std::string_view take(std::size_t count) {
        const auto taken = left_.substr(0, count);
        left_.remove_prefix(taken.size());
        return taken;
    }
    std::optional<std::string> quoted() {
        std::string made;
        for (std::size_t at = 1; at + 1 < left_.size(); ++at) {
            if (left_[at] == '"' && left_[at + 1] != '"') {
                take(at + 1);
                return made;
            }
            if (left_[at] == '"') ++at;
            made += left_[at];
        }
        return std::nullopt;
    }
    // Blanks and comments, which nest.
    void skip() {
        for (;;) {
            if (!left_.empty() && (left_.front() == ' ' || (left_.front() >= '\t' && left_.front() <= '\r'))) {
                take(1);
            } else if (left_.starts_with("--")) {
                take(std::min(left_.find_first_of("\r\n"), left_.size()));
            } else if (left_.starts_with("/*")) {
                int depth = 0;
                do {
                    const bool opens = left_.starts_with("/*");
                    const bool closes = left_.starts_with("*/");
                    depth += opens ? 1 : closes ? -1 : 0;
                    take(opens || closes ? 2 : 1);
                } while (depth > 0 && !left_.empty());
            } else {
                return;
            }
        }
    }

    std::string_view left_;
};

}  // namespace

std::optional<sql::table_use> written_first(std::string_view beginning) {
    tokens text{beginning};
    const bool writes = text.word("insert")   ? text.word("into")
                        : text.word("delete") ? text.word("from")
                                              : text.word("update");
    if (!writes) return std::nullopt;
    text.word("only");
    auto first = text.name();
    if (!first) return std::nullopt;
    if (!text.dot()) return sql::table_use{.schema = {}, .name = std::move(*first), .written = true};
    auto second = text.name();
    if (!second || text.dot()) return std::nullopt;
    return sql::table_use{.schema = std::move(*first), .name = std::move(*second), .written = true};
}

}  // namespace crossfade::proxy::strategy
