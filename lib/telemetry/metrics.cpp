#include "lib/telemetry/metrics.hpp"

#include <prometheus/gauge.h>
#include <prometheus/text_serializer.h>

#include "lib/telemetry/version.hpp"

namespace crossfade::telemetry {

std::string exposition(const prometheus::Registry& registry) {
    return prometheus::TextSerializer{}.Serialize(registry.Collect());
}

void add_build_info(prometheus::Registry& registry, std::string_view program) {
    prometheus::BuildGauge()
        .Name("crossfade_build_info")
        .Help("The program and its version; always 1.")
        .Register(registry)
        .Add({{"program", std::string{program}}, {"version", std::string{version}}})
        .Set(1);
}

}  // namespace crossfade::telemetry
