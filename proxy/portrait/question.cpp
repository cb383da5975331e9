#include "proxy/portrait/question.hpp"

#include <array>
#include <charconv>

#include "lib/pgwire/array_literal.hpp"
#include "lib/pgwire/ascii.hpp"
#include "lib/pgwire/diagnostics.hpp"
#include "lib/pgwire/message_types.hpp"
#include "lib/pgwire/query_messages.hpp"
#include "lib/pgwire/rows.hpp"
#include "lib/pgwire/session_status.hpp"
#include "proxy/portrait/prepare_text.hpp"

namespace crossfade::proxy::portrait {
namespace {

// Named, as a Parse without a name would replace the client's unnamed statement.
constexpr std::array own_names{"crossfade 1", "crossfade 2"};
constexpr std::uint32_t text_array = 1009;
constexpr std::string_view given = "given";

// The timeouts are taken away for the rest of the transaction, as they may be shorter than the question takes; the CTE
// says what they were before. PostgreSQL has transaction_timeout from 17 on: where nothing was set it is not told, so
// that the others are no different by it. Like all below: every name and operator is qualified, because search_path may
// have others, and texts go as bytes, because the client's encoding may lack a character of theirs. Statements under
// the escort's names (frontend/escort.hpp) aren't the client's.
constexpr std::string_view timeout_text = R"sql(/* crossfade: what this session holds */
WITH before (name, value, kind) AS MATERIALIZED (
    SELECT s.name, pg_catalog.current_setting(s.name), CASE
        WHEN s.name OPERATOR(pg_catalog.=) 'statement_timeout'
          OR s.source OPERATOR(pg_catalog.=) ANY (ARRAY['session', 'client', 'interactive']) THEN 'setting'
        ELSE 'lifted' END
    FROM pg_catalog.pg_settings AS s
    WHERE s.name OPERATOR(pg_catalog.=) ANY (ARRAY['statement_timeout', 'transaction_timeout'])
)
SELECT before.kind, pg_catalog.convert_to(before.name, e.name), pg_catalog.convert_to(before.value, e.name),
    CAST(NULL AS pg_catalog.bytea), pg_catalog.convert_to(pg_catalog.set_config(before.name, '0', true), e.name)
FROM before, (SELECT pg_catalog.getdatabaseencoding()) AS e (name))sql";

// A setting with a dot is a library's or the application's: the same one is the application's as far as a session is
// told that hasn't loaded the library. So they are one kind here, whichever they are. Of those that PostgreSQL shows it
// is known whether the session has set them, of the others where their names are from.
constexpr std::string_view question_text = R"sql(/* crossfade: what this session holds */
WITH e (name) AS (SELECT pg_catalog.getdatabaseencoding()),
shown AS MATERIALIZED (
    SELECT s.name, s.setting, s.context, pg_catalog.strpos(s.name, '.') OPERATOR(pg_catalog.>) 0 AS dotted,
        s.source OPERATOR(pg_catalog.=) ANY (ARRAY['session', 'client', 'interactive']) AS by_session
    FROM pg_catalog.pg_settings AS s
    WHERE s.context OPERATOR(pg_catalog.=) ANY (ARRAY['user', 'superuser'])
),
named (name, heard) AS (
    SELECT heard.name, true FROM pg_catalog.unnest($1) AS heard (name)
    UNION ALL
    SELECT pg_catalog.split_part(entry.text, '=', 1), false
    FROM pg_catalog.pg_db_role_setting AS r, pg_catalog.unnest(r.setconfig) AS entry (text)
    WHERE pg_catalog.strpos(pg_catalog.split_part(entry.text, '=', 1), '.') OPERATOR(pg_catalog.>) 0
    UNION ALL
    SELECT s.name, false FROM shown AS s WHERE s.dotted AND s.by_session
),
own (name, heard) AS (
    SELECT pg_catalog.lower(named.name COLLATE pg_catalog."C"), pg_catalog.bool_or(named.heard) FROM named GROUP BY 1
),
prepared AS (
    SELECT p.* FROM pg_catalog.pg_prepared_statements AS p
    WHERE NOT p.name OPERATOR(pg_catalog.=) ANY (ARRAY['crossfade 1', 'crossfade 2'])
      AND NOT p.name OPERATOR(pg_catalog.~) '^crossfade_[0-9]+$'
),
found (kind, name, value, more, place) AS (
    SELECT 'session', 'user', CAST(SESSION_USER AS pg_catalog.text), CAST(NULL AS pg_catalog.text),
        CAST(NULL AS pg_catalog.text)
    UNION ALL
    SELECT 'session', 'role', pg_catalog.current_setting('role'), NULL, NULL
    UNION ALL
    SELECT 'session', 'encoding', CAST(e.name AS pg_catalog.text), NULL, NULL FROM e
    UNION ALL
    SELECT 'session', 'functions', @functions, NULL, NULL
    UNION ALL
    SELECT 'setting', s.name, s.setting, CASE WHEN NOT s.by_session THEN 'given' END, NULL FROM shown AS s
    WHERE NOT s.dotted
      AND NOT s.name OPERATOR(pg_catalog.=) ANY (ARRAY['statement_timeout', 'transaction_timeout',
          'transaction_isolation', 'transaction_read_only', 'transaction_deferrable'])
      AND (s.by_session OR s.name OPERATOR(pg_catalog.=) ANY (ARRAY[@always]))
    UNION ALL
    SELECT 'own setting', own.name, pg_catalog.current_setting(own.name, true),
        CASE WHEN NOT own.heard THEN 'given' END, NULL
    FROM own WHERE 'NO_SHOW_ALL' OPERATOR(pg_catalog.=) ANY (pg_catalog.pg_settings_get_flags(own.name))
    UNION ALL
    SELECT 'own setting', own.name, pg_catalog.current_setting(s.name), CASE WHEN NOT s.by_session THEN 'given' END, NULL
    FROM own JOIN shown AS s ON pg_catalog.lower(s.name COLLATE pg_catalog."C") OPERATOR(pg_catalog.=) own.name
    WHERE s.dotted AND (s.by_session OR s.context OPERATOR(pg_catalog.=) 'user')
    UNION ALL
    SELECT 'prepared', p.name, p.statement, CASE WHEN p.from_sql THEN 'sql' END, NULL FROM prepared AS p
    UNION ALL
    SELECT 'parameter', p.name, pg_catalog.format('%I.%I', n.nspname, t.typname), CAST(t.oid AS pg_catalog.text),
        CAST(parameter.place AS pg_catalog.text)
    FROM prepared AS p,
        LATERAL pg_catalog.unnest(CAST(p.parameter_types AS pg_catalog.oid[])) WITH ORDINALITY AS parameter (type, place)
        JOIN pg_catalog.pg_type AS t ON t.oid OPERATOR(pg_catalog.=) parameter.type
        JOIN pg_catalog.pg_namespace AS n ON n.oid OPERATOR(pg_catalog.=) t.typnamespace
    UNION ALL
    SELECT 'channel', l.channel, '', NULL, NULL FROM pg_catalog.pg_listening_channels() AS l (channel)
    UNION ALL
    SELECT 'reported', r.name, pg_catalog.current_setting(r.name, true), NULL, NULL
    FROM pg_catalog.unnest(ARRAY[@reported]) AS r (name)
    WHERE pg_catalog.current_setting(r.name, true) IS NOT NULL
    UNION ALL
    SELECT 'count', 'held cursors', CAST(pg_catalog.count(*) AS pg_catalog.text), NULL, NULL
    FROM pg_catalog.pg_cursors AS c WHERE c.is_holdable
    UNION ALL
    SELECT 'count', 'advisory locks', CAST(pg_catalog.count(*) AS pg_catalog.text), NULL, NULL
    FROM pg_catalog.pg_locks AS l
    WHERE l.locktype OPERATOR(pg_catalog.=) 'advisory' AND l.pid OPERATOR(pg_catalog.=) pg_catalog.pg_backend_pid()
    UNION ALL
    SELECT 'count', 'temporary objects', CAST(pg_catalog.count(*) AS pg_catalog.text), NULL, NULL
    FROM pg_catalog.pg_depend AS d
    WHERE d.refclassid OPERATOR(pg_catalog.=) CAST(CAST('pg_catalog.pg_namespace' AS pg_catalog.regclass) AS pg_catalog.oid)
      AND d.refobjid OPERATOR(pg_catalog.=) pg_catalog.pg_my_temp_schema()
    UNION ALL
    SELECT 'count', 'temporary slots', CAST(pg_catalog.count(*) AS pg_catalog.text), NULL, NULL
    FROM pg_catalog.pg_replication_slots AS r
    WHERE r.temporary AND r.active_pid OPERATOR(pg_catalog.=) pg_catalog.pg_backend_pid()
)
SELECT found.kind, pg_catalog.convert_to(found.name, e.name),
    CASE WHEN pg_catalog.octet_length(found.value) OPERATOR(pg_catalog.<=) @longest
         THEN pg_catalog.convert_to(found.value, e.name) END,
    pg_catalog.convert_to(found.more, e.name), pg_catalog.convert_to(found.place, e.name)
FROM found, e)sql";

// What decides how a text is read, where a name leads and how a value is written.
constexpr std::string_view always =
    "'search_path', 'client_encoding', 'standard_conforming_strings', 'backslash_quote', 'array_nulls', "
    "'transform_null_equals', 'DateStyle', 'IntervalStyle', 'TimeZone', 'timezone_abbreviations', 'bytea_output', "
    "'extra_float_digits', 'xmlbinary', 'xmloption', 'lc_monetary', 'lc_numeric', 'lc_time', "
    "'default_text_search_config', 'default_transaction_isolation', 'row_security', 'quote_all_identifiers', "
    "'gin_fuzzy_search_limit', 'check_function_bodies'";

// GUC_REPORT of PostgreSQL 15 to 18, which no view tells: protocol-flow.html, "Asynchronous Operations".
constexpr std::string_view reported =
    "'application_name', 'client_encoding', 'DateStyle', 'default_transaction_read_only', 'in_hot_standby', "
    "'integer_datetimes', 'IntervalStyle', 'is_superuser', 'scram_iterations', 'search_path', 'server_encoding', "
    "'server_version', 'session_authorization', 'standard_conforming_strings', 'TimeZone'";

constexpr unsigned facts_expected = 4 + 4;  // rows of kind 'session' and 'count'

std::string filled_in(std::string text, std::string_view what, std::string_view with) {
    return text.replace(text.find(what), what.size(), with);
}

const std::string& question_sql(bool about_functions) {
    const auto with = [](std::string_view functions) {
        auto text = filled_in(filled_in(std::string{question_text}, "@always", always), "@reported", reported);
        return filled_in(filled_in(std::move(text), "@longest", std::to_string(longest_text)), "@functions", functions);
    };
    static const std::string brief = with("''");
    static const std::string whole = with(edition_sql);
    return about_functions ? whole : brief;
}

std::string array_of(const std::set<std::string>& names) {
    pgwire::array_literal text;
    for (const auto& name : names) text.add(name);
    return text.take();
}

std::string run(const char* name, std::string_view sql, std::span<const std::uint32_t> types,
                const std::vector<std::optional<std::string>>& values) {
    return pgwire::build_parse(name, sql, types) + pgwire::build_bind("", name, values, pgwire::result_format::binary) +
           pgwire::build_execute("", 0) + pgwire::build_close(pgwire::named::statement, name);
}

std::optional<std::uint64_t> number(std::string_view text) {
    std::uint64_t value = 0;
    const auto [end, failed] = std::from_chars(text.data(), text.data() + text.size(), value);
    if (failed != std::errc{} || end != text.data() + text.size()) return std::nullopt;
    return value;
}

}  // namespace

std::string build(const question& asked) {
    std::string messages = run(own_names[0], timeout_text, {}, {});
    messages +=
        run(own_names[1], question_sql(asked.about_functions), std::array{text_array}, {array_of(asked.own_settings)});
    // Last, because where there is none this is an error and ends the batch.
    if (asked.about_unnamed) messages += pgwire::build_describe(pgwire::named::statement, "");
    return messages + pgwire::build_sync();
}

std::optional<answer::outcome> answer::take(char type, std::string_view body) {
    namespace backend = pgwire::backend;
    switch (type) {
        case backend::data_row:
            if (!take_row(body)) malformed_ = true;
            break;
        case backend::parse_complete:
            ++parsed_;
            break;
        case backend::command_complete:
            ++completed_;
            break;
        case backend::parameter_description:
            described_ = true;
            break;
        case backend::error_response:
            error_ = pgwire::sqlstate_of(body);
            break;
        case backend::ready_for_query:
            malformed_ = malformed_ || pgwire::parse_ready_for_query(body) != pgwire::transaction_status::idle;
            return result();
        default:
            break;  // the rest of the extended protocol's answers, and notices, parameters and notifications in between
    }
    return std::nullopt;
}

answer::outcome answer::result() {
    constexpr std::string_view no_such_statement = "26000";
    if (malformed_) return misbehaved{};
    const bool asked_in_vain = error_ == no_such_statement && completed_ == own_names.size() && about_unnamed_;
    if (!error_.empty() && !asked_in_vain) {
        // What was parsed stays when the batch fails, unless it was closed again in time.
        std::string cleanup;
        for (unsigned each = completed_; each < parsed_ && each < own_names.size(); ++each)
            cleanup += pgwire::build_close(pgwire::named::statement, own_names[each]);
        if (!cleanup.empty()) cleanup += pgwire::build_sync();
        return refused{error_, std::move(cleanup)};
    }
    if (completed_ != own_names.size() || facts_ != facts_expected) return misbehaved{};
    portrait_.unnamed_there = described_;
    return std::move(portrait_);
}

bool answer::take_row(std::string_view body) {
    const auto row = pgwire::parse_data_row(body);
    if (!row || row->size() != 5 || !(*row)[0] || !(*row)[1]) return false;
    const auto text = [&](std::size_t column) { return (*row)[column].value_or(std::string_view{}); };
    constexpr std::size_t overhead = 100;
    const auto size = body.size() + overhead;
    if (!(*row)[2] || size > room_) {
        portrait_.cut_short = true;
        return true;
    }
    room_ -= size;
    put(text(0), std::string{text(1)}, std::string{text(2)}, text(3), text(4));
    return true;
}

void answer::put(std::string_view kind, std::string name, std::string value, std::string_view more,
                 std::string_view place) {
    if (kind == "session" || kind == "count") ++facts_;
    if (kind == "session") {
        if (name == "user") portrait_.user = std::move(value);
        if (name == "role") portrait_.role = std::move(value);
        if (name == "encoding") portrait_.encoding = std::move(value);
        if (name == "functions") portrait_.functions = std::move(value);
    } else if (kind == "setting") {
        if (more == given) portrait_.given.insert(name);
        portrait_.settings[std::move(name)] = std::move(value);
    } else if (kind == "own setting") {
        name = pgwire::lower_case(std::move(name));
        if (more == given) portrait_.given.insert(name);
        portrait_.own_settings[std::move(name)] = std::move(value);
    } else if (kind == "reported") {
        portrait_.reported[std::move(name)] = std::move(value);
    } else if (kind == "prepared") {
        auto& statement = portrait_.prepared[name];
        statement.by_sql = more == "sql";
        statement.text = statement.by_sql ? prepare_text(name, value) : std::move(value);
    } else if (kind == "parameter") {
        constexpr std::uint64_t most_parameters = 65535;
        const auto at = number(place);
        const auto oid = number(more);
        if (!at || *at == 0 || *at > most_parameters || !oid || *oid > 0xFFFFFFFF) {
            malformed_ = true;
            return;
        }
        auto& parameters = portrait_.prepared[name].parameters;
        const auto growth = *at > parameters.size() ? (*at - parameters.size()) * sizeof(parameter_type) : 0;
        if (growth > room_) {
            portrait_.cut_short = true;
            return;
        }
        room_ -= growth;
        if (growth > 0) parameters.resize(*at);
        parameters[*at - 1] = {static_cast<std::uint32_t>(*oid), std::move(value)};
    } else if (kind == "channel") {
        portrait_.channels.insert(std::move(name));
    } else if (kind == "count") {
        const auto many = number(value);
        if (!many) malformed_ = true;
        if (name == "held cursors") portrait_.held_cursors = many.value_or(1);
        if (name == "advisory locks") portrait_.advisory_locks = many.value_or(1);
        if (name == "temporary objects") portrait_.temporary_objects = many.value_or(1);
        if (name == "temporary slots") portrait_.temporary_slots = many.value_or(1);
    }
}

}  // namespace crossfade::proxy::portrait
