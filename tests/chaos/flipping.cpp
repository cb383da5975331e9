#include "tests/chaos/flipping.hpp"

#include <algorithm>
#include <exception>

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

std::string in_the_way(const landscape& world, const std::string& to) {
    std::string last;
    support::eventually(120s, [&] {
        const auto asked = world.crossfade({"flip", "--to", to, "--dry-run"});
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
