#include "lib/model/lsn.hpp"

#include <bit>
#include <boost/system/errc.hpp>
#include <charconv>

namespace crossfade::model {

namespace {

// Without leading zeros. Not printf's %X, which takes as long as all else that is done for an event's position.
void append_hexadecimal(std::string& text, std::uint32_t value) {
    constexpr std::string_view digits = "0123456789ABCDEF";
    for (auto left = (std::bit_width(value | 1U) + 3U) / 4U; left-- > 0;) text += digits[value >> 4U * left & 0xFU];
}

}  // namespace

void append(std::string& text, lsn at) {
    append_hexadecimal(text, static_cast<std::uint32_t>(at.value >> 32U));
    text += '/';
    append_hexadecimal(text, static_cast<std::uint32_t>(at.value));
}

std::string to_string(lsn at) {
    std::string text;
    append(text, at);
    return text;
}

boost::system::result<lsn> parse_lsn(std::string_view text) {
    const auto invalid = boost::system::errc::make_error_code(boost::system::errc::invalid_argument);
    const auto slash = text.find('/');
    if (slash == std::string_view::npos) return invalid;

    const auto half = [](std::string_view digits, std::uint32_t& value) {
        if (digits.empty() || digits.size() > 8) return false;
        const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), value, 16);
        return error == std::errc{} && end == digits.data() + digits.size();
    };
    std::uint32_t high = 0;
    std::uint32_t low = 0;
    if (!half(text.substr(0, slash), high) || !half(text.substr(slash + 1), low)) return invalid;
    return lsn{std::uint64_t{high} << 32 | low};
}

}  // namespace crossfade::model
