#include "lib/auth/scram_message.hpp"

#include <algorithm>
#include <boost/throw_exception.hpp>
#include <charconv>
#include <limits>
#include <stdexcept>

namespace crossfade::auth {
namespace {

// attr-val *("," attr-val). The values are views; an empty `left` after a comma is an attribute that is missing.
class attributes {
  public:
    explicit attributes(std::string_view message) : left_(message) {}

    // The value of the next attribute if it has this name.
    std::optional<std::string_view> take(char name) {
        if (ended_ || left_.size() < 2 || left_[0] != name || left_[1] != '=') return std::nullopt;
        const auto end = std::min(left_.find(','), left_.size());
        const auto value = left_.substr(2, end - 2);
        ended_ = end == left_.size();
        left_.remove_prefix(ended_ ? end : end + 1);
        return value;
    }
    // Any other one is skipped; false when there is none, or what is there has no name.
    bool skip() {
        if (ended_ || left_.empty()) return false;
        const char name = left_.front();
        const bool letter = (name >= 'a' && name <= 'z') || (name >= 'A' && name <= 'Z');
        return letter && take(name).has_value();
    }
    bool next_is(char name) const { return !ended_ && left_.starts_with(name); }
    bool ended() const { return ended_; }
    // Extensions to the end; what isn't understood may be ignored (RFC 5802, section 5.1).
    bool skip_rest() {
        while (!ended_)
            if (!skip()) return false;
        return true;
    }
    std::string_view left() const { return left_; }

  private:
    std::string_view left_;
    bool ended_ = false;
};

// RFC 5802: %x21-2B / %x2D-7E, at least one.
bool is_nonce(std::string_view text) {
    return !text.empty() && std::all_of(text.begin(), text.end(), [](char c) { return c > ' ' && c < '\x7f'; });
}

// Views would end at a zero byte in one place and not in another.
std::optional<scram_fault> objection_to(std::string_view message) {
    if (message.size() > max_scram_message) return scram_fault::too_long;
    if (message.find('\0') != std::string_view::npos) return scram_fault::malformed;
    return std::nullopt;
}

}  // namespace

std::string_view to_string(scram_fault fault) {
    switch (fault) {
        case scram_fault::too_long:
            return "the message is too long";
        case scram_fault::malformed:
            return "malformed SCRAM message";
        case scram_fault::out_of_order:
            return "a SCRAM message that was not expected";
        case scram_fault::authorization_identity:
            return "an authorization identity is not supported";
        case scram_fault::mandatory_extension:
            return "an unsupported SCRAM extension is required";
        case scram_fault::channel_binding_unknown:
            return "an unsupported SCRAM channel-binding type";
        case scram_fault::channel_binding_absent:
            return "SCRAM channel binding where it is not in use, or none where it is";
        case scram_fault::channel_binding_refused:
            return "SCRAM channel binding negotiation error: it was offered, and the client does not know";
        case scram_fault::channel_binding_wrong:
            return "SCRAM channel binding check failed";
        case scram_fault::wrong_nonce:
            return "the SCRAM nonce does not match";
        case scram_fault::wrong_proof:
            return "the password does not match";
        case scram_fault::too_many_iterations:
            return "the server asks for too many SCRAM iterations";
        case scram_fault::wrong_signature:
            return "the server's SCRAM signature is wrong: it does not know the password";
        case scram_fault::server_error:
            return "the server answered with a SCRAM error";
    }
    return "SCRAM failed";
}

void throw_exception_from_error(scram_fault fault, const boost::source_location& where) {
    boost::throw_exception(std::runtime_error(std::string{to_string(fault)}), where);
}

or_scram_fault<client_first> parse_client_first(std::string_view message) {
    if (const auto objected = objection_to(message)) return *objected;
    client_first read;
    auto left = message;
    if (left.empty()) return scram_fault::malformed;
    read.binding = left.front();
    left.remove_prefix(1);
    if (read.binding == 'p') {
        const auto end = left.find(',');
        if (!left.starts_with('=') || end == std::string_view::npos || end == 1) return scram_fault::malformed;
        read.binding_type = left.substr(1, end - 1);
        left.remove_prefix(end);
    } else if (read.binding != 'n' && read.binding != 'y') {
        return scram_fault::malformed;
    }
    if (!left.starts_with(',')) return scram_fault::malformed;
    left.remove_prefix(1);
    if (left.starts_with("a=")) return scram_fault::authorization_identity;
    if (!left.starts_with(',')) return scram_fault::malformed;
    left.remove_prefix(1);
    read.gs2_header = message.substr(0, message.size() - left.size());
    read.bare = left;

    attributes of(left);
    if (of.next_is('m')) return scram_fault::mandatory_extension;
    const auto user = of.take('n');
    const auto nonce = of.take('r');
    if (!user || !nonce || !is_nonce(*nonce) || !of.skip_rest()) return scram_fault::malformed;
    read.nonce = *nonce;
    return read;
}

or_scram_fault<server_first> parse_server_first(std::string_view message) {
    if (const auto objected = objection_to(message)) return *objected;
    attributes of(message);
    if (of.next_is('m')) return scram_fault::mandatory_extension;
    const auto nonce = of.take('r');
    const auto salt = of.take('s');
    const auto iterations = of.take('i');
    if (!nonce || !is_nonce(*nonce) || !salt || !iterations || !of.skip_rest()) return scram_fault::malformed;

    server_first read{.nonce = *nonce, .salt = {}, .iterations = 0};
    auto bytes = from_base64(*salt);
    if (!bytes || bytes->empty()) return scram_fault::malformed;
    read.salt = std::move(*bytes);
    const auto* end = iterations->data() + iterations->size();
    const auto [stopped, failed] = std::from_chars(iterations->data(), end, read.iterations);
    constexpr unsigned most = std::numeric_limits<int>::max();
    if (failed == std::errc::result_out_of_range || read.iterations > most) return scram_fault::too_many_iterations;
    if (failed != std::errc{} || stopped != end || read.iterations == 0) return scram_fault::malformed;
    return read;
}

or_scram_fault<client_final> parse_client_final(std::string_view message) {
    if (const auto objected = objection_to(message)) return *objected;
    attributes of(message);
    const auto binding = of.take('c');
    const auto nonce = of.take('r');
    if (!binding || !nonce || !is_nonce(*nonce)) return scram_fault::malformed;
    while (!of.next_is('p'))
        if (!of.skip()) return scram_fault::malformed;
    client_final read;
    // In front of ",p=": the rest begins with it.
    read.without_proof = message.substr(0, message.size() - of.left().size() - 1);
    const auto proof = of.take('p');
    if (!proof || !of.ended()) return scram_fault::malformed;

    auto bytes = from_base64(*binding);
    const auto proof_bytes = key_from_base64(*proof);
    if (!bytes || !proof_bytes) return scram_fault::malformed;
    read.binding = std::move(*bytes);
    read.nonce = *nonce;
    read.proof = *proof_bytes;
    return read;
}

or_scram_fault<key> parse_server_final(std::string_view message) {
    if (const auto objected = objection_to(message)) return *objected;
    attributes of(message);
    if (of.next_is('e') && of.take('e')) return scram_fault::server_error;
    const auto signature = of.take('v');
    if (!signature || !of.skip_rest()) return scram_fault::malformed;
    const auto read = key_from_base64(*signature);
    if (!read) return scram_fault::malformed;
    return *read;
}

std::string make_scram_nonce() {
    return base64(random_bytes(18));
}

std::string scram_auth_message(std::string_view client_first_bare, std::string_view server_first,
                               std::string_view client_final_without_proof) {
    std::string whole(client_first_bare);
    whole.append(",").append(server_first).append(",").append(client_final_without_proof);
    return whole;
}

}  // namespace crossfade::auth
