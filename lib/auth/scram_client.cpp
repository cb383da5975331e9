#include "lib/auth/scram_client.hpp"

namespace crossfade::auth {

scram_client::scram_client(secret with, std::optional<scram_channel> channel, scram_key_cache* cache, std::string nonce)
    : secret_(std::move(with)), channel_(std::move(channel)), cache_(cache), nonce_(std::move(nonce)) {}

std::string_view scram_client::mechanism() const {
    return binds() ? scram_sha_256_plus : scram_sha_256;
}

std::string scram_client::gs2_header() const {
    if (binds()) return "p=tls-server-end-point,,";
    // "y" lets a server that did offer it see that somebody took the offer out.
    return channel_ ? "y,," : "n,,";
}

std::string scram_client::bare() const {
    // The start-up message names the user; PostgreSQL takes no notice of this one.
    return "n=,r=" + nonce_;
}

std::string scram_client::client_first() const {
    return gs2_header() + bare();
}

or_scram_fault<std::string> scram_client::on_server_first(std::string_view message) {
    if (state_ != state::awaits_first) {
        state_ = state::failed;
        return scram_fault::out_of_order;
    }
    auto answer = final_for(message);
    state_ = answer ? state::awaits_final : state::failed;
    return answer;
}

or_scram_fault<std::string> scram_client::final_for(std::string_view message) {
    const auto read = parse_server_first(message);
    if (!read) return read.error();
    // The server's part must not be empty.
    if (!read->nonce.starts_with(nonce_) || read->nonce.size() == nonce_.size()) return scram_fault::wrong_nonce;

    scram_keys keys{};
    if (const auto* password = std::get_if<std::string>(&secret_)) {
        if (read->iterations > most_iterations) return scram_fault::too_many_iterations;
        keys = cache_ != nullptr ? cache_->keys_of(*password, read->salt, read->iterations)
                                 : scram_keys_of(*password, read->salt, read->iterations);
    } else {
        keys = std::get<scram_keys>(secret_);
    }
    const auto header = gs2_header();
    const auto without_proof =
        "c=" + base64(binds() ? header + channel_->end_point : header) + ",r=" + std::string(read->nonce);
    const auto signed_text = scram_auth_message(bare(), message, without_proof);
    const auto proof = keys.client ^ hmac_sha256(sha256(bytes_of(keys.client)), signed_text);
    expected_signature_ = hmac_sha256(keys.server, signed_text);
    return without_proof + ",p=" + base64(proof);
}

or_scram_fault<void> scram_client::on_server_final(std::string_view message) {
    if (state_ != state::awaits_final) {
        state_ = state::failed;
        return scram_fault::out_of_order;
    }
    state_ = state::failed;
    const auto signature = parse_server_final(message);
    if (!signature) return signature.error();
    if (!equal_in_constant_time(bytes_of(*signature), bytes_of(expected_signature_)))
        return scram_fault::wrong_signature;
    state_ = state::verified;
    return {};
}

}  // namespace crossfade::auth
