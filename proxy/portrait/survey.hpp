#pragma once

#include <optional>
#include <set>
#include <string>
#include <string_view>

namespace crossfade::proxy::portrait {

// What the functions of a database may set without its clients' texts saying so: triggers and procedures too. Read from
// their source, once before sessions are asked. Functions in C are not looked into.
struct function_survey {
    std::set<std::string> own_settings;  // names to be asked for, in lower case; more than there are does no harm
    bool complete = true;                // false: a function makes up the name when it runs
};

// Its rows have one column. For any session of the database; it takes a look at each function.
std::string_view survey_sql();
// One of those rows.
void add(function_survey& to, std::optional<std::string_view> name);

}  // namespace crossfade::proxy::portrait
