#pragma once

#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <variant>

#include "proxy/portrait/question.hpp"

namespace crossfade::proxy::portrait {

// What the functions of a database may set without its clients' texts saying so: triggers and procedures too. Read from
// their source, once before sessions are asked. Functions in C are not looked into.
struct function_survey {
    std::set<std::string> own_settings;  // names to be asked for, in lower case; more than there are does no harm
    bool complete = true;                // false: a function makes up the name when it runs
    std::string edition{};               // of the functions; another one than a portrait's: they have changed since
};

// Its rows have one column. For any session of the database; it takes a look at each function.
std::string_view survey_sql();
// One of those rows.
void add(function_survey& to, std::optional<std::string_view> name);

// The messages that ask it in a client's session, with the question's care for what that session has (question.hpp).
std::string build_survey();

// Reads the answer to those. After a refusal statements of ours may be left in the session.
class survey_answer {
  public:
    // More names count as not complete.
    static constexpr std::size_t most_names = 10'000;

    using outcome = std::variant<function_survey, refused, misbehaved>;
    // The next message; what all of them said, once the last has come.
    std::optional<outcome> take(char type, std::string_view body);

  private:
    void take_edition(std::string_view body);
    void take_row(std::string_view body);

    function_survey found_;
    unsigned completed_ = 0;
    bool malformed_ = false;
    std::string error_;
};

}  // namespace crossfade::proxy::portrait
