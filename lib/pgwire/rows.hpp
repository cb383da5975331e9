#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace crossfade::pgwire {

// One DataRow's columns in the format that was asked for; a missing value is NULL. The views are into `body`.
using column_values = std::vector<std::optional<std::string_view>>;

// `body`: without type and length. Nothing when it isn't well-formed.
std::optional<column_values> parse_data_row(std::string_view body);
std::string build_data_row(const std::vector<std::optional<std::string>>& columns);

}  // namespace crossfade::pgwire
