#include "lib/auth/server_login.hpp"

#include <boost/throw_exception.hpp>
#include <stdexcept>

#include "lib/pgwire/bytes.hpp"
#include "lib/pgwire/query_messages.hpp"
#include "lib/pgwire/session_status.hpp"

namespace crossfade::auth {
namespace {

using pgwire::authentication;

server_login_fault fault(std::string_view what) {
    return {std::string(what)};
}
server_login_fault fault(scram_fault what) {
    return fault(to_string(what));
}

// SASLInitialResponse.
std::string initial_response(const scram_client& scram) {
    const auto first = scram.client_first();
    std::string body;
    pgwire::put_cstring(body, scram.mechanism());
    pgwire::put_u32(body, static_cast<std::uint32_t>(first.size()));
    return pgwire::build_password_message(body + first);
}

// A SASL response has no zero byte behind it.
std::string password(std::string_view text) {
    return pgwire::build_password_message(std::string(text) + '\0');
}

}  // namespace

void throw_exception_from_error(const server_login_fault& what, const boost::source_location& where) {
    boost::throw_exception(std::runtime_error(what.what), where);
}

login_secret secret_for_server(const credential* known, const std::optional<scram_keys>& recovered) {
    const auto* secret = known != nullptr && known->secret ? &*known->secret : nullptr;
    if (secret != nullptr)
        if (const auto* clear = std::get_if<clear_password>(secret)) return *clear;
    if (recovered) return *recovered;
    if (secret != nullptr)
        if (const auto* hash = std::get_if<md5_hash>(secret)) return *hash;
    return {};
}

server_login::server_login(std::string user, login_secret secret, options how)
    : user_(std::move(user)), secret_(std::move(secret)), how_(std::move(how)) {}

server_login::answer server_login::receive(std::string_view body) {
    auto next = [&]() -> answer {
        const auto code = pgwire::parse_authentication(body);
        if (!code || ended_) return fault("the server sent an Authentication message that makes no sense");
        const auto data = body.substr(4);
        switch (*code) {
            case authentication::ok:
                return on_ok();
            case authentication::cleartext_password:
                return on_cleartext();
            case authentication::md5_password:
                return on_md5(data);
            case authentication::sasl:
                return on_sasl(data);
            case authentication::sasl_continue:
                return on_sasl_continue(data);
            case authentication::sasl_final:
                return on_sasl_final(data);
            default:
                return fault("the server asks for an authentication method that Crossfade has no answer to");
        }
    }();
    ended_ = !next || next->done;
    return next;
}

server_login::answer server_login::on_ok() {
    // Before its signature is seen, whoever says so may be somebody else.
    if (scram_ && !scram_->server_verified()) return fault("the server ended SCRAM before it showed its signature");
    return step{.message = {}, .done = true};
}

server_login::answer server_login::on_cleartext() {
    if (answered_) return fault("the server asks for a password twice");
    const auto* clear = std::get_if<clear_password>(&secret_);
    if (clear == nullptr) return fault("the server asks for a password in clear, and none is known");
    if (!how_.may_send_password)
        return fault("the server asks for a password in clear over a connection that isn't safe for it");
    answered_ = true;
    return step{.message = password(clear->text)};
}

server_login::answer server_login::on_md5(std::string_view salt) {
    if (answered_ || salt.size() != 4) return fault("the server's question for an md5 password makes no sense");
    answered_ = true;
    if (const auto* clear = std::get_if<clear_password>(&secret_))
        return step{.message = password(md5_answer(clear->text, user_, salt))};
    if (const auto* hash = std::get_if<md5_hash>(&secret_)) return step{.message = password(md5_answer(*hash, salt))};
    return fault("the server asks for an md5 password, and neither password nor md5 hash is known");
}

server_login::answer server_login::on_sasl(std::string_view mechanisms) {
    if (answered_) return fault("the server asks for SASL authentication twice");
    bool plain = false;
    bool plus = false;
    pgwire::byte_reader reader{mechanisms};
    for (auto name = reader.cstring(); !name.empty(); name = reader.cstring()) {
        plain = plain || name == scram_sha_256;
        plus = plus || name == scram_sha_256_plus;
    }
    if (!reader.finished()) return fault("the server's list of SASL mechanisms is malformed");

    std::optional<scram_channel> channel;
    if (how_.end_point) channel = scram_channel{*how_.end_point, plus};
    if (!plain && !(plus && channel)) return fault("the server offers no SASL mechanism that Crossfade knows");
    if (const auto* clear = std::get_if<clear_password>(&secret_)) {
        scram_.emplace(clear->text, std::move(channel), how_.cache);
    } else if (const auto* keys = std::get_if<scram_keys>(&secret_)) {
        scram_.emplace(*keys, std::move(channel));
    } else {
        return fault("the server asks for SCRAM, and neither the password nor the keys of a client's log-in are known");
    }
    answered_ = true;
    return step{.message = initial_response(*scram_)};
}

server_login::answer server_login::on_sasl_continue(std::string_view data) {
    if (!scram_) return fault(scram_fault::out_of_order);
    const auto final = scram_->on_server_first(data);
    if (!final) return fault(final.error());
    return step{.message = pgwire::build_password_message(*final)};
}

server_login::answer server_login::on_sasl_final(std::string_view data) {
    if (!scram_) return fault(scram_fault::out_of_order);
    const auto verified = scram_->on_server_final(data);
    if (!verified) return fault(verified.error());
    return step{};
}

}  // namespace crossfade::auth
