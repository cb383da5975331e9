#include "lib/settings/values.hpp"

#include <arpa/inet.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>
#include <utility>

namespace crossfade::settings {
namespace {

struct unit {
    std::string_view name;
    std::uint64_t worth;
};
// The largest first: that is the order in which a value looks for its shortest text.
constexpr unit durations[] = {{"h", 3'600'000}, {"m", 60'000}, {"s", 1000}, {"ms", 1}};
constexpr unit sizes[] = {{"GiB", 1 << 30}, {"MiB", 1 << 20}, {"KiB", 1 << 10}, {"", 1}};

template <std::size_t n>
std::optional<std::uint64_t> read_with_unit(std::string_view text, const unit (&units)[n]) {
    const auto digits = std::min(text.find_first_not_of("0123456789"), text.size());
    const auto number = read_integer(text.substr(0, digits));
    if (!number) return std::nullopt;
    for (const auto& each : units) {
        if (text.substr(digits) != each.name) continue;
        std::uint64_t product = 0;
        if (__builtin_mul_overflow(*number, each.worth, &product)) return std::nullopt;
        return product;
    }
    return std::nullopt;
}

template <std::size_t n>
std::string text_with_unit(std::uint64_t value, const unit (&units)[n]) {
    for (const auto& each : units)
        if (value >= each.worth && value % each.worth == 0)
            return std::to_string(value / each.worth) + std::string(each.name);
    return "0" + std::string(units[n - 1].name);
}

bool is_address(int family, const std::string& host) {
    std::array<unsigned char, sizeof(in6_addr)> ignored{};
    return inet_pton(family, host.c_str(), ignored.data()) == 1;
}

}  // namespace

std::string lower_case(std::string_view text) {
    std::string lower(text);
    for (char& c : lower)
        if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
    return lower;
}

bool is_host_name(std::string_view host) {
    if (host.empty() || host.size() > 253 || host.front() == '-' || host.front() == '.') return false;
    return std::all_of(host.begin(), host.end(), [](char c) {
        return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' || c == '.' ||
               c == '_';
    });
}

std::optional<bool> read_boolean(std::string_view text) {
    const auto lower = lower_case(text);
    for (const char* yes : {"true", "yes", "on", "1"})
        if (lower == yes) return true;
    for (const char* no : {"false", "no", "off", "0"})
        if (lower == no) return false;
    return std::nullopt;
}

std::optional<std::uint64_t> read_integer(std::string_view text) {
    std::uint64_t value = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
    if (error != std::errc{} || end != text.data() + text.size() || text.empty()) return std::nullopt;
    return value;
}

std::optional<double> read_decimal(std::string_view text) {
    double value = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
    if (error != std::errc{} || end != text.data() + text.size() || !std::isfinite(value)) return std::nullopt;
    return value;
}

std::optional<std::chrono::milliseconds> read_duration(std::string_view text) {
    const auto value = read_with_unit(text, durations);
    if (!value || !std::in_range<std::chrono::milliseconds::rep>(*value)) return std::nullopt;
    return std::chrono::milliseconds(static_cast<std::chrono::milliseconds::rep>(*value));
}

std::optional<std::uint64_t> read_size(std::string_view text) {
    return read_with_unit(text, sizes);
}

std::optional<endpoint> read_endpoint(std::string_view text) {
    const auto colon = text.rfind(':');
    if (colon == std::string_view::npos) return std::nullopt;
    const auto port = read_integer(text.substr(colon + 1));
    if (!port || *port > 65535) return std::nullopt;

    std::string host(text.substr(0, colon));
    if (host.size() > 2 && host.front() == '[' && host.back() == ']') {
        host = host.substr(1, host.size() - 2);
        if (!is_address(AF_INET6, host)) return std::nullopt;
    } else if (host.find_first_not_of("0123456789.") == std::string::npos) {
        if (!is_address(AF_INET, host)) return std::nullopt;
    } else if (!is_host_name(host)) {
        return std::nullopt;
    }
    return endpoint{host, static_cast<std::uint16_t>(*port)};
}

std::string duration_text(std::chrono::milliseconds value) {
    return text_with_unit(static_cast<std::uint64_t>(value.count()), durations);
}
std::string size_text(std::uint64_t bytes) {
    return text_with_unit(bytes, sizes);
}

std::string decimal_text(double value) {
    std::array<char, 400> text{};  // the fixed form of any double fits
    const auto [end, error] = std::to_chars(text.data(), text.data() + text.size(), value, std::chars_format::fixed);
    return error == std::errc{} ? std::string(text.data(), end) : std::string("?");
}

std::string boolean_text(bool value) {
    return value ? "true" : "false";
}

}  // namespace crossfade::settings
