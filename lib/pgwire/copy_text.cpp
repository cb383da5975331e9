#include "lib/pgwire/copy_text.hpp"

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

}  // namespace crossfade::pgwire
