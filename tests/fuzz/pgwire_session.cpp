#include <string>
#include <vector>

#include "lib/pgwire/diagnostics.hpp"
#include "lib/pgwire/message_scanner.hpp"
#include "lib/pgwire/session_status.hpp"
#include "lib/pgwire/session_tracker.hpp"
#include "tests/fuzz/input.hpp"

using namespace crossfade;

namespace {

struct seen {
    char type;
    std::uint32_t length;
    std::string beginning;

    friend bool operator==(const seen&, const seen&) = default;
};

struct recorder {
    std::vector<seen> messages;

    static std::size_t wanted(char type) { return static_cast<unsigned char>(type) % 40; }
    void message(char type, std::uint32_t length, std::string_view beginning) {
        messages.push_back({type, length, std::string{beginning}});
    }
};

// As a relay does it: what was not consumed comes again in front of the next chunk.
recorder scan(std::string_view stream, std::size_t chunk) {
    recorder visitor;
    pgwire::message_scanner scanner(1000);
    std::size_t begin = 0;
    for (std::size_t end = std::min(chunk, stream.size());; end = std::min(end + chunk, stream.size())) {
        const auto did = scanner.scan(stream.substr(begin, end - begin), visitor);
        fuzz::require(did.consumed <= end - begin);
        begin += did.consumed;
        if (did.fault != pgwire::framing_fault::none || end == stream.size()) return visitor;
    }
}

void parse_every_way(std::string_view body) {
    (void)pgwire::parse_diagnostics(body);
    (void)pgwire::parse_ready_for_query(body);
    (void)pgwire::parse_backend_key_data(body);
    (void)pgwire::parse_parameter_status(body);
    (void)pgwire::parse_authentication(body);
    (void)pgwire::parse_notification_response(body);
    (void)pgwire::parse_negotiate_protocol_version(body);
}

}  // namespace

// Chunks don't matter to what is seen in a stream; a session holds whatever its two sides send.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    fuzz::input from(data, size);
    const std::size_t chunk = from.byte() + std::size_t{1};
    const auto stream = from.rest();
    const auto whole = scan(stream, stream.size() + 1);
    fuzz::require(scan(stream, chunk).messages == whole.messages);

    pgwire::session_tracker tracker;
    bool from_client = false;
    for (const auto& message : whole.messages) {
        parse_every_way(message.beginning);
        // The lowest bit of the length says who sends next.
        if (from_client)
            tracker.on_frontend(message.type);
        else if (!message.beginning.empty())
            tracker.on_backend(message.type, message.beginning);
        from_client = message.length % 2 == 1;
        fuzz::require(!tracker.idle() || tracker.quiet());
        (void)tracker.ready_is_due();
    }
    return 0;
}
