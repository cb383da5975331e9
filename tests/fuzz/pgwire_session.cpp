#include <algorithm>
#include <string>
#include <vector>

#include "lib/pgwire/message_scanner.hpp"
#include "lib/pgwire/message_types.hpp"
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

struct scanned {
    recorder visitor;
    std::size_t consumed = 0;
    pgwire::framing_fault fault = pgwire::framing_fault::none;
};

// As a relay does it: what was not consumed comes again in front of the next chunk. `chunks`: how long each is, less
// one; used over and over, and the whole stream is one chunk where there is none.
scanned scan(std::string_view stream, std::string_view chunks) {
    scanned result;
    pgwire::message_scanner scanner(1000);
    std::size_t end = 0;
    for (std::size_t turn = 0; end < stream.size(); ++turn) {
        const std::size_t chunk =
            chunks.empty() ? stream.size() : static_cast<unsigned char>(chunks[turn % chunks.size()]) + std::size_t{1};
        end = std::min(end + chunk, stream.size());
        const auto did = scanner.scan(stream.substr(result.consumed, end - result.consumed), result.visitor);
        fuzz::require(did.consumed <= end - result.consumed);
        result.consumed += did.consumed;
        // Only a header and what is wanted of a body are held back.
        fuzz::require(did.fault != pgwire::framing_fault::none || end - result.consumed < 5 + 40);
        result.fault = did.fault;
        if (did.fault != pgwire::framing_fault::none) break;
    }
    return result;
}

}  // namespace

// Chunks don't matter to what is seen in a stream; a session holds whatever its two sides send, and comes to rest when
// all is ended and answered.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    fuzz::input from(data, size);
    const auto chunks = from.take(from.byte() % 8 + std::size_t{1});
    const auto stream = from.rest();
    const auto whole = scan(stream, {});
    const auto split = scan(stream, chunks);
    fuzz::require(split.visitor.messages == whole.visitor.messages);
    fuzz::require(split.consumed == whole.consumed && split.fault == whole.fault);

    pgwire::session_tracker tracker;
    bool from_client = false;
    for (const auto& message : whole.visitor.messages) {
        const auto transactions = tracker.transactions();
        // The lowest bit of the length says who sends next.
        if (from_client)
            tracker.on_frontend(message.type);
        else
            tracker.on_backend(message.type, message.beginning);
        from_client = message.length % 2 == 1;
        fuzz::require(!tracker.idle() || tracker.quiet());
        fuzz::require(!tracker.ready_is_due() || !tracker.quiet());
        fuzz::require(tracker.transactions() - transactions <= 1);
    }
    tracker.on_frontend(pgwire::frontend::copy_done);
    tracker.on_frontend(pgwire::frontend::sync);
    for (std::size_t owed = 0; owed < whole.visitor.messages.size() + 2; ++owed) {
        tracker.on_backend(pgwire::backend::error_response, {});
        tracker.on_backend(pgwire::backend::ready_for_query, "I");
    }
    fuzz::require(tracker.idle());
    return 0;
}
