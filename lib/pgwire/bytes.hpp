#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

namespace crossfade::pgwire {

// Reads the fields of a message's body. What isn't there is read as zero or empty and leaves the reader failed for
// good, so that a parser checks once, at its end.
class byte_reader {
  public:
    explicit byte_reader(std::string_view bytes) : left_(bytes) {}

    std::uint8_t u8() { return static_cast<std::uint8_t>(number(1)); }
    std::uint16_t u16() { return static_cast<std::uint16_t>(number(2)); }
    std::uint32_t u32() { return number(4); }

    std::string_view bytes(std::size_t count) {
        if (count > left_.size()) return fail();
        const auto taken = left_.substr(0, count);
        left_.remove_prefix(count);
        return taken;
    }

    // Up to a zero byte, which is taken too.
    std::string_view cstring() {
        const auto end = left_.find('\0');
        if (end == std::string_view::npos) return fail();
        const auto taken = left_.substr(0, end);
        left_.remove_prefix(end + 1);
        return taken;
    }

    std::string_view rest() const { return left_; }
    bool failed() const { return failed_; }
    // Whether all was there and nothing is left over.
    bool finished() const { return !failed_ && left_.empty(); }

  private:
    std::string_view fail() {
        failed_ = true;
        left_ = {};
        return {};
    }

    std::uint32_t number(std::size_t width) {
        std::uint32_t value = 0;
        for (const char byte : bytes(width)) value = value << 8 | static_cast<unsigned char>(byte);
        return value;
    }

    std::string_view left_;
    bool failed_ = false;
};

inline void put_u16(std::string& to, std::uint16_t value) {
    to.push_back(static_cast<char>(value >> 8));
    to.push_back(static_cast<char>(value));
}

inline void put_u32(std::string& to, std::uint32_t value) {
    put_u16(to, static_cast<std::uint16_t>(value >> 16));
    put_u16(to, static_cast<std::uint16_t>(value));
}

// A zero byte inside `value` would end it early; callers pass text that came from a cstring or is their own.
inline void put_cstring(std::string& to, std::string_view value) {
    to.append(value);
    to.push_back('\0');
}

// Type byte, length and body.
inline std::string framed(char type, std::string_view body) {
    std::string message(1, type);
    put_u32(message, static_cast<std::uint32_t>(body.size() + 4));
    message.append(body);
    return message;
}

}  // namespace crossfade::pgwire
