#include <string>

#include "lib/pgwire/diagnostics.hpp"
#include "lib/pgwire/sasl.hpp"
#include "lib/pgwire/session_status.hpp"
#include "tests/fuzz/input.hpp"

using namespace crossfade;

namespace {

std::string body_of(const std::string& message) {
    fuzz::require(message.size() >= 5);
    return message.substr(5);
}

// What was understood can be said again, in the same bytes.
void say_again(std::string_view body) {
    if (const auto ready = pgwire::parse_ready_for_query(body))
        fuzz::require(body_of(pgwire::build_ready_for_query(*ready)) == body);
    if (const auto key = pgwire::parse_backend_key_data(body)) {
        fuzz::require(!key->secret_key.empty() && body.size() <= pgwire::max_backend_key_data);
        fuzz::require(body_of(pgwire::build_backend_key_data(*key)) == body);
    }
    if (const auto status = pgwire::parse_parameter_status(body))
        fuzz::require(body_of(pgwire::build_parameter_status(status->name, status->value)) == body);
    if (const auto code = pgwire::parse_authentication(body))
        fuzz::require(body_of(pgwire::build_authentication(*code, body.substr(4))) == body);
    if (const auto what = pgwire::parse_diagnostics(body)) {
        fuzz::require(body_of(pgwire::build_error_response(*what)) == body);
        fuzz::require(body_of(pgwire::build_notice_response(*what)) == body);
        (void)what->severity();
        (void)what->sqlstate();
        (void)what->message();
    }
    if (const auto said = pgwire::parse_notification_response(body))
        fuzz::require(said->channel.size() + said->payload.size() + 6 == body.size());
    if (const auto older = pgwire::parse_negotiate_protocol_version(body))
        fuzz::require(body_of(pgwire::build_negotiate_protocol_version(*older)) == body);
    if (const auto offered = pgwire::parse_sasl_mechanisms(body)) {
        const auto again = body_of(pgwire::build_sasl_mechanisms(*offered));
        fuzz::require(pgwire::parse_sasl_mechanisms(again) == offered);
    }
    if (const auto first = pgwire::parse_sasl_initial_response(body))
        fuzz::require(first->mechanism.size() + first->data.size() + 5 == body.size());
}

}  // namespace

// Any bytes are the body of a message, or of none.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    say_again(fuzz::input(data, size).rest());
    return 0;
}
