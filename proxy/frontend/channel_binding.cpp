#include "proxy/frontend/channel_binding.hpp"

#include <vector>

#include "lib/pgwire/sasl.hpp"

namespace crossfade::proxy::frontend {

std::string without_binding(std::string_view chunk, std::string_view body) {
    auto mechanisms = pgwire::parse_sasl_mechanisms(body);
    if (!mechanisms || std::erase(*mechanisms, pgwire::scram_sha_256_plus) == 0) return {};
    constexpr std::size_t header = 5;
    const auto at = static_cast<std::size_t>(body.data() - chunk.data()) - header;
    std::string rebuilt{chunk.substr(0, at)};
    rebuilt += pgwire::build_sasl_mechanisms(*mechanisms);
    return rebuilt.append(chunk.substr(at + header + body.size()));
}

bool denies_binding(std::string_view password_message) {
    const auto first = pgwire::parse_sasl_initial_response(password_message);
    return first && first->mechanism == pgwire::scram_sha_256 && first->data.starts_with("y,");
}

}  // namespace crossfade::proxy::frontend
