#pragma once

#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string_view>

namespace crossfade::fuzz {

// What a fuzzer is given, eaten from the front. An exhausted input yields zeros and nothing.
class input {
  public:
    input(const std::uint8_t* data, std::size_t size) : left_(reinterpret_cast<const char*>(data), size) {}

    std::uint8_t byte() { return static_cast<std::uint8_t>(left_.empty() ? '\0' : take(1).front()); }
    std::string_view take(std::size_t most) {
        const auto taken = left_.substr(0, most);
        left_.remove_prefix(taken.size());
        return taken;
    }
    // A length of one byte, and as much.
    std::string_view chunk() { return take(byte()); }
    std::string_view rest() { return take(left_.size()); }
    bool empty() const { return left_.empty(); }

  private:
    std::string_view left_;
};

// An assert that no build leaves out.
inline void require(bool holds) {
    if (!holds) std::abort();
}

}  // namespace crossfade::fuzz
