#include <utility>

#include "lib/pgoutput/assembler.hpp"
#include "lib/pgoutput/decode.hpp"
#include "lib/pgoutput/replication.hpp"
#include "tests/fuzz/input.hpp"

using namespace crossfade;

// A connection's messages, each behind a byte of length: those that decode make events in order, or end the stream.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    fuzz::input from(data, size);
    pgoutput::assembler assembler({.system_identifier = 1, .timelines = {1, {}}, .publisher = 1, .previous = {}});
    std::uint64_t ordinal = 0;
    model::lsn newest;
    while (!from.empty()) {
        const auto bytes = from.chunk();
        (void)pgoutput::decode_frame(bytes);
        auto message = pgoutput::decode(bytes);
        if (!message) continue;
        const auto event = assembler.take(std::move(*message));
        if (!event) return 0;
        if (!*event) continue;
        const auto& at = (*event)->at;
        fuzz::require(at.ordinal == 0 || at.ordinal == ordinal + 1 || at.ordinal == 1);
        fuzz::require((at.ordinal <= 1) == (*event)->previous.has_value());
        if (at.ordinal <= 1) newest = at.commit_lsn;
        fuzz::require(at.commit_lsn == newest);
        ordinal = at.ordinal;
    }
    return 0;
}
