#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace crossfade::pgwire {

// The SASL exchange's messages (sasl-authentication.html), as bodies without type and length.

inline constexpr std::string_view scram_sha_256 = "SCRAM-SHA-256";
inline constexpr std::string_view scram_sha_256_plus = "SCRAM-SHA-256-PLUS";

// AuthenticationSASL: what the server offers, in its order. Nothing when it is another message or malformed.
std::optional<std::vector<std::string_view>> parse_sasl_mechanisms(std::string_view authentication_body);
// The whole message.
std::string build_sasl_mechanisms(const std::vector<std::string_view>& mechanisms);

struct sasl_initial_response {
    std::string_view mechanism;
    std::string_view data;  // empty when there is none
};
// The first 'p' message after AuthenticationSASL.
std::optional<sasl_initial_response> parse_sasl_initial_response(std::string_view body);

}  // namespace crossfade::pgwire
