#pragma once

#include <boost/system/result.hpp>
#include <cstdint>
#include <string>
#include <string_view>

#include "proxy/frontend/transport.hpp"

namespace crossfade::proxy::frontend {

// Reads whole messages, one at a time, for a log-in in which the proxy itself is a party.
class message_reader {
  public:
    // `first`: bytes that came already.
    explicit message_reader(transport& from, std::string first = {}) : from_(from), bytes_(std::move(first)) {}

    struct message {
        char type = 0;
        std::string body;
    };
    enum class fault { gone, bad_length, too_long };

    // The next message, with a body of `most` bytes at most.
    asio::awaitable<boost::system::result<message, fault>> next(std::uint32_t most);

    // What came behind the last message.
    std::string take_rest() { return std::move(bytes_); }

  private:
    transport& from_;
    std::string bytes_;
};

std::string_view to_string(message_reader::fault fault);
[[noreturn]] void throw_exception_from_error(message_reader::fault fault, const boost::source_location& where);

}  // namespace crossfade::proxy::frontend
