#pragma once

// What the bytes of a text are to PostgreSQL's scanner (scan.l).
namespace crossfade::sql {

constexpr bool is_digit(char byte) {
    return byte >= '0' && byte <= '9';
}

// Of names, keywords and numbers; a dollar sign, which may come within a name, is none of them.
constexpr bool continues_word(char byte) {
    return is_digit(byte) || (byte >= 'a' && byte <= 'z') || (byte >= 'A' && byte <= 'Z') || byte == '_' ||
           static_cast<unsigned char>(byte) >= 0x80;
}

}  // namespace crossfade::sql
