#pragma once

#include <cstddef>
#include <string_view>

#include "lib/pgwire/bytes.hpp"

// Of a message that is looked at with its type and length.
namespace crossfade::proxy::frontend {

inline constexpr std::size_t header_size = 5;

// All of it; its beginning alone has to be there.
inline std::size_t size_of(std::string_view message) {
    return 1 + std::size_t{pgwire::byte_reader{message.substr(1, 4)}.u32()};
}

inline std::string_view body_of(std::string_view message) {
    return message.substr(header_size);
}

}  // namespace crossfade::proxy::frontend
