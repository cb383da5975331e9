#include "tests/unit/proxy_console/conversation.hpp"

#include <gtest/gtest.h>

#include <cstdio>
#include <variant>

#include "lib/pgwire/bytes.hpp"
#include "lib/pgwire/diagnostics.hpp"

namespace crossfade::proxy::console::test {
namespace {

using namespace std::chrono_literals;

std::string listed(const std::vector<std::string>& items) {
    std::string all;
    for (const auto& each : items) all += (all.empty() ? "" : ",") + each;
    return all;
}

std::string row_description(pgwire::byte_reader body) {
    std::vector<std::string> columns;
    for (auto left = body.u16(); left > 0; --left) {
        std::string one{body.cstring()};
        body.bytes(6);
        one += ':' + std::to_string(body.u32());
        body.bytes(6);
        if (body.u16() == 1) one += 'b';
        columns.push_back(std::move(one));
    }
    return body.finished() ? listed(columns) : "MALFORMED";
}

std::string data_row(pgwire::byte_reader body) {
    std::vector<std::string> cells;
    for (auto left = body.u16(); left > 0; --left) {
        const auto size = body.u32();
        if (size == 0xFFFFFFFF) {
            cells.emplace_back("~");
            continue;
        }
        const auto bytes = body.bytes(size);
        const bool printable = bytes.find_first_of(std::string_view{"\0\1\2\3", 4}) == std::string_view::npos;
        std::string shown{printable ? bytes : "x"};
        for (const char byte : printable ? "" : bytes) {
            char digits[3];
            std::snprintf(digits, sizeof digits, "%02x", static_cast<unsigned char>(byte));
            shown += digits;
        }
        cells.push_back(std::move(shown));
    }
    return body.finished() ? listed(cells) : "MALFORMED";
}

std::string diagnosis(std::string_view body) {
    const auto what = pgwire::parse_diagnostics(body);
    if (!what) return "MALFORMED";
    std::string shown{what->message()};
    if (what->sqlstate() != "00000") shown = std::string{what->sqlstate()} + ' ' + shown;
    if (what->severity() == "FATAL") shown = "FATAL " + shown;
    if (const auto at = what->field('P'); !at.empty()) shown += " @" + std::string{at};
    if (const auto detail = what->field('D'); !detail.empty()) shown += " (" + std::string{detail} + ")";
    if (const auto hint = what->field('H'); !hint.empty()) shown += " | " + std::string{hint};
    return shown;
}

std::string content(char type, std::string_view body) {
    pgwire::byte_reader reader{body};
    switch (type) {
        case 'T':
            return row_description(reader);
        case 'D':
            return data_row(reader);
        case 'C':
            return std::string{reader.cstring()};
        case 'Z':
            return std::string{body};
        case 'E':
        case 'N':
            return diagnosis(body);
        default:
            return body.empty() ? "" : std::to_string(body.size());
    }
}

}  // namespace

std::string transcript(std::string_view bytes) {
    std::string all;
    while (!bytes.empty()) {
        pgwire::byte_reader reader{bytes};
        const auto type = static_cast<char>(reader.u8());
        const auto length = reader.u32();
        const auto body = reader.bytes(length - 4);
        if (length < 4 || reader.failed()) return all + " CUT OFF";
        all += (all.empty() ? "" : " ") + std::string(1, type);
        if (const auto shown = content(type, body); !shown.empty()) all += '(' + shown + ')';
        bytes.remove_prefix(std::size_t{length} + 1);
    }
    return all;
}

std::string conversation::said_to(std::string_view bytes, std::size_t step) {
    using enum console_session::step;
    console_session session{ann(), as, max_rows};
    std::string said;
    const auto greeting = session.output().size();
    for (;;) {
        switch (session.next()) {
            case write: {
                const auto some = session.output().substr(0, step);
                said.append(some);
                session.sent(some.size());
                EXPECT_LT(session.output().size(), 3 * console_session::output_mark);
                break;
            }
            case ask: {
                const auto what = session.take_request();
                asked.push_back(to_string(what));
                EXPECT_EQ(session.next(), wait);
                session.take_answer(proxy(what));
                break;
            }
            case wait:
                ADD_FAILURE() << "nothing is asked";
                return {};
            case read:
                if (bytes.empty()) {
                    closed = false;
                    return transcript(std::string_view{said}.substr(greeting));
                }
                session.feed(bytes.substr(0, std::min(step, console_session::longest_message)));
                bytes.remove_prefix(std::min({step, bytes.size(), console_session::longest_message}));
                break;
            case close:
                closed = true;
                return transcript(std::string_view{said}.substr(greeting));
        }
    }
}

std::string conversation::hold(std::string_view bytes) {
    const auto said = said_to(bytes);
    for (const std::size_t step : {1U, 2U, 7U}) {
        auto again = *this;
        again.asked.clear();
        EXPECT_EQ(again.said_to(bytes, step), said) << "when cut into pieces of " << step;
        EXPECT_EQ(again.asked.size(), asked.size());
    }
    return said;
}

party ann() {
    return {.user = "ann", .database = "crossfade", .application_name = "psql", .version = "1.2.3", .pid = 0};
}

std::string to_string(const request& what) {
    struct {
        std::string operator()(const ask_facts& of) const { return "SHOW " + std::string{console::to_string(of.what)}; }
        std::string operator()(const commands::reload&) const { return "RELOAD"; }
        std::string operator()(const commands::pause& of) const { return with("PAUSE", of.what); }
        std::string operator()(const commands::resume& of) const { return with("RESUME", of.what); }
        std::string operator()(const commands::kill& of) const { return "KILL " + std::to_string(of.session); }
        std::string operator()(const commands::shutdown& of) const {
            return "SHUTDOWN " + std::to_string(static_cast<int>(of.what));
        }
        static std::string with(const std::string& verb, const scope& of) {
            const auto named = console::to_string(of);
            return verb + (named.empty() ? "" : " ") + named;
        }
    } name;
    return std::visit(name, what.what) + " by " + what.by;
}

facts sample_facts() {
    const instant noon{std::chrono::sys_days{std::chrono::year{2026} / 11 / 20} + 12h};
    settings::configuration config;
    config.legacy = {"postgresql://crossfade:hunter2@10.0.0.5/app", {"10.0.0.5", 5432}, "app"};
    config.modern = {"postgresql://crossfade:hunter2@10.0.0.6/app2", {"10.0.0.6", 5433}, "app2"};
    config.proxy.max_sessions = 200;
    settings::table_group orders{{"public.orders"}, {}};
    orders.overrides.migration_drift_tolerance = 0.25;
    config.flags = {{}, {{"orders", orders}}, {}};

    facts all;
    all.now = noon;
    all.in_force = std::make_shared<const settings::in_force>(settings::in_force{std::move(config), 7});
    const server_facts server{.side = settings::side::legacy,
                              .database = "app",
                              .at = {"10.0.0.5", 5432},
                              .from = {"10.0.0.1", 40001},
                              .pid = 4711,
                              .connected = noon - 59s,
                              .tls = ""};
    session_facts busy{.id = 1,
                       .user = "bob",
                       .database = "app",
                       .application_name = "shop",
                       .tenant = "acme",
                       .at = {"10.0.0.9", 50001},
                       .to = {"10.0.0.1", 6432},
                       .state = session_state::in_transaction,
                       .connected = noon - 60s,
                       .asked = noon - 2s,
                       .since = noon - 1s,
                       .bytes_from_client = 1000,
                       .bytes_to_client = 2000,
                       .transactions = 30,
                       .memory = 4096,
                       .tls = "TLSv1.3/TLS_AES_256_GCM_SHA384",
                       .server = server};
    auto held = busy;
    held.id = 2;
    held.state = session_state::paused;
    held.since = noon - 1500ms;
    auto starting = busy;
    starting.id = 3;
    starting.user = "eve";
    starting.state = session_state::login;
    starting.asked.reset();
    starting.server.reset();
    all.sessions = {busy, held, starting};
    all.traffic = {{.database = "*",
                    .now = {1000, 3000, 50000, 70000, 9s, std::nullopt, 60ms},
                    .before = {400, 1000, 20000, 10000, 5s, std::nullopt, 0ms},
                    .apart = 60s}};
    all.stream = stream_facts{"app", "publishing", "", "", "0/16B3748", "0/16B3750", 12, 4096};
    all.drift = {{"acme", "public.orders", "update_missing", "confirmed", 3, noon - 1h, noon}};
    all.limits = {{"sessions", "sessions", 3, 5, 200, "proxy.max_sessions"},
                  {"message", "bytes", 0, std::nullopt, 1024, ""}};
    all.memory = {{"event loops", 1000, 2}};
    all.holds.add({{.group = {}, .tenant = "acme", .database = {}}, noon - 2s, noon + 5min, "ann"});
    return all;
}

}  // namespace crossfade::proxy::console::test
