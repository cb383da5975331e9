#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "lib/settings/settings.hpp"

// Texts of single values, both ways. Reading fails with nullopt; bounds are the caller's.
namespace crossfade::settings {

std::string lower_case(std::string_view text);  // ASCII's letters alone
// Letters, digits, hyphens, underscores and dots, neither a hyphen nor a dot in front; up to 253 bytes.
bool is_host_name(std::string_view host);

std::optional<bool> read_boolean(std::string_view text);           // true, yes, on, 1, false, no, off, 0; any case
std::optional<std::uint64_t> read_integer(std::string_view text);  // decimal digits alone
std::optional<double> read_decimal(std::string_view text);         // finite
std::optional<std::chrono::milliseconds> read_duration(std::string_view text);  // 500ms, 5s, 1m, 2h
std::optional<std::uint64_t> read_size(std::string_view text);                  // 4096, 64KiB, 16MiB, 1GiB

// host:port, [::1]:port; port 0 to 65535. A host of digits and dots has to be an IPv4 address.
std::optional<endpoint> read_endpoint(std::string_view text);

// The shortest of the forms above: "1m", "1500ms", "16MiB", "0.0005".
std::string duration_text(std::chrono::milliseconds value);
std::string size_text(std::uint64_t bytes);
std::string decimal_text(double value);
std::string boolean_text(bool value);

}  // namespace crossfade::settings
