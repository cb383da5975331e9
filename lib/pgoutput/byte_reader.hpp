#pragma once

#include <chrono>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "lib/model/change.hpp"

namespace crossfade::pgoutput {

// Microseconds from the Unix epoch to PostgreSQL's, 2000-01-01.
inline constexpr std::uint64_t postgres_epoch = 946684800000000U;

// Reads PostgreSQL's network format. After the first thing that isn't there, all that follows is zero and ok() is
// false: callers read a whole message and ask once.
class byte_reader {
  public:
    explicit byte_reader(std::string_view bytes) : rest_(bytes) {}

    template <std::unsigned_integral T>
    T integer() {
        if (!has(sizeof(T))) return 0;
        T value = 0;
        for (std::size_t i = 0; i < sizeof(T); ++i)
            value = static_cast<T>((value << 8U % (sizeof(T) * 8)) | static_cast<unsigned char>(rest_[i]));
        rest_.remove_prefix(sizeof(T));
        return value;
    }
    std::uint8_t byte() {
        if (!has(1)) return 0;
        const auto value = static_cast<std::uint8_t>(rest_.front());
        rest_.remove_prefix(1);
        return value;
    }
    model::lsn lsn() { return {integer<std::uint64_t>()}; }
    model::source_time time() {
        // Unsigned, so that a wild value wraps instead of being undefined.
        const auto since_unix_epoch = static_cast<std::int64_t>(integer<std::uint64_t>() + postgres_epoch);
        return model::source_time{std::chrono::microseconds{since_unix_epoch}};
    }
    // Up to a NUL, which is taken too.
    std::string_view c_string() {
        const auto length = rest_.find('\0');
        if (length == std::string_view::npos) {
            fail();
            return {};
        }
        const auto value = rest_.substr(0, length);
        rest_.remove_prefix(length + 1);
        return value;
    }
    std::string_view bytes(std::size_t length) {
        if (!has(length)) return {};
        const auto value = rest_.substr(0, length);
        rest_.remove_prefix(length);
        return value;
    }
    std::string_view remaining() const { return rest_; }

    void fail() {
        ok_ = false;
        rest_ = {};
    }
    bool ok() const { return ok_; }
    bool ok_and_empty() const { return ok_ && rest_.empty(); }

  private:
    bool has(std::size_t count) {
        if (rest_.size() >= count) return true;
        fail();
        return false;
    }

    std::string_view rest_;
    bool ok_ = true;
};

}  // namespace crossfade::pgoutput
