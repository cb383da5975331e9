#include "proxy/portrait/recreate.hpp"

#include "lib/pgwire/bytes.hpp"
#include "lib/pgwire/diagnostics.hpp"
#include "lib/pgwire/message_types.hpp"
#include "lib/pgwire/query_messages.hpp"
#include "lib/pgwire/session_status.hpp"

namespace crossfade::proxy::portrait {
namespace {

constexpr std::string_view client_encoding = "client_encoding";
constexpr std::string_view statement_timeout = "statement_timeout";
constexpr std::string_view transaction_timeout = "transaction_timeout";

std::string execute_unnamed(const std::vector<std::optional<std::string>>& values = {}) {
    return pgwire::build_bind("", "", values) + pgwire::build_execute("", 0);
}

std::string run(std::string_view sql) {
    return pgwire::build_parse("", sql) + execute_unnamed();
}

std::string quoted(std::string_view name) {
    std::string text = "\"";
    for (const char letter : name) text += letter == '"' ? std::string{"\"\""} : std::string(1, letter);
    return text + '"';
}

// Each of its values is bound, so that nothing of them is read as SQL.
class settings_script {
  public:
    explicit settings_script(std::string& to) : to_(to) {
        to_ += pgwire::build_parse("", "SELECT pg_catalog.set_config($1, $2, false)");
    }
    void set(std::string_view name, std::string_view value) {
        to_ += execute_unnamed({std::string{name}, std::string{value}});
    }
    void reset_others(const std::map<std::string, std::string>& wanted, const std::map<std::string, std::string>& there,
                      const std::set<std::string>& given) {
        for (const auto& [name, value] : there)
            if (!wanted.contains(name) && !given.contains(name)) to_ += execute_unnamed({name, std::nullopt});
    }
    template <class Map>
    void set_what_differs(const Map& wanted, const Map& there) {
        for (const auto& [name, value] : wanted) {
            if (name == client_encoding || name == statement_timeout || name == transaction_timeout) continue;
            const auto same = there.find(name);
            if (same == there.end() || same->second != value) set(name, value);
        }
    }

  private:
    std::string& to_;
};

// A type of the database's own has another OID on the other one: that is left to the server, as the client left it.
std::vector<std::uint32_t> oids_of(const std::vector<parameter_type>& types) {
    std::vector<std::uint32_t> oids;
    for (const auto& type : types) oids.push_back(type.oid < first_varying_oid ? type.oid : 0);
    return oids;
}

}  // namespace

std::string recreate(const session_portrait& wanted, const session_portrait& onto) {
    std::string messages;
    {
        settings_script settings(messages);
        // The texts below are in the encoding of the database that they came from.
        settings.set(client_encoding, wanted.encoding);
        settings.reset_others(wanted.settings, onto.settings, onto.given);
        settings.set_what_differs(wanted.settings, onto.settings);
        settings.set_what_differs(wanted.own_settings, onto.own_settings);
        for (const auto& [name, value] : onto.own_settings)
            if (has_more_of_its_own(onto, wanted, name)) settings.set(name, {});
        // Last of the settings, because they may take away the right to the rest; the role after the user, as SET
        // SESSION AUTHORIZATION resets it.
        if (wanted.user != onto.user) settings.set("session_authorization", wanted.user);
        if (wanted.role != onto.role || wanted.user != onto.user) settings.set("role", wanted.role);
    }
    const auto is_the_same = [&](const std::string& name, const prepared_statement& statement) {
        const auto there = onto.prepared.find(name);
        return there != onto.prepared.end() && there->second == statement;
    };
    for (const auto& [name, statement] : onto.prepared)
        if (const auto same = wanted.prepared.find(name); same == wanted.prepared.end() || same->second != statement)
            messages += pgwire::build_close(pgwire::named::statement, name);
    // After search_path and all that says how a text is read.
    for (const auto& [name, statement] : wanted.prepared) {
        if (is_the_same(name, statement)) continue;
        messages += statement.by_sql ? run(statement.text)
                                     : pgwire::build_parse(name, statement.text, oids_of(statement.parameters));
    }
    for (const auto& channel : wanted.channels)
        if (!onto.channels.contains(channel)) messages += run("LISTEN " + quoted(channel));
    {
        settings_script settings(messages);
        for (const auto name : {client_encoding, statement_timeout, transaction_timeout})
            if (const auto value = wanted.settings.find(std::string{name}); value != wanted.settings.end())
                settings.set(name, value->second);
    }
    return messages + recreate_unnamed(wanted);
}

// As the client said it, in its encoding. The one that carried the settings goes in any case.
std::string recreate_unnamed(const session_portrait& wanted) {
    const bool kept = wanted.unnamed_there && wanted.heard.statement == heard_facts::unnamed::kept;
    return (kept ? pgwire::framed(pgwire::frontend::parse, wanted.heard.parse)
                 : pgwire::build_close(pgwire::named::statement, "")) +
           pgwire::build_sync();
}

std::optional<recreation::outcome> recreation::take(char type, std::string_view body) {
    namespace backend = pgwire::backend;
    constexpr std::size_t overhead = 100;
    switch (type) {
        case backend::parameter_status:
            malformed_ = malformed_ || body.size() + overhead > room_;
            if (malformed_) break;
            room_ -= body.size() + overhead;
            so_far_.reported.emplace_back(body);
            break;
        case backend::error_response:
            error_ = pgwire::sqlstate_of(body);
            break;
        case backend::ready_for_query:
            if (pgwire::parse_ready_for_query(body) != pgwire::transaction_status::idle || malformed_)
                return misbehaved{};
            if (!error_.empty()) return refused{error_};
            return std::move(so_far_);
        default:
            break;
    }
    return std::nullopt;
}

}  // namespace crossfade::proxy::portrait
