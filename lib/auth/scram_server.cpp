#include "lib/auth/scram_server.hpp"

namespace crossfade::auth {

or_scram_fault<std::string> scram_server::on_client_first(mechanism chosen, std::string_view message) {
    if (state_ != state::awaits_first) return scram_fault::out_of_order;
    auto answer = first(chosen, message);
    state_ = answer ? state::awaits_final : state::ended;
    return answer;
}

or_scram_fault<std::string> scram_server::first(mechanism chosen, std::string_view message) {
    const auto read = parse_client_first(message);
    if (!read) return read.error();
    const bool plus = chosen == mechanism::plus;
    if (plus && !channel_) return scram_fault::channel_binding_absent;
    switch (read->binding) {
        case 'p':
            if (!plus) return scram_fault::channel_binding_absent;
            if (read->binding_type != "tls-server-end-point") return scram_fault::channel_binding_unknown;
            break;
        case 'y':
            // Somebody between us may have taken the offer out.
            if (channel_) return scram_fault::channel_binding_refused;
            break;
        default:
            if (plus) return scram_fault::channel_binding_absent;
    }
    client_first_bare_ = read->bare;
    binding_ = read->gs2_header;
    if (plus) binding_ += *channel_;
    nonce_.insert(0, read->nonce);
    server_first_ =
        "r=" + nonce_ + ",s=" + base64(subject_.verifier.salt) + ",i=" + std::to_string(subject_.verifier.iterations);
    return server_first_;
}

or_scram_fault<scram_accepted> scram_server::on_client_final(std::string_view message) {
    if (state_ != state::awaits_final) return scram_fault::out_of_order;
    state_ = state::ended;
    return final(message);
}

or_scram_fault<scram_accepted> scram_server::final(std::string_view message) const {
    const auto read = parse_client_final(message);
    if (!read) return read.error();
    if (!equal_in_constant_time(read->binding, binding_)) return scram_fault::channel_binding_wrong;
    if (read->nonce != nonce_) return scram_fault::wrong_nonce;

    const auto& verifier = subject_.verifier;
    const auto signed_text = scram_auth_message(client_first_bare_, server_first_, read->without_proof);
    const auto client_key = read->proof ^ hmac_sha256(verifier.stored, signed_text);
    const auto hashed = sha256(bytes_of(client_key));
    // Both looked at, whatever the first says: a mock takes as long as a wrong password.
    const bool matches = equal_in_constant_time(bytes_of(hashed), bytes_of(verifier.stored));
    if (!matches || !subject_.genuine) return scram_fault::wrong_proof;
    return scram_accepted{"v=" + base64(hmac_sha256(verifier.server, signed_text)), {client_key, verifier.server}};
}

}  // namespace crossfade::auth
