#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace crossfade::pgoutput {

// Writes PostgreSQL's network format, as a walsender does.
class bytes {
  public:
    bytes& raw(std::string_view text) {
        made_ += text;
        return *this;
    }
    bytes& i8(unsigned value) { return number(value, 1); }
    bytes& i16(unsigned value) { return number(value, 2); }
    bytes& i32(std::uint32_t value) { return number(value, 4); }
    bytes& i64(std::uint64_t value) { return number(value, 8); }
    bytes& c_string(std::string_view text) { return raw(text).i8(0); }
    bytes& text_cell(std::string_view text) { return raw("t").i32(static_cast<std::uint32_t>(text.size())).raw(text); }

    operator std::string_view() const { return made_; }
    const std::string& str() const { return made_; }

  private:
    bytes& number(std::uint64_t value, unsigned width) {
        for (unsigned i = width; i-- > 0;) made_ += static_cast<char>(value >> (8 * i));
        return *this;
    }
    std::string made_;
};

}  // namespace crossfade::pgoutput
