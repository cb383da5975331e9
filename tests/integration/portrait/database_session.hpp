#pragma once

#include <gmock/gmock.h>

#include <stdexcept>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "lib/pgwire/bytes.hpp"
#include "lib/pgwire/diagnostics.hpp"
#include "lib/pgwire/query_messages.hpp"
#include "lib/pgwire/rows.hpp"
#include "lib/pgwire/startup.hpp"
#include "proxy/portrait/question.hpp"
#include "proxy/portrait/recreate.hpp"
#include "proxy/portrait/survey.hpp"
#include "tests/scripted/proxy/peer.hpp"

namespace crossfade::proxy::portrait {

// A session of a database, message by message.
class database_session {
  public:
    using parameters = std::vector<std::pair<std::string, std::string>>;

    explicit database_session(std::uint16_t port, const parameters& more = {}, const std::string& user = "crossfade",
                              const std::string& database = "app")
        : wire_(test::peer::connect(port)) {
        pgwire::startup_message first{{3, 0}, {{"user", user}, {"database", database}}};
        first.parameters.insert(first.parameters.end(), more.begin(), more.end());
        wire_.send(pgwire::build(first));
        until_ready();
    }

    // What came until the session is ready: the first column of each row, SQLSTATEs, and notices' SQLSTATEs in
    // brackets.
    std::vector<std::string> say(std::string_view messages) {
        wire_.send(messages);
        return until_ready();
    }
    void send(std::string_view messages) { wire_.send(messages); }
    std::vector<std::string> run(std::string_view sql) { return say(pgwire::build_query(sql)); }
    std::string value(std::string_view sql) {
        const auto said = run(sql);
        return said.size() == 1 ? said[0] : "not one value";
    }

    session_portrait portrait(const question& asked = {}, const heard_facts& heard = all_heard()) {
        answer reading(asked);
        auto came = read_with(reading, build(asked));
        if (auto* found = std::get_if<session_portrait>(&came)) {
            found->heard = heard;
            return std::move(*found);
        }
        const auto* no = std::get_if<refused>(&came);
        throw std::runtime_error(no ? "refused: " + no->sqlstate : "misbehaved");
    }
    answer::outcome ask(const question& asked = {}) {
        answer reading(asked);
        return read_with(reading, build(asked));
    }
    survey_answer::outcome survey() {
        survey_answer reading;
        return read_with(reading, build_survey());
    }
    recreation::outcome become(const session_portrait& wanted, const question& asked = {}) {
        const auto now = portrait(asked);
        recreation reading;
        return read_with(reading, recreate(wanted, now));
    }

    static heard_facts all_heard() {
        return {.settings_known = true,
                .functions_known = true,
                .strings_changed = false,
                .statement = heard_facts::unnamed::none};
    }

  private:
    static std::string severity_of(std::string_view notice) {
        return std::string{pgwire::parse_diagnostics(notice).value().severity()};
    }
    std::pair<char, std::string> next() {
        const auto header = wire_.read(5);
        if (header.size() < 5) throw std::runtime_error("the database has closed the connection");
        pgwire::byte_reader length{std::string_view{header}.substr(1)};
        return {header.front(), wire_.read(length.u32() - 4)};
    }

    template <class Reader>
    typename Reader::outcome read_with(Reader& reader, std::string_view messages) {
        wire_.send(messages);
        for (;;) {
            const auto [type, body] = next();
            EXPECT_TRUE(type != 'N' || severity_of(body).starts_with("DEBUG")) << "a notice";
            if (auto outcome = reader.take(type, body)) return *std::move(outcome);
        }
    }

    std::vector<std::string> until_ready() {
        std::vector<std::string> said;
        for (;;) {
            const auto [type, body] = next();
            if (type == 'E') said.emplace_back(pgwire::parse_diagnostics(body).value().sqlstate());
            if (type == 'N')
                said.push_back('[' + std::string{pgwire::parse_diagnostics(body).value().sqlstate()} + ']');
            if (type == 'D') said.emplace_back(pgwire::parse_data_row(body).value().at(0).value_or("NULL"));
            if (type == 'Z') return said;
        }
    }

    test::peer wire_;
};

}  // namespace crossfade::proxy::portrait
