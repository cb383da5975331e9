#include "tests/chaos/flipping.hpp"

#include <algorithm>
#include <exception>

#include "lib/pgclient/connection.hpp"
#include "tests/support/eventually.hpp"
#include "tests/support/programs.hpp"

namespace crossfade::chaos {
namespace {

using namespace std::chrono_literals;

bool stands_still(pid_t process) {
    const auto status = support::read_file("/proc/" + std::to_string(process) + "/stat");
    const auto name_ends = status.rfind(") ");
    return name_ends != std::string::npos && status.at(name_ends + 2) == 'T';
}

}  // namespace

std::string in_the_way(const landscape& world, const std::string& to, const std::vector<std::string>& scope) {
    std::vector<std::string> arguments{"flip", "--to", to, "--dry-run"};
    arguments.insert(arguments.end(), scope.begin(), scope.end());
    std::string last;
    support::eventually(120s, [&] {
        const auto asked = world.crossfade(arguments);
        last = asked.exit_code == 0 ? "" : asked.output + asked.errors;
        return last.empty();
    });
    return last;
}

std::string authority(const landscape& world) {
    try {
        std::string newest;
        long epoch = 0;
        for (const auto* side : {&world.legacy, &world.modern}) {
            const auto row = side->exec("SELECT epoch, authority, state FROM crossfade.authority").at(0);
            if (row[2] != "settled") return {};
            if (std::stol(row[0]) > epoch) newest = row[1];
            epoch = std::max(epoch, std::stol(row[0]));
        }
        const auto fences = [](const support::postgres_cluster& side, const std::string& as) {
            return side.value("SELECT count(*) > 0 AND bool_and(" + as +
                              ") FROM pg_trigger WHERE tgname = 'crossfade_fence'") == "t";
        };
        const bool on_modern = newest == "modern";
        const auto& in_charge = on_modern ? world.modern : world.legacy;
        const auto& follows = on_modern ? world.legacy : world.modern;
        return fences(in_charge, "tgenabled = 'D'") && fences(follows, "tgenabled <> 'D'") ? newest : std::string{};
    } catch (const std::exception&) {
        return {};  // one of them is away
    }
}

std::string taken_on_the_wrong_side(const landscape& world, const std::string& table, const std::string& tenant) {
    struct change {
        std::string fenced;
        std::string decided;
        bool to_modern;
    };
    const auto whose = pgclient::quote_literal(tenant);
    std::vector<change> all;
    for (const auto* side : {&world.legacy, &world.modern})
        for (const auto& row : side->exec("SELECT fenced_at, decided_at, to_side = 'modern' FROM crossfade.flips"
                                          " WHERE decided_at IS NOT NULL AND tenant IN ('', " +
                                          whose + ')'))
            all.push_back({row[0], row[1], row[2] == "t"});
    std::ranges::sort(all, {}, &change::decided);
    std::string found;
    std::string from = "-infinity";
    bool on_modern = false;
    const auto look = [&](const std::string& since, const std::string& until, const std::string& more,
                          const std::string& remark) {
        for (const auto& row : world.modern.exec("SELECT tag, port, taken_at FROM " + table + " WHERE taken_at > '" +
                                                 since + "' AND taken_at < '" + until + '\'' +
                                                 (tenant.empty() ? "" : " AND tenant = " + whose) + more))
            found += row[0] + " by " + row[1] + " at " + row[2] + remark + '\n';
    };
    const auto look_before = [&](const std::string& until) {
        const auto wrong = on_modern ? world.legacy.port() : world.modern.port();
        look(from, until, " AND port = " + std::to_string(wrong), "");
    };
    for (const auto& each : all) {
        // What moves nothing of these leaves them where they are.
        if (each.to_modern == on_modern) continue;
        look_before(each.fenced);
        // Between the fence and the decision nobody takes any.
        look(each.fenced, each.decided, "", ", behind the fence");
        from = each.decided;
        on_modern = each.to_modern;
    }
    look_before("infinity");
    return found;
}

bool armed_flip::arrives() {
    return support::eventually(60s, [&] { return !flip_.running() || stands_still(flip_.pid()); });
}

support::process_options armed_flip::options_of(const landscape& world, const std::string& to, const std::string& armed,
                                                const std::vector<std::string>& more) {
    support::process_options made{.argv = {support::program_path("crossfade").string(), "--config",
                                           world.proxy.config_path().string(), "flip", "--to", to},
                                  .log = dir_.path() / "log"};
    if (!armed.empty()) made.environment.emplace_back("CROSSFADE_FAILPOINT", armed);
    made.argv.insert(made.argv.end(), more.begin(), more.end());
    return made;
}

}  // namespace crossfade::chaos
