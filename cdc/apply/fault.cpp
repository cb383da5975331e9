#include "cdc/apply/fault.hpp"

#include <algorithm>
#include <array>
#include <string_view>

namespace crossfade::cdc::apply {

bool is_row_fault(const pgclient::failure& what) {
    if (what.transient()) return false;
    // https://www.postgresql.org/docs/15/errcodes-appendix.html
    constexpr std::array<std::string_view, 12> classes{
        "0A",  // feature not supported
        "21",  // cardinality violation
        "22",  // data exception
        "23",  // integrity constraint violation
        "27",  // triggered data change violation
        "2B",  // dependent privilege descriptors
        "2F",  // SQL routine exception
        "38",  // external routine exception
        "39",  // external routine invocation exception
        "44",  // WITH CHECK OPTION violation
        "54",  // program limit exceeded
        "P0",  // raised by a trigger
    };
    constexpr std::array<std::string_view, 8> states{
        "42703",  // undefined column
        "42P01",  // undefined table
        "42804",  // datatype mismatch
        "42846",  // cannot coerce
        "42883",  // undefined function
        "42704",  // undefined object: a type that is gone
        "428C9",  // generated always
        "55000",  // object not in prerequisite state: a published table without a replica identity
    };
    const std::string_view state = what.sqlstate;
    return std::find(classes.begin(), classes.end(), state.substr(0, 2)) != classes.end() ||
           std::find(states.begin(), states.end(), state) != states.end();
}

}  // namespace crossfade::cdc::apply
