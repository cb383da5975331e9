#include "ctl/flip/prepare.hpp"

#include "ctl/catalog/database.hpp"
#include "ctl/exit_code.hpp"
#include "lib/settings/turned.hpp"
#include "lib/store/authority.hpp"

namespace crossfade::ctl::flip {
namespace {

using catalog::ask;
using settings::side;

std::string side_name(side of) {
    return std::string{to_string(of)};
}

// Creating a trigger waits for the writers of its table, and makes others wait behind it.
constexpr const char* lock_timeout = "SET LOCAL lock_timeout = '2s'; SET LOCAL crossfade.fencing = on; ";

int fence(pgclient::connection& on, const std::string& doing, const std::string& publication, bool follows) {
    const auto found = ask(on, doing, store::fenced_tables_sql(), {publication});
    int changed = 0;
    for (int i = 0; i < found.size(); ++i) {
        const std::string table{found.text(i, 1)};
        std::string sql;
        if (!found.boolean(i, 2)) sql += store::create_fence_sql(table) + ';';
        if (follows != found.boolean(i, 3))
            sql += follows ? store::enable_fences_sql({table}) : store::disable_fences_sql({table});
        if (sql.empty()) continue;
        ask(on, doing + " of " + table, "BEGIN; " + std::string{lock_timeout} + sql + "; COMMIT");
        ++changed;
    }
    return changed;
}

}  // namespace

std::vector<step> prepare(const settings::configuration& config, pgclient::connection& legacy,
                          pgclient::connection& modern) {
    const auto& stream = config.stream.name;
    std::vector<step> done;
    const auto rows = [&] {
        auto here = store::load_authority(legacy, stream);
        auto there = store::load_authority(modern, stream);
        if (!here || !there)
            throw stop(exit_code::no,
                       "reading who is the authority: " + to_string(here ? there.error() : here.error()));
        return std::pair{std::move(*here), std::move(*there)};
    };
    auto [here, there] = rows();
    const auto* known = store::newer(here, there);
    const std::string authority = known != nullptr ? known->authority : side_name(config.authority());
    for (auto* each : {&legacy, &modern})
        ask(*each, "noting who is the authority", std::string{store::begin_authority_sql}, {stream, authority});
    if (known != nullptr && known->state != store::handover_state::settled)
        throw stop(exit_code::no, "a flip is under way, or was left behind", "crossfade flip --settle");
    done.push_back({"authority", authority + (known != nullptr ? "" : ", by the file")});

    for (const auto which : {side::legacy, side::modern}) {
        auto& on = which == side::legacy ? legacy : modern;
        const bool follows = side_name(which) != authority;
        const auto publication = "crossfade_" + (which == side::legacy ? stream : settings::back_stream(stream));
        const int changed = fence(on, "fencing " + side_name(which), publication, follows);
        done.push_back({"fence on " + side_name(which),
                        std::string{follows ? "refuses" : "lets pass"} + " the application's writes" +
                            (changed > 0 ? ", set on " + std::to_string(changed) + " tables" : "")});
    }
    return done;
}

}  // namespace crossfade::ctl::flip
