#include "proxy/portrait/survey.hpp"

#include "lib/pgwire/ascii.hpp"
#include "lib/pgwire/diagnostics.hpp"
#include "lib/pgwire/message_types.hpp"
#include "lib/pgwire/query_messages.hpp"
#include "lib/pgwire/rows.hpp"
#include "lib/pgwire/session_status.hpp"

namespace crossfade::proxy::portrait {
namespace {

constexpr unsigned statements = 3;

std::string run(std::string_view name, std::string_view sql) {
    return pgwire::build_parse(name, sql) + pgwire::build_bind("", name, {}) + pgwire::build_execute("", 0) +
           pgwire::build_close(pgwire::named::statement, name);
}

}  // namespace

// A null is a call of set_config whose first argument is more than a literal, or a SET, not a local one, whose name is
// put together when the function runs, all of it or a part: by format(), a text's end and an operator, or whatever a
// language has for that. The SET of an UPDATE is none; it stands behind a table, which may be put together, too. (The
// first quantifier makes the whole of that expression take as little as it can.) OIDs below 16384 are PostgreSQL's own
// functions.
std::string_view survey_sql() {
    return R"sql(/* crossfade: what functions may set */
WITH bodies (text) AS (
    SELECT CASE WHEN p.prosqlbody IS NULL THEN p.prosrc ELSE pg_catalog.pg_get_function_sqlbody(p.oid) END
    FROM pg_catalog.pg_proc AS p JOIN pg_catalog.pg_language AS l ON l.oid OPERATOR(pg_catalog.=) p.prolang
    WHERE p.oid OPERATOR(pg_catalog.>=) CAST(16384 AS pg_catalog.oid)
      AND NOT CAST(l.lanname AS pg_catalog.text) OPERATOR(pg_catalog.=) ANY (ARRAY['internal', 'c'])
)
SELECT called.match[1] FROM bodies AS b,
    LATERAL pg_catalog.regexp_matches(b.text, 'set_config"?\s*\(\s*(?:''([^'']*)''\s*(?:::\s*\w+\s*)?,)?', 'gi')
        AS called (match)
UNION ALL
SELECT said.match[1] FROM bodies AS b,
    LATERAL pg_catalog.regexp_matches(b.text,
        '\mset\s+(?:session\s+|local\s+)?("?[a-z_][\w$]*"?(?:\."?[a-z_][\w$]*"?)+)\s*(?:=|to\M)', 'gi') AS said (match)
UNION ALL
SELECT NULL FROM bodies AS b
WHERE pg_catalog.regexp_replace(b.text,
        '\mupdate\s+?(only\s+)?([^\s;]+(\s+as)?(\s+[^\s;]+)?\s+|[^\s;]*[''"$]\s*(\|\||\+|,)([^;\n]|\|\|\s*\n|\n\s*\|\|)*)?set\M',
        'update', 'gi')
    OPERATOR(pg_catalog.~*)
    '\mset\s+(session\s+)?["\w.]*(%|\{|\$|[''"]\s*(\|\||,|\+|\.\s*\$))|''set''\s*\|\|')sql";
}

void add(function_survey& to, std::optional<std::string_view> name) {
    if (!name) {
        to.complete = false;
        return;
    }
    std::string plain;
    for (const char letter : *name)
        if (letter != '"') plain += pgwire::lower(letter);
    if (plain.find_first_of("%{$") != std::string::npos) {
        to.complete = false;  // a literal that is filled in before it is said
    } else if (plain.find('.') != std::string::npos) {
        to.own_settings.insert(std::move(plain));
    }
}

std::string build_survey() {
    // Under the question's names, which it leaves out of what it tells. The text has backslashes.
    return run("crossfade 1",
               "SELECT pg_catalog.set_config('statement_timeout', '0', true), "
               "pg_catalog.set_config('standard_conforming_strings', 'on', true), "
               "(SELECT pg_catalog.set_config(s.name, '0', true) FROM pg_catalog.pg_settings AS s "
               "WHERE s.name OPERATOR(pg_catalog.=) 'transaction_timeout')") +
           // In front of the survey: a function that comes in between is then one that came later.
           run("crossfade 1", "SELECT " + std::string{edition_sql}) + run("crossfade 2", survey_sql()) +
           pgwire::build_sync();
}

std::optional<survey_answer::outcome> survey_answer::take(char type, std::string_view body) {
    namespace backend = pgwire::backend;
    switch (type) {
        case backend::data_row:
            if (completed_ == 1) take_edition(body);
            if (completed_ == 2) take_row(body);
            break;
        case backend::command_complete:
            ++completed_;
            break;
        case backend::error_response:
            error_ = pgwire::sqlstate_of(body);
            break;
        case backend::ready_for_query:
            if (malformed_ || pgwire::parse_ready_for_query(body) != pgwire::transaction_status::idle)
                return misbehaved{};
            if (!error_.empty()) return refused{error_, {}};
            if (completed_ != statements) return misbehaved{};
            return std::move(found_);
        default:
            break;
    }
    return std::nullopt;
}

void survey_answer::take_edition(std::string_view body) {
    const auto row = pgwire::parse_data_row(body);
    malformed_ = malformed_ || !row || row->empty() || !row->front();
    if (!malformed_) found_.edition = *row->front();
}

void survey_answer::take_row(std::string_view body) {
    const auto row = pgwire::parse_data_row(body);
    if (!row || row->size() != 1) {
        malformed_ = true;
    } else if (found_.own_settings.size() >= most_names) {
        found_.complete = false;
    } else {
        add(found_, row->front());
    }
}

}  // namespace crossfade::proxy::portrait
