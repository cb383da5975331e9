#include "proxy/frontend/message_reader.hpp"

#include <array>
#include <boost/throw_exception.hpp>
#include <stdexcept>

#include "proxy/frontend/whole_message.hpp"

namespace crossfade::proxy::frontend {
std::string_view to_string(message_reader::fault fault) {
    switch (fault) {
        case message_reader::fault::gone:
            return "the connection was closed";
        case message_reader::fault::bad_length:
            return "invalid message length";
        case message_reader::fault::too_long:
            return "message is too long for a log-in";
    }
    return "the connection was closed";
}

void throw_exception_from_error(message_reader::fault fault, const boost::source_location& where) {
    boost::throw_exception(std::runtime_error(std::string{to_string(fault)}), where);
}

asio::awaitable<boost::system::result<message_reader::message, message_reader::fault>> message_reader::next(
    std::uint32_t most) {
    std::array<char, 1024> chunk;
    for (;;) {
        if (bytes_.size() >= header_size) {
            const auto length = pgwire::byte_reader{std::string_view{bytes_}.substr(1)}.u32();
            if (length < 4) co_return fault::bad_length;
            if (length - 4 > most) co_return fault::too_long;
            const auto whole = std::size_t{1} + length;
            if (bytes_.size() >= whole) {
                message read{bytes_[0], bytes_.substr(header_size, whole - header_size)};
                bytes_.erase(0, whole);
                co_return read;
            }
        }
        const auto [failed, read] = co_await from_.read_some(chunk);
        if (failed) co_return fault::gone;
        bytes_.append(chunk.data(), read);
    }
}

}  // namespace crossfade::proxy::frontend
