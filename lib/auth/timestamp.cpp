#include <algorithm>
#include <charconv>

#include "lib/auth/credential.hpp"

namespace crossfade::auth {
namespace {

using namespace std::chrono;

class text_reader {
  public:
    explicit text_reader(std::string_view text) : left_(text) {}

    bool take(std::string_view what) {
        if (!left_.starts_with(what)) return false;
        left_.remove_prefix(what.size());
        return true;
    }
    // A number of `least` to `most` digits, all that there are.
    std::optional<int> digits(std::size_t least, std::size_t most) {
        const auto count = std::min(left_.find_first_not_of("0123456789"), left_.size());
        int value = 0;
        if (count < least || count > most) return std::nullopt;
        std::from_chars(left_.data(), left_.data() + count, value);
        left_.remove_prefix(count);
        return value;
    }
    // The digits behind a point, six at most.
    std::optional<microseconds> fraction() {
        const auto before = left_.size();
        auto value = digits(1, 6);
        if (!value) return std::nullopt;
        for (auto count = before - left_.size(); count < 6; ++count) *value *= 10;
        return microseconds{*value};
    }
    bool ended() const { return left_.empty(); }

  private:
    std::string_view left_;
};

struct civil {
    int year = 0, month = 0, day = 0;
};

std::optional<civil> read_date(text_reader& from) {
    const auto y = from.digits(4, 6);
    const auto m = from.take("-") ? from.digits(2, 2) : std::nullopt;
    const auto d = from.take("-") ? from.digits(2, 2) : std::nullopt;
    if (!y || !m || !d) return std::nullopt;
    return civil{*y, *m, *d};
}

std::optional<microseconds> read_time(text_reader& from) {
    const auto h = from.digits(2, 2);
    const auto m = from.take(":") ? from.digits(2, 2) : std::nullopt;
    const auto s = from.take(":") ? from.digits(2, 2) : std::nullopt;
    if (!h || !m || !s || *h > 24 || *m > 59 || *s > 60) return std::nullopt;
    microseconds time = hours{*h} + minutes{*m} + seconds{*s};
    if (from.take(".")) {
        const auto part = from.fraction();
        if (!part) return std::nullopt;
        time += *part;
    }
    return time;
}

// "+00", "-03:30", "+05:53:28": what has to be added to Greenwich's time to have this one.
std::optional<seconds> read_offset(text_reader& from) {
    const int sign = from.take("+") ? 1 : from.take("-") ? -1 : 0;
    const auto h = from.digits(2, 2);
    const auto m = from.take(":") ? from.digits(2, 2) : 0;
    const auto s = m && from.take(":") ? from.digits(2, 2) : 0;
    if (sign == 0 || !h || !m || !s || *h > 15 || *m > 59 || *s > 59) return std::nullopt;
    return sign * (hours{*h} + minutes{*m} + seconds{*s});
}

}  // namespace

std::optional<wall_time> parse_timestamp(std::string_view text) {
    if (text == "infinity") return wall_time::max();
    if (text == "-infinity") return wall_time::min();
    text_reader from(text);
    const auto date = read_date(from);
    if (!date || !from.take(" ")) return std::nullopt;
    const auto time = read_time(from);
    const auto offset = time ? read_offset(from) : std::nullopt;
    const bool before_christ = from.take(" BC");
    if (!offset || !from.ended()) return std::nullopt;

    // Months and days don't depend on the century, so that a year at hand shows whether there is such a day.
    const auto sound = year{before_christ || date->year > 9999 ? 2000 : date->year} /
                       month{static_cast<unsigned>(date->month)} / day{static_cast<unsigned>(date->day)};
    if (!sound.ok()) return std::nullopt;
    if (before_christ) return wall_time::min();
    if (date->year > 9999) return wall_time::max();
    return wall_time{sys_days{sound}} + *time - *offset;
}

}  // namespace crossfade::auth
