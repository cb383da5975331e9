#include "lib/settings/clashes.hpp"

#include "lib/settings/section.hpp"
#include "lib/settings/turned.hpp"

namespace crossfade::settings {

std::vector<clash> clashes(const configuration& of) {
    std::vector<clash> found;
    const auto& stream = of.stream;
    const auto& flags = of.flags;
    const auto& console = of.proxy.console;
    if (console.enabled() && (console.database == of.legacy.dbname || console.database == of.modern.dbname))
        found.push_back({"proxy.console.database", quote_found(console.database),
                         "another name than the application's database has"});
    if (flags.has(write_strategy::mirror) && stream.by_key())
        found.push_back({"stream.ordering", "'key' with dual_write_strategy: mirror",
                         "transaction (commits that wait for the follower need commit order)"});
    if (flags.may_read_at_follower() && stream.by_key())
        found.push_back({"stream.ordering", "'key' with hybrid_read_strategy on modern under legacy",
                         "transaction (how far modern is behind is told in commit order)"});
    if (flags.has(write_strategy::prefer_modern) && !stream.both_ways)
        found.push_back({"stream.both_ways", "'false' with dual_write_strategy: prefer-modern",
                         "true (modern's changes go to legacy by a stream of their own)"});
    if (stream.both_ways && stream.by_key())
        found.push_back({"stream.ordering", "'key' with stream.both_ways",
                         "transaction (a flip waits for one place in commit order)"});
    if (stream.both_ways && stream.name.size() > longest_name_both_ways)
        found.push_back(
            {"stream.name", quote_found(stream.name) + " with stream.both_ways",
             std::to_string(longest_name_both_ways) + " characters at most, as the way back's ends in _back"});
    if (flags.has_to_fail() && of.proxy.mirror_connections == 0)
        found.push_back({"proxy.mirror_connections", "'0' with on_mirror_failure: fail",
                         "1 to 1000 (what the stream alone brings is committed on legacy already)"});
    if (!flags.tenants().empty() && of.tenants.session == tenant_source::none && of.tenants.column.empty())
        found.push_back({"tenants.overrides", "overrides for tenants that nothing tells apart",
                         "tenants.session or tenants.column beside them"});
    return found;
}

}  // namespace crossfade::settings
