#include "lib/store/applied.hpp"

#include <charconv>
#include <random>

namespace crossfade::store {

namespace {

constexpr std::string_view applied_word = "mark ";

}  // namespace

std::string to_string(const mark& of) {
    return std::to_string(of.asker) + ' ' + std::to_string(of.number);
}

std::optional<mark> parse_mark(std::string_view text) {
    mark found;
    const char* const end = text.data() + text.size();
    const auto asker = std::from_chars(text.data(), end, found.asker);
    if (asker.ec != std::errc{} || asker.ptr == end || *asker.ptr != ' ') return std::nullopt;
    const auto number = std::from_chars(asker.ptr + 1, end, found.number);
    if (number.ec != std::errc{} || number.ptr != end) return std::nullopt;
    return found;
}

marker::marker() {
    std::random_device random;
    asker_ = (std::uint64_t{random()} << 32U) | random();
}

std::string applied_payload(std::string_view stream, const mark& newest) {
    return std::string{applied_word} + to_string(newest) + ' ' + std::string{stream};
}

std::optional<mark> read_applied(std::string_view payload, std::string_view stream) {
    if (!payload.starts_with(applied_word)) return std::nullopt;
    payload.remove_prefix(applied_word.size());
    const auto space = payload.rfind(' ');
    if (space == std::string_view::npos || payload.substr(space + 1) != stream) return std::nullopt;
    return parse_mark(payload.substr(0, space));
}

}  // namespace crossfade::store
