#include "ctl/check/judge.hpp"
#include "ctl/check/listing.hpp"

namespace crossfade::ctl::check {

// The stream knows a partition's rows by the identity of the whole, whatever the partition writes of them.
void judge_parts(const catalog::database& legacy, findings& into) {
    constexpr const char* id = "legacy.partition_identity";
    std::vector<std::string> unlike;
    for (const auto& table : legacy.tables)
        for (const auto& part : table.unlike_parts) unlike.push_back(to_string(part));
    if (unlike.empty()) {
        into.ok(id, "partitions are as their tables");
        return;
    }
    into.fail(id,
              "not of their tables' replica identity, so that UPDATE and DELETE are refused there, or come wrongly: " +
                  listing(unlike),
              "crossfade init, which does: " + statements(unlike, [](const auto& name) {
                  return "ALTER TABLE " + name + " REPLICA IDENTITY FULL;";
              }));
}

}  // namespace crossfade::ctl::check
