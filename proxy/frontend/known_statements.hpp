#pragma once

#include <cstddef>
#include <map>
#include <memory>
#include <string>
#include <string_view>

#include "lib/sql/statement.hpp"
#include "proxy/portrait/notebook.hpp"
#include "proxy/portrait/portrait.hpp"

namespace crossfade::proxy::frontend {

// What a session's client has prepared, as far as it is understood. For the thread of the session's loop.
class known_statements {
  public:
    using statement = std::shared_ptr<const sql::statement>;  // null: not understood
    // Of a session; others are forgotten, and may do anything.
    static constexpr std::size_t most_names = 1000;
    static constexpr std::size_t most_bytes = std::size_t{4} << 20;

    enum class acquaintance { from_the_start, late };
    explicit known_statements(acquaintance with_the_session)
        : complete_(with_the_session == acquaintance::from_the_start) {}

    void remember(std::string_view name, statement it);
    // The statement of a text with one; null for others.
    static statement only(const std::shared_ptr<const sql::understanding>& known);
    // Those that a text prepares by PREPARE.
    void remember_prepared_by(const std::shared_ptr<const sql::understanding>& known);
    statement find(std::string_view name) const;

    // Whether the database is to be asked what is prepared, as there may be statements from before; once.
    bool wants_to_learn() const { return !complete_; }
    void learns() { complete_ = true; }
    void learn(portrait::notebook& notes, const std::map<std::string, portrait::prepared_statement>& prepared);

    std::size_t kept_bytes() const { return kept_; }

  private:
    bool complete_;
    struct kept {
        statement it;
        std::size_t bytes = 0;
    };
    std::map<std::string, kept, std::less<>> by_name_;
    std::size_t kept_ = 0;
};

}  // namespace crossfade::proxy::frontend
