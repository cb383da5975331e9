#pragma once

#include <cstdint>

namespace crossfade::support {

// A TCP port on the loopback that nobody listens on, and that no other process gets from here for as long as this one
// lives. Outside the range that the kernel gives to outgoing connections.
std::uint16_t free_port();

}  // namespace crossfade::support
