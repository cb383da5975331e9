#include "lib/auth/address.hpp"
#include "lib/auth/credential.hpp"
#include "tests/fuzz/input.hpp"

using namespace crossfade;

// What was understood can be said again, and means the same.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    fuzz::input from(data, size);
    const auto kind = from.byte();
    const auto text = from.rest();
    switch (kind % 3) {
        case 0:
            if (const auto range = auth::parse_address_range(text)) {
                fuzz::require(auth::parse_address_range(to_string(*range)) == range);
                fuzz::require(range->holds(range->first));
            }
            break;
        case 1:
            if (const auto verifier = auth::parse_scram_verifier(text))
                fuzz::require(auth::parse_scram_verifier(build(*verifier)) == verifier);
            (void)auth::parse_stored_secret(text);
            break;
        default:
            (void)auth::parse_timestamp(text);
    }
    return 0;
}
