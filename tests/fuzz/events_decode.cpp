#include "lib/events/codec.hpp"
#include "tests/fuzz/input.hpp"

using namespace crossfade;

// What was understood is encoded to something that is understood, and encodes the same from then on.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    events::relation_decoder relations;
    const auto event = events::decode(fuzz::input(data, size).rest(), relations);
    if (!event) return 0;
    (void)events::message_key(*event);

    events::relation_encoder encoder;
    const auto bytes = events::encode(*event, encoder);
    const auto again = events::decode(bytes, relations);
    fuzz::require(again.has_value() && again->at == event->at && again->body.index() == event->body.index());
    fuzz::require(events::message_key(*again) == events::message_key(*event));
    events::relation_encoder anew;
    fuzz::require(events::encode(*again, anew) == bytes);
    return 0;
}
