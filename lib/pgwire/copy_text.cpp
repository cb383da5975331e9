#include "lib/pgwire/copy_text.hpp"

#include <algorithm>
#include <utility>

namespace crossfade::pgwire {

void copy_text::separate() {
    if (std::exchange(line_begun_, true)) text_ += '\t';
}

void copy_text::add(std::string_view value) {
    separate();
    for (std::size_t from = 0;;) {
        const auto special = value.find_first_of("\\\t\n\r", from);
        text_ += value.substr(from, special - from);
        if (special == std::string_view::npos) return;
        text_ += '\\';
        switch (value[special]) {
            case '\t':
                text_ += 't';
                break;
            case '\n':
                text_ += 'n';
                break;
            case '\r':
                text_ += 'r';
                break;
            default:
                text_ += '\\';
        }
        from = special + 1;
    }
}

void copy_text::add_null() {
    separate();
    text_ += "\\N";
}

void copy_text::end_line() {
    text_ += '\n';
    line_begun_ = false;
}

std::string copy_text::take() {
    line_begun_ = false;
    return std::exchange(text_, {});
}

std::vector<std::optional<std::string>> copy_text_values(std::string_view line) {
    if (line.ends_with('\n')) line.remove_suffix(1);
    std::vector<std::optional<std::string>> values;
    for (std::size_t from = 0; from <= line.size();) {
        const auto end = std::min(line.find('\t', from), line.size());
        const auto raw = line.substr(from, end - from);
        from = end + 1;
        if (raw == "\\N") {
            values.emplace_back();
            continue;
        }
        auto& value = values.emplace_back(std::string{}).value();
        for (std::size_t i = 0; i < raw.size(); ++i) {
            if (raw[i] != '\\' || i + 1 == raw.size()) {
                value += raw[i];
                continue;
            }
            static constexpr std::string_view letters = "bfnrtv";
            static constexpr std::string_view meant = "\b\f\n\r\t\v";
            const auto known = letters.find(raw[++i]);
            value += known == std::string_view::npos ? raw[i] : meant[known];
        }
    }
    return values;
}

}  // namespace crossfade::pgwire
