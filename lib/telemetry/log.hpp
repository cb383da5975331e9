#pragma once

#include <spdlog/spdlog.h>

#include <string_view>

#include "lib/settings/settings.hpp"

namespace crossfade::telemetry {

// Sets up spdlog's default logger: stderr, one line a record, level and format by `config`; `program` is in each
// record. JSON records have time (RFC 3339, UTC), level, program, message. May be called again after a reload.
// Use spdlog::info(...) and its kin everywhere. Never row values, parameters, SQL literals or credentials.
void configure_log(std::string_view program, const settings::log& config);

}  // namespace crossfade::telemetry
