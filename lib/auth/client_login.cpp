#include "lib/auth/client_login.hpp"

#include "lib/pgwire/bytes.hpp"
#include "lib/pgwire/diagnostics.hpp"
#include "lib/pgwire/session_status.hpp"

namespace crossfade::auth {

using pgwire::authentication;

std::string client_login::open() const {
    std::string mechanisms;
    if (scram_.offers_plus()) pgwire::put_cstring(mechanisms, scram_sha_256_plus);
    pgwire::put_cstring(mechanisms, scram_sha_256);
    mechanisms.push_back('\0');
    return pgwire::build_authentication(authentication::sasl, mechanisms);
}

login_step client_login::receive(std::string_view body) {
    switch (state_) {
        case state::awaits_mechanism:
            return on_mechanism(body);
        case state::awaits_first:
            return on_first(body);
        case state::awaits_final:
            return on_final(body);
        case state::ended:
            break;
    }
    return fail(scram_fault::out_of_order);
}

// SASLInitialResponse: the mechanism's name, the length of what follows (all ones: nothing follows), and that.
login_step client_login::on_mechanism(std::string_view body) {
    pgwire::byte_reader reader{body};
    const auto name = reader.cstring();
    const auto length = reader.u32();
    if (reader.failed()) return fail(scram_fault::malformed);
    if (name == scram_sha_256_plus && scram_.offers_plus()) {
        chosen_ = scram_server::mechanism::plus;
    } else if (name != scram_sha_256) {
        return fail(scram_fault::malformed);
    }
    if (length == 0xFFFFFFFFU && reader.rest().empty()) {
        state_ = state::awaits_first;
        return login_reply{pgwire::build_authentication(authentication::sasl_continue)};
    }
    if (length != reader.rest().size()) return fail(scram_fault::malformed);
    return on_first(reader.rest());
}

login_step client_login::on_first(std::string_view message) {
    const auto answer = scram_.on_client_first(chosen_, message);
    if (!answer) return fail(answer.error());
    state_ = state::awaits_final;
    return login_reply{pgwire::build_authentication(authentication::sasl_continue, *answer)};
}

login_step client_login::on_final(std::string_view message) {
    auto accepted = scram_.on_client_final(message);
    if (!accepted) return fail(accepted.error());
    state_ = state::ended;
    return login_success{pgwire::build_authentication(authentication::sasl_final, accepted->server_final) +
                             pgwire::build_authentication(authentication::ok),
                         accepted->keys};
}

login_step client_login::fail(scram_fault why) {
    state_ = state::ended;
    if (why == scram_fault::wrong_proof)
        return login_failure{pgwire::build_fatal(pgwire::sqlstate::invalid_password,
                                                 "password authentication failed for user \"" + user_ + '"'),
                             true, std::string(to_string(why))};
    return login_failure{pgwire::build_fatal(pgwire::sqlstate::protocol_violation, to_string(why)), false,
                         std::string(to_string(why))};
}

}  // namespace crossfade::auth
