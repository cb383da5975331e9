#include "lib/sql/nesting.hpp"

#include <algorithm>
#include <utility>
#include <vector>

#include "lib/sql/characters.hpp"
#include "lib/sql/parse_tree.hpp"

namespace crossfade::sql {
namespace {

// One pair of brackets, or CASE and END.
struct level {
    PgQuery__Token closed_by;
    unsigned chained = 0;          // what commas, AND and OR do not end
    unsigned operand = 0;          // since the last of them
    unsigned within = 0;           // the deepest of the brackets since then
    unsigned deepest_operand = 0;  // of those that have ended
    unsigned betweens = 0;         // whose AND is still to come

    void end_operand() {
        deepest_operand = std::max(deepest_operand, operand + within);
        operand = within = 0;
    }
    unsigned depth() {
        end_operand();
        return chained + deepest_operand;
    }
};

class nesting {
  public:
    void take(PgQuery__Token token) {
        if (token == PG_QUERY__TOKEN__SQL_COMMENT || token == PG_QUERY__TOKEN__C_COMMENT) return;
        // "t.or" and "t.end" are columns, and neither ends anything.
        const bool is_name = std::exchange(after_dot_, token == PG_QUERY__TOKEN__ASCII_46);
        if (is_name && token != PG_QUERY__TOKEN__ASCII_42) return;
        switch (token) {
            case PG_QUERY__TOKEN__IDENT:
            case PG_QUERY__TOKEN__UIDENT:
            case PG_QUERY__TOKEN__ICONST:
            case PG_QUERY__TOKEN__FCONST:
            case PG_QUERY__TOKEN__SCONST:
            case PG_QUERY__TOKEN__USCONST:
            case PG_QUERY__TOKEN__BCONST:
            case PG_QUERY__TOKEN__XCONST:
            case PG_QUERY__TOKEN__PARAM:
            case PG_QUERY__TOKEN__ASCII_46:  // .
                return;
            case PG_QUERY__TOKEN__ASCII_44:  // ,
            case PG_QUERY__TOKEN__OR:
                return innermost().end_operand();
            case PG_QUERY__TOKEN__AND:
                return conjunction();
            case PG_QUERY__TOKEN__ASCII_59:  // ;
                return end_statement();
            case PG_QUERY__TOKEN__BETWEEN:
                ++innermost().betweens;
                ++innermost().operand;
                return;
            case PG_QUERY__TOKEN__UNION:
            case PG_QUERY__TOKEN__INTERSECT:
            case PG_QUERY__TOKEN__EXCEPT:
            case PG_QUERY__TOKEN__JOIN:
                ++innermost().chained;
                return;
            case PG_QUERY__TOKEN__ASCII_40:  // (
                return open(PG_QUERY__TOKEN__ASCII_41);
            case PG_QUERY__TOKEN__ASCII_91:  // [
                return open(PG_QUERY__TOKEN__ASCII_93);
            case PG_QUERY__TOKEN__CASE:
                return open(PG_QUERY__TOKEN__END_P);
            default:
                if (levels_.size() > 1 && token == innermost().closed_by)
                    close();
                else
                    ++innermost().operand;
        }
    }

    unsigned depth() {
        end_statement();
        return deepest_statement_;
    }

  private:
    level& innermost() { return levels_.back(); }

    void conjunction() {
        if (innermost().betweens == 0) return innermost().end_operand();
        --innermost().betweens;
        ++innermost().operand;
    }

    void open(PgQuery__Token closed_by) { levels_.push_back({.closed_by = closed_by, .chained = 1}); }
    void close() {
        const auto inner = innermost().depth();
        levels_.pop_back();
        innermost().within = std::max(innermost().within, inner);
    }

    void end_statement() {
        while (levels_.size() > 1) close();
        deepest_statement_ = std::max(deepest_statement_, innermost().depth());
        levels_ = {{.closed_by = PG_QUERY__TOKEN__NUL}};
    }

    std::vector<level> levels_{{.closed_by = PG_QUERY__TOKEN__NUL}};
    unsigned deepest_statement_ = 0;
    bool after_dot_ = false;
};

// No text has more tokens that count than it has words and other visible characters, whatever of it is a literal. That
// is enough for nearly all statements, at a fraction of a scan's cost.
bool is_short_of_tokens(const char* text) {
    unsigned tokens = 0;
    bool in_word = false;
    for (; *text != '\0' && tokens <= deepest_nesting; ++text) {
        const bool word = continues_word(*text);
        if (word && !in_word)
            // The next token may follow a number without a blank: "1or 2".
            tokens += is_digit(*text) ? 2 : 1;
        else if (!word && *text > ' ' && *text != ',' && *text != '.')
            ++tokens;
        in_word = word;
    }
    return tokens <= deepest_nesting;
}

}  // namespace

bool may_nest_too_deep(const char* text) {
    return !is_short_of_tokens(text) && nesting_bound(text) > deepest_nesting;
}

unsigned nesting_bound(const char* text) {
    const token_list scanned(text);
    nesting found;
    // What can't be cut into tokens has no tree.
    for (const auto* token : scanned.tokens()) found.take(token->token);
    return found.depth();
}

}  // namespace crossfade::sql
