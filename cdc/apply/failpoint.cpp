#include "cdc/apply/failpoint.hpp"

#include <atomic>
#include <csignal>
#include <cstdlib>
#include <string>

namespace crossfade::cdc::apply {

namespace {

struct armed_point {
    std::string name;
    std::atomic<long> left{1};

    armed_point() {
        // Nobody in this process changes the environment.
        const char* armed = std::getenv("CROSSFADE_FAILPOINT");  // NOLINT(concurrency-mt-unsafe)
        if (armed == nullptr) return;
        name = armed;
        if (const auto colon = name.find(':'); colon != std::string::npos) {
            left = std::strtol(name.c_str() + colon + 1, nullptr, 10);
            name.resize(colon);
        }
    }
};

}  // namespace

void failpoint(std::string_view name) {
    static armed_point armed;
    if (armed.name.empty() || armed.name != name) return;
    if (--armed.left == 0) std::raise(SIGKILL);
}

}  // namespace crossfade::cdc::apply
