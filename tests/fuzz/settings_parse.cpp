#include <optional>

#include "lib/settings/load.hpp"
#include "tests/fuzz/input.hpp"

using namespace crossfade;

// Any text is a configuration, or is refused with problems that can be printed.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    const auto nothing = [](std::string_view) -> std::optional<std::string> { return std::nullopt; };
    const auto parsed = settings::parse(fuzz::input(data, size).rest(), "fuzz.yaml", nothing);
    if (parsed) return 0;
    fuzz::require(!parsed.error().problems.empty());
    for (const auto& problem : parsed.error().problems) fuzz::require(!settings::to_string(problem).empty());
    return 0;
}
