#pragma once

#include <cstddef>
#include <sstream>
#include <string>

#include "tests/support/process.hpp"

namespace crossfade::proxy::test {

// A line of /proc/PID/status in bytes: "VmRSS", "VmHWM" (its highest since the start). `process`: "self" or a number.
inline std::size_t memory(const std::string& line, const std::string& process = "self") {
    std::istringstream in{support::read_file("/proc/" + process + "/status")};
    for (std::string word; in >> word;) {
        if (word != line + ":") continue;
        std::size_t kilobytes = 0;
        in >> kilobytes;
        return kilobytes << 10;
    }
    return 0;
}

// Under a sanitizer a process takes several times its memory, and the one for addresses keeps what a test itself has
// freed; what is bounded is bounded there too.
#if defined(__SANITIZE_ADDRESS__)
inline constexpr std::size_t memory_times = 16;
#elif defined(__SANITIZE_THREAD__)
inline constexpr std::size_t memory_times = 4;
#else
inline constexpr std::size_t memory_times = 1;
#endif

}  // namespace crossfade::proxy::test
