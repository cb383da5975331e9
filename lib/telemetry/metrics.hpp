#pragma once

#include <prometheus/registry.h>

#include <string>
#include <string_view>

namespace crossfade::telemetry {

// The registry in Prometheus's text format 0.0.4, as GET /metrics answers.
std::string exposition(const prometheus::Registry& registry);
inline constexpr std::string_view exposition_content_type = "text/plain; version=0.0.4; charset=utf-8";

// Adds crossfade_build_info{program,version} 1.
void add_build_info(prometheus::Registry& registry, std::string_view program);

}  // namespace crossfade::telemetry
