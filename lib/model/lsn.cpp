#include "lib/model/lsn.hpp"

#include <boost/system/errc.hpp>
#include <charconv>
#include <cstdio>

namespace crossfade::model {

std::string to_string(lsn at) {
    char text[20];
    std::snprintf(text, sizeof text, "%X/%X", static_cast<unsigned>(at.value >> 32), static_cast<unsigned>(at.value));
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
