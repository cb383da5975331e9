#include "lib/handover/wholeness.hpp"

#include "lib/pgwire/array_literal.hpp"

namespace crossfade::handover {

std::string names_of_moving(const intent& what, const settings::flag_set& groups,
                            const std::vector<store::fenced_table>& of) {
    pgwire::array_literal names;
    for (const auto& each : of)
        if (!each.is_part && moves(what, groups, each)) names.add(to_string(each.stream));
    return names.take();
}

}  // namespace crossfade::handover
