#pragma once

#include <string>
#include <string_view>

namespace crossfade::auth {

// A password as PostgreSQL makes verifiers and proofs of it, server and libpq alike (src/common/saslprep.c): in the
// form that SASLprep gives it (RFC 4013, on Unicode 3.2), so that one text is one password however it was typed. What
// SASLprep refuses (control characters beside others than ASCII, characters younger than Unicode 3.2, no valid UTF-8,
// nothing left) is taken as the bytes that it is; so is ASCII.
std::string saslprep(std::string_view password);

}  // namespace crossfade::auth
