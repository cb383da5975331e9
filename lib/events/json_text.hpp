#pragma once

#include <cstddef>
#include <string>
#include <string_view>

// Pieces of JSON, appended to a text (RFC 8259).
namespace crossfade::events {

// Length of the UTF-8 sequence at the front of a text that isn't empty; 0 for bytes that are none (Unicode's table 3-7:
// no overlong forms, no surrogates, nothing beyond U+10FFFF).
std::size_t utf8_length(std::string_view text);

// A string in quotes. Bytes that are no UTF-8, which a database with encoding SQL_ASCII may keep, become U+FFFD.
void append_json_string(std::string& to, std::string_view text);

// A string in quotes of base64 (RFC 4648, with padding): for bytes that are no text.
void append_json_base64(std::string& to, std::string_view bytes);

// Whether the text is a number as JSON writes it, so that it may stand without quotes. "NaN", "007" and "" are none.
bool is_json_number(std::string_view text);

}  // namespace crossfade::events
