#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "lib/pgwire/bytes.hpp"
#include "lib/pgwire/session_status.hpp"
#include "lib/pgwire/startup.hpp"
#include "tests/scripted/proxy/peer.hpp"

namespace crossfade::proxy::test {

// A client that says what libpq doesn't. It is told what came as one letter a message, ReadyForQuery with its status:
// "TDCZI". ParameterStatus and the login's own messages are left out after login.
class wire_client {
  public:
    using parameters = std::vector<std::pair<std::string, std::string>>;

    explicit wire_client(std::uint16_t port, pgwire::protocol_version version = {3, 0},
                         const parameters& more = {{"database", "app"}}, std::size_t pieces = 0)
        : wire_(peer::connect(port)) {
        pgwire::startup_message first{version, {{"user", "crossfade"}}};
        first.parameters.insert(first.parameters.end(), more.begin(), more.end());
        wire_.send(pgwire::build(first), pieces);
        login_ = read_until([](char type, const std::string&) { return type == 'Z'; });
    }

    const std::string& login() const { return login_; }
    const pgwire::backend_key_data& key() const { return key_; }
    void send(std::string_view bytes, std::size_t pieces = 0) { wire_.send(bytes, pieces); }

    // So many messages.
    std::string read(std::size_t messages) {
        return read_until([&](char, const std::string&) { return --messages == 0; });
    }
    // Up to this text inside a row, and the ReadyForQuery behind it.
    std::string read_up_to(std::string_view text) {
        bool found = false;
        return read_until([&](char type, const std::string& body) {
            found = found || (type == 'D' && body.find(text) != std::string::npos);
            return found && type == 'Z';
        });
    }

  private:
    template <class End>
    std::string read_until(End end) {
        std::string letters;
        for (;;) {
            const auto header = wire_.read(5);
            if (header.size() < 5) return letters + "(closed)";
            pgwire::byte_reader length{std::string_view{header}.substr(1)};
            const auto body = wire_.read(length.u32() - 4);
            const char type = header.front();
            if (type == 'K') key_ = pgwire::parse_backend_key_data(body).value_or(pgwire::backend_key_data{});
            if (type == 'S') continue;
            letters += type == 'Z' ? type + body : std::string(1, type);
            if (end(type, body)) return letters;
        }
    }

    peer wire_;
    std::string login_;
    pgwire::backend_key_data key_;
};

}  // namespace crossfade::proxy::test
