#include "lib/model/position.hpp"

#include <array>
#include <charconv>

namespace crossfade::model {

namespace {

void append_decimal(std::string& text, std::uint64_t value) {
    std::array<char, 20> digits{};
    text.append(digits.data(), std::to_chars(digits.data(), digits.data() + digits.size(), value).ptr);
}

}  // namespace

void append(std::string& text, const position& at) {
    append_decimal(text, at.system_identifier);
    text += '/';
    append_decimal(text, at.timeline);
    text += '/';
    append(text, at.commit_lsn);
    text += '/';
    append_decimal(text, at.ordinal);
}

std::string to_string(const position& at) {
    std::string text;
    append(text, at);
    return text;
}

std::string to_string(const place& at) {
    return to_string(at.commit_lsn) + " (" + std::to_string(at.ordinal) + ')';
}

}  // namespace crossfade::model
