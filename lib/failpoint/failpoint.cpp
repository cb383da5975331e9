#include "lib/failpoint/failpoint.hpp"

#include <spdlog/spdlog.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <charconv>
#include <csignal>
#include <cstdlib>
#include <string>

namespace crossfade::failpoint {
namespace {

constexpr int usage_error = 2;

struct armed_place {
    std::string name;  // empty: none
    std::atomic<long> left{1};
    int signal = SIGKILL;

    armed_place() {
        // Nobody in this process changes the environment.
        const char* const variable = std::getenv("CROSSFADE_FAILPOINT");  // NOLINT(concurrency-mt-unsafe)
        if (variable != nullptr && !read(variable)) {
            spdlog::critical(
                "CROSSFADE_FAILPOINT: found '{}'; allowed: name, name:n or name:n:stop, with a name of "
                "lib/failpoint/failpoint.hpp",
                variable);
            ::_exit(usage_error);
        }
    }

    bool read(std::string_view text) {
        const auto colon = std::min(text.find(':'), text.size());
        name = text.substr(0, colon);
        if (std::ranges::find(places, name, &place::name) == places.end()) return false;
        if (colon == text.size()) return true;
        text.remove_prefix(colon + 1);
        long count = 0;
        const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), count);
        if (error != std::errc{} || count < 1) return false;
        left = count;
        text.remove_prefix(static_cast<std::size_t>(end - text.data()));
        if (text == ":stop") signal = SIGSTOP;
        return text.empty() || signal == SIGSTOP;
    }
};

}  // namespace

void pass(listed name) {
    static armed_place armed;
    if (armed.name.empty() || armed.name != name.text) return;
    if (--armed.left == 0) std::raise(armed.signal);
}

}  // namespace crossfade::failpoint
