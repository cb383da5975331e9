#pragma once

#include <string>
#include <string_view>

// Pieces of JSON, appended to a text (RFC 8259).
namespace crossfade::events {

// A string in quotes. Bytes that are no UTF-8, which a database with encoding SQL_ASCII may keep, become U+FFFD.
void append_json_string(std::string& to, std::string_view text);

// A string in quotes of base64 (RFC 4648, with padding): for bytes that are no text.
void append_json_base64(std::string& to, std::string_view bytes);

// Whether the text is a number as JSON writes it, so that it may stand without quotes. "NaN", "007" and "" are none.
bool is_json_number(std::string_view text);

}  // namespace crossfade::events
