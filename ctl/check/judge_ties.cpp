#include "ctl/catalog/ties.hpp"
#include "ctl/check/judge.hpp"
#include "ctl/check/listing.hpp"

namespace crossfade::ctl::check {

void judge_ties(const evidence& of, const catalog::database& legacy, const catalog::database& modern, findings& into) {
    if (!of.stream.by_key()) return;
    const std::string id = "tables.ties";
    const auto tied = catalog::tied_tables(legacy.tables, modern.tables);
    if (tied.empty()) {
        into.ok(id, "no rows of different partitions");
        return;
    }
    std::vector<std::string> names;
    for (const auto& each : tied) names.push_back(to_string(each));
    into.fail(id, "rows that are in several partitions may be in each other's way: " + listing(names),
              "crossfade init --replica-identity-full, which does on legacy: " + statements(tied, [](const auto& each) {
                  return "ALTER TABLE " + to_string(each.name) + " REPLICA IDENTITY FULL;";
              }));
}

}  // namespace crossfade::ctl::check
