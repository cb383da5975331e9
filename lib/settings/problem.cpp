#include <cstdlib>
#include <stdexcept>

#include "lib/settings/load.hpp"

namespace crossfade::settings {

std::string to_string(const problem& what) {
    std::string text = what.file;
    if (what.line > 0) text += ':' + std::to_string(what.line);
    if (!what.key.empty()) text += ": " + what.key;
    if (!what.found.empty()) text += ": found " + what.found;
    if (!what.allowed.empty()) text += (what.found.empty() ? ": " : "; ") + ("allowed: " + what.allowed);
    return text;
}

void throw_exception_from_error(const refusal& refused, const boost::source_location&) {
    std::string text = "the configuration was refused";
    for (const auto& each : refused.problems) text += "\n" + to_string(each);
    throw std::runtime_error(text);
}

environment process_environment() {
    return [](std::string_view name) -> std::optional<std::string> {
        // Nothing in these programs calls setenv, so that getenv is safe in any thread.
        const char* value = std::getenv(std::string(name).c_str());  // NOLINT(concurrency-mt-unsafe)
        if (value == nullptr) return std::nullopt;
        return value;
    };
}

}  // namespace crossfade::settings
