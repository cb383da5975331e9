#include "ctl/flip/display.hpp"

#include <string>

#include "ctl/exit_code.hpp"
#include "ctl/output/table.hpp"

namespace crossfade::ctl::flip {

void require_both_ways(const context& in) {
    if (in.config.stream.both_ways) return;
    throw stop(exit_code::usage, "stream.both_ways is false: changes of modern would not come back to legacy",
               "stream.both_ways: true, crossfade init, and a restart of the programs");
}

void print(const context& in, const preflight::findings& found) {
    output::table table({{"gate"}, {"verdict"}, {"found"}});
    for (const auto& each : found.all())
        table.add({each.id, std::string{to_string(each.outcome)},
                   each.found + (each.mend.empty() ? "" : "; way out: " + each.mend)});
    in.out << table.render() << '\n';
}

boost::json::array gates_json(const preflight::findings& found) {
    boost::json::array all;
    for (const auto& each : found.all())
        all.push_back(
            {{"gate", each.id}, {"verdict", to_string(each.outcome)}, {"found", each.found}, {"way_out", each.mend}});
    return all;
}

}  // namespace crossfade::ctl::flip
