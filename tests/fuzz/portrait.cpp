#include <algorithm>
#include <optional>
#include <string>

#include "lib/pgwire/message_scanner.hpp"
#include "lib/pgwire/message_types.hpp"
#include "proxy/portrait/hearing.hpp"
#include "proxy/portrait/question.hpp"
#include "proxy/portrait/recreate.hpp"
#include "tests/fuzz/input.hpp"

using namespace crossfade;

namespace {

struct client {
    proxy::portrait::hearing& heard;
    pgwire::session_tracker& tracker;

    std::size_t wanted(char type) const { return heard.wanted_of_client(type); }
    void message(char type, std::uint32_t length, std::string_view beginning) {
        heard.client_said(type, length, beginning, tracker);
        tracker.on_frontend(type);
    }
};
struct server {
    proxy::portrait::hearing& heard;
    pgwire::session_tracker& tracker;
    proxy::portrait::answer& portrait;
    proxy::portrait::recreation& recreation;

    // Whole bodies: the readers of answers have them.
    static std::size_t wanted(char) { return std::size_t{1} << 20; }
    void message(char type, std::uint32_t, std::string_view body) {
        heard.server_said(type, body.substr(0, heard.wanted_of_server(type)));
        tracker.on_backend(type, body);
        if (portrait.take(type, body)) portrait = proxy::portrait::answer({}, 10'000);
        if (recreation.take(type, body)) recreation = {};
        if (tracker.quiet()) heard.settled(tracker.status());
    }
};

}  // namespace

// Whatever both sides send and however it is cut: what is kept is bounded, and what is kept of a statement is whole.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    fuzz::input from(data, size);
    proxy::portrait::notebook notes({.entries = 10, .bytes = 100'000});
    proxy::portrait::hearing heard(notes, proxy::portrait::hearing::since::log_in);
    pgwire::session_tracker tracker;
    pgwire::message_scanner from_client(1U << 20);
    pgwire::message_scanner from_server(1U << 20);
    proxy::portrait::answer portrait({}, 10'000);
    proxy::portrait::recreation recreation;
    std::string held_of_client;
    std::string held_of_server;
    for (bool of_client = from.byte() % 2 == 0; !from.empty(); of_client = !of_client) {
        auto& held = of_client ? held_of_client : held_of_server;
        held += from.chunk();
        const std::string chunk = held;
        std::size_t consumed = 0;
        if (of_client) {
            heard.client_sends(chunk);
            consumed = from_client.scan(chunk, client{heard, tracker}).consumed;
            heard.client_sent(consumed);
        } else {
            consumed = from_server.scan(chunk, server{heard, tracker, portrait, recreation}).consumed;
        }
        held.erase(0, consumed);
        fuzz::require(heard.kept_bytes() <= 2 * proxy::portrait::hearing::longest_heard);
        const auto facts = heard.facts();
        fuzz::require(facts.statement == proxy::portrait::heard_facts::unnamed::kept || facts.parse.empty());
        fuzz::require(facts.parse.empty() || facts.parse.front() == '\0');
    }
    return 0;
}
