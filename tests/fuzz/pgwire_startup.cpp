#include "lib/pgwire/startup.hpp"
#include "tests/fuzz/input.hpp"

using namespace crossfade;

// What was understood can be said again, and means the same.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    const auto bytes = fuzz::input(data, size).rest();
    const auto extent = pgwire::startup_extent(bytes);
    if (!extent || !extent->complete) return 0;
    fuzz::require(extent->needed <= bytes.size());
    const auto packet = pgwire::parse_startup(bytes.substr(0, extent->needed));
    if (!packet) return 0;

    const std::string built = std::visit([](const auto& one) { return pgwire::build(one); }, *packet);
    const auto again = pgwire::parse_startup(built);
    fuzz::require(again.has_value() && again->index() == packet->index());
    if (const auto* first = std::get_if<pgwire::startup_message>(&*packet)) {
        const auto& second = std::get<pgwire::startup_message>(*again);
        fuzz::require(first->version == second.version && first->parameters == second.parameters);
    }
    return 0;
}
