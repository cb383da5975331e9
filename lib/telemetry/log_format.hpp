#pragma once

#include <spdlog/formatter.h>

#include <memory>
#include <string>
#include <string_view>

#include "lib/settings/settings.hpp"

namespace crossfade::telemetry {

// Appends `text` as the inside of a JSON string: always valid UTF-8 without control characters. Bytes that are no UTF-8
// become U+FFFD, so that one odd message cannot break the reader of the whole log.
void append_json_escaped(std::string& to, std::string_view text);

// Appends `text` so that it stays on one line: control characters as \n, \t, \x1b. Other bytes as they are.
void append_one_line(std::string& to, std::string_view text);

// One record, one line, in the given format; see configure_log.
std::unique_ptr<spdlog::formatter> make_formatter(std::string_view program, settings::log_format format);

}  // namespace crossfade::telemetry
