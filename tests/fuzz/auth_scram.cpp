#include "lib/auth/client_login.hpp"
#include "lib/auth/scram_client.hpp"
#include "lib/auth/server_login.hpp"
#include "tests/fuzz/input.hpp"

using namespace crossfade;

namespace {

const auth::scram_subject subject{auth::make_scram_verifier("pencil", "salt", 1), true};

// An exchange between two that know the password, one of its messages replaced. Nobody may be taken in by that, unless
// it says the same.
void replace(int which, std::string_view by) {
    auth::scram_server server(subject, std::nullopt, "server");
    auth::scram_client client(std::string("pencil"), std::nullopt, nullptr, "client");
    bool replaced = false;
    const auto pass = [&](int number, std::string message) {
        if (number != which) return message;
        replaced = message != by;
        return std::string(by);
    };
    const auto first = server.on_client_first(auth::scram_server::mechanism::plain, pass(1, client.client_first()));
    if (!first) return;
    const auto final = client.on_server_first(pass(2, *first));
    if (!final) return;
    const auto accepted = server.on_client_final(pass(3, *final));
    if (!accepted) return;
    const auto verified = client.on_server_final(pass(4, accepted->server_final));
    // Behind the signature extensions may stand.
    if (verified) fuzz::require(!replaced || which == 4);
    if (verified && which == 4) fuzz::require(by.starts_with(accepted->server_final));
}

}  // namespace

// Any bytes for the four messages, and for both log-ins as the protocol carries them: nobody gets in who doesn't know
// the password, and no server is believed that doesn't.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    fuzz::input from(data, size);
    const auto kind = from.byte();
    if (kind < 8) {
        replace(kind % 4 + 1, from.rest());
        return 0;
    }
    if (kind % 2 == 0) {
        auth::client_login login(subject, "ann", kind % 4 == 0 ? std::optional<std::string>("hash") : std::nullopt);
        while (!from.empty()) fuzz::require(!std::holds_alternative<auth::login_success>(login.receive(from.chunk())));
        return 0;
    }
    const auth::login_secret secret = auth::clear_password{"pencil"};
    auth::server_login login("ann", secret, {.may_send_password = kind % 4 == 1, .end_point = {}, .cache = nullptr});
    bool scram = false;
    while (!from.empty()) {
        const auto step = login.receive(from.chunk());
        if (!step) continue;
        scram = scram || step->message.find("SCRAM") != std::string::npos;
        fuzz::require(!step->done || !scram);
    }
    return 0;
}
