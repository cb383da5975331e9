#include <algorithm>
#include <string>

#include "lib/pgwire/message_scanner.hpp"
#include "proxy/console/console_session.hpp"
#include "tests/fuzz/input.hpp"

using namespace crossfade;
using namespace crossfade::proxy;
using step = console::console_session::step;

namespace {

// A proxy that does what it is told, but for every third thing.
console::answer carry_out(const console::request& what, unsigned nth) {
    if (nth % 3 == 2) return console::failure{"55000", "not now", "detail", "hint"};
    if (!std::holds_alternative<console::ask_facts>(what.what)) return console::done{{"done"}};
    static const auto in_force = std::make_shared<const settings::in_force>();
    console::facts told;
    told.in_force = in_force;
    told.sessions.resize(3);
    told.traffic.resize(1);
    told.drift.resize(2);
    told.limits.resize(2);
    return told;
}

struct ignore {
    static std::size_t wanted(char) { return 0; }
    static void message(char, std::uint32_t, std::string_view) {}
};

// All that the console says; `most` bytes at a time both ways.
std::string said_to(std::string_view bytes, console::role as, std::size_t most) {
    console::console_session session{{.user = "u", .database = "d", .application_name = "", .version = "0"}, as, 50};
    std::string said;
    for (unsigned asked = 0;;) {
        switch (session.next()) {
            case step::write: {
                const auto some = session.output().substr(0, most);
                said.append(some);
                session.sent(some.size());
                break;
            }
            case step::ask: {
                const auto what = session.take_request();
                fuzz::require(session.next() == step::wait);
                session.take_answer(carry_out(what, asked++));
                break;
            }
            case step::wait:
                fuzz::require(false);
                break;
            case step::read: {
                if (bytes.empty()) return said;
                const auto some = bytes.substr(0, std::min(most, console::console_session::longest_message));
                session.feed(some);
                bytes.remove_prefix(some.size());
                break;
            }
            case step::close:
                return said;
        }
    }
}

}  // namespace

// Whatever a client sends, and however it is cut: whole messages come back, the same ones.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    fuzz::input from(data, size);
    const auto first = from.byte();
    const auto as = first % 2 == 0 ? console::role::admin : console::role::viewer;
    const std::size_t most = 1 + first / 2;
    const auto bytes = from.rest();
    const auto said = said_to(bytes, as, std::size_t{1} << 20);
    fuzz::require(said == said_to(bytes, as, most));

    ignore visitor;
    pgwire::message_scanner scanner(1U << 20);
    const auto seen = scanner.scan(said, visitor);
    fuzz::require(seen.fault == pgwire::framing_fault::none && seen.consumed == said.size() && scanner.at_boundary());
    return 0;
}
