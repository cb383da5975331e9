#include "proxy/frontend/greeting.hpp"

#include <array>
#include <boost/throw_exception.hpp>
#include <stdexcept>

namespace crossfade::proxy::frontend {
namespace {

using pgwire::startup_fault;

std::string message_of(startup_fault fault) {
    std::string text{pgwire::to_string(fault)};
    if (fault == startup_fault::unknown_version) text += ": Crossfade speaks version 3";
    if (fault == startup_fault::malformed) text += ", or names no user";
    return text;
}

// Whether another one of its kind has been answered before.
struct encryption_questions {
    bool ssl = false;
    bool gssenc = false;

    bool repeated(const pgwire::startup_packet& asked) {
        bool& before = std::holds_alternative<pgwire::ssl_request>(asked) ? ssl : gssenc;
        return std::exchange(before, true);
    }
};

}  // namespace

void throw_exception_from_error(const no_greeting& why, const boost::source_location& where) {
    boost::throw_exception(std::runtime_error(why.message), where);
}

asio::awaitable<boost::system::result<greeting, no_greeting>> read_greeting(stream_socket& client) {
    std::string bytes;
    encryption_questions answered;
    for (;;) {
        auto extent = pgwire::startup_extent(bytes);
        while (extent && !extent->complete) {
            std::array<char, 4 + pgwire::max_startup_body> chunk{};
            const auto room = asio::buffer(chunk, chunk.size() - bytes.size());
            const auto [failed, read] = co_await client.async_receive(room, use_result);
            if (failed) co_return no_greeting{};
            bytes.append(chunk.data(), read);
            extent = pgwire::startup_extent(bytes);
        }
        if (!extent) co_return no_greeting{message_of(extent.error())};

        auto packet = pgwire::parse_startup(std::string_view{bytes}.substr(0, extent->needed));
        if (!packet) co_return no_greeting{message_of(packet.error())};
        bytes.erase(0, extent->needed);
        if (auto* message = std::get_if<pgwire::startup_message>(&*packet))
            co_return greeting{std::move(*message), std::move(bytes)};
        if (auto* cancel = std::get_if<pgwire::cancel_request>(&*packet)) co_return greeting{std::move(*cancel), {}};

        if (!bytes.empty()) co_return no_greeting{"unencrypted data sent before the answer to an encryption request"};
        if (answered.repeated(*packet)) co_return no_greeting{"encryption requested twice"};
        const auto failed = co_await write_all(client, "N");
        if (failed) co_return no_greeting{};
    }
}

}  // namespace crossfade::proxy::frontend
