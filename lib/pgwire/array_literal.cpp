#include "lib/pgwire/array_literal.hpp"

#include <utility>

namespace crossfade::pgwire {

namespace {

// Digits, signs, points and colons need no quotes and cannot spell NULL.
bool plain(std::string_view element) {
    if (element.empty()) return false;
    for (const char c : element) {
        if ((c < '0' || c > '9') && c != '-' && c != '.' && c != ':') return false;
    }
    return true;
}

}  // namespace

void array_literal::separate() {
    if (text_.size() > 1) text_ += delimiter_;
}

void array_literal::add(std::string_view element) {
    separate();
    if (plain(element)) {
        text_ += element;
        return;
    }
    text_ += '"';
    for (std::size_t from = 0;;) {
        const auto special = element.find_first_of("\"\\", from);
        text_ += element.substr(from, special - from);
        if (special == std::string_view::npos) break;
        text_ += '\\';
        text_ += element[special];
        from = special + 1;
    }
    text_ += '"';
}

void array_literal::add_null() {
    separate();
    text_ += "NULL";
}

std::string array_literal::take() {
    text_ += '}';
    return std::exchange(text_, "{");
}

}  // namespace crossfade::pgwire
