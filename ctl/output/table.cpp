#include "ctl/output/table.hpp"

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdio>
#include <utility>

namespace crossfade::ctl::output {

namespace {

std::size_t width(std::string_view text) {
    return static_cast<std::size_t>(
        std::ranges::count_if(text, [](char c) { return (static_cast<unsigned char>(c) & 0xC0U) != 0x80U; }));
}

}  // namespace

void table::add(std::vector<std::string> cells) {
    cells.resize(headings_.size());
    rows_.push_back(std::move(cells));
}

std::string table::render() const {
    std::vector<std::size_t> widths;
    for (const auto& heading : headings_) widths.push_back(width(heading.text));
    for (const auto& row : rows_)
        for (std::size_t i = 0; i < row.size(); ++i) widths[i] = std::max(widths[i], width(row[i]));

    std::string text;
    const auto line = [&](auto cell_of, char fill) {
        std::string made;
        for (std::size_t i = 0; i < headings_.size(); ++i) {
            const std::string cell = cell_of(i);
            const std::string padding(widths[i] - width(cell), fill);
            const bool last = i + 1 == headings_.size();
            if (headings_[i].to == align::right) made += padding;
            made += cell;
            if (headings_[i].to == align::left && (!last || fill != ' ')) made += padding;
            if (!last) made += "  ";
        }
        made.erase(made.find_last_not_of(' ') + 1);
        text += made + '\n';
    };
    line([&](std::size_t i) { return headings_[i].text; }, ' ');
    // Under the last column, whose cells may be long, a rule as wide as its heading will do.
    const std::size_t last_width = headings_.empty() ? 0 : std::exchange(widths.back(), width(headings_.back().text));
    line([](std::size_t) { return std::string{}; }, '-');
    if (!headings_.empty()) widths.back() = last_width;
    for (const auto& row : rows_) line([&](std::size_t i) { return row[i]; }, ' ');
    return text;
}

std::string bytes_text(std::uint64_t bytes) {
    constexpr std::array units{"B", "kB", "MB", "GB", "TB", "PB"};
    auto value = static_cast<double>(bytes);
    std::size_t unit = 0;
    while (value >= 1024 && unit + 1 < units.size()) {
        value /= 1024;
        ++unit;
    }
    char text[40];
    std::snprintf(text, sizeof text, unit == 0 || value >= 100 ? "%.0f %s" : "%.1f %s", value, units[unit]);
    return text;
}

std::string count_text(std::uint64_t count) {
    std::string digits = std::to_string(count);
    for (std::size_t at = digits.size(); at > 3; at -= 3) digits.insert(at - 3, 1, ',');
    return digits;
}

std::string seconds_text(double seconds) {
    char text[40];
    if (seconds < 60) {
        std::snprintf(text, sizeof text, "%.1f s", seconds);
        return text;
    }
    const auto whole = static_cast<long>(std::lround(seconds));
    if (whole < 3600) {
        std::snprintf(text, sizeof text, "%ld min %ld s", whole / 60, whole % 60);
    } else {
        std::snprintf(text, sizeof text, "%ld h %ld min", whole / 3600, whole % 3600 / 60);
    }
    return text;
}

std::string joined(const std::vector<std::string>& parts, std::string_view separator) {
    std::string text;
    for (const auto& part : parts) {
        if (!text.empty()) text += separator;
        text += part;
    }
    return text;
}

}  // namespace crossfade::ctl::output
