#include "lib/pgclient/connection.hpp"

#include <poll.h>

#include <algorithm>
#include <charconv>
#include <new>
#include <stdexcept>

namespace crossfade::pgclient {

namespace {

constexpr std::string_view broken_connection = "08006";

std::string field(const PGresult* of, int code) {
    const char* text = PQresultErrorField(of, code);
    return text == nullptr ? std::string{} : std::string{text};
}

// libpq's own messages end in a newline and may have several lines; the first says what happened.
std::string first_line(std::string_view text) {
    return std::string{text.substr(0, text.find('\n'))};
}

// The few primary messages that repeat a value: data exceptions do, in quotes ("invalid input syntax for type integer:
// "abc""), and what a function or trigger raises says whatever its author liked.
std::string without_values(std::string_view sqlstate, const std::string& message) {
    if (sqlstate == "P0001") return "raised by a function or trigger of the database; its message is withheld";
    if (!sqlstate.starts_with("22")) return message;
    std::size_t from = std::string::npos;
    for (const std::string_view quote : {"\"", "«", "»", "„", "“", "‘", "「"})
        from = std::min(from, message.find(quote));
    if (from == std::string::npos) return message;
    const auto to = message.rfind('"');
    return message.substr(0, from) + "\"…\"" + (to == std::string::npos || to <= from ? "" : message.substr(to + 1));
}

bool is_success(const ExecStatusType status) {
    return status == PGRES_COMMAND_OK || status == PGRES_TUPLES_OK || status == PGRES_EMPTY_QUERY ||
           status == PGRES_COPY_IN || status == PGRES_COPY_OUT || status == PGRES_COPY_BOTH ||
           status == PGRES_PIPELINE_SYNC;
}

}  // namespace

bool failure::connection_lost() const {
    // 57P01..57P05: shutdown, crash, cannot connect now, database dropped, idle session timeout.
    return sqlstate.starts_with("08") || sqlstate.starts_with("57P");
}

bool failure::transient() const {
    return connection_lost() || sqlstate.starts_with("40") || sqlstate.starts_with("53") ||
           sqlstate == "55P03" /* lock_not_available */ || sqlstate == "57014" /* query_canceled */ ||
           sqlstate == "25006" /* read_only_sql_transaction */ || sqlstate == "58030" /* io_error */;
}

std::string to_string(const failure& what) {
    std::string text = what.message + " (SQLSTATE " + what.sqlstate;
    if (!what.table.empty()) text += ", table " + what.table;
    if (!what.column.empty()) text += ", column " + what.column;
    if (!what.constraint.empty()) text += ", constraint " + what.constraint;
    return text + ')';
}

void throw_exception_from_error(const failure& what, const boost::source_location&) {
    throw std::runtime_error(to_string(what));
}

std::optional<std::int64_t> rows::integer(int row, int column) const {
    if (null(row, column)) return std::nullopt;
    const auto digits = text(row, column);
    std::int64_t value = 0;
    const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), value);
    if (error != std::errc{} || end != digits.data() + digits.size()) return std::nullopt;
    return value;
}

std::string rows::bytes(int row, int column) const {
    std::size_t size = 0;
    const auto* const escaped =
        reinterpret_cast<const unsigned char*>(PQgetvalue(result_.get(), row, column));  // NOLINT(*-reinterpret-cast)
    const std::unique_ptr<unsigned char, decltype(&PQfreemem)> plain{PQunescapeBytea(escaped, &size), PQfreemem};
    if (plain == nullptr) throw std::bad_alloc{};
    return {plain.get(), plain.get() + size};
}

std::int64_t rows::affected() const {
    const std::string_view digits = PQcmdTuples(result_.get());
    std::int64_t value = 0;
    std::from_chars(digits.data(), digits.data() + digits.size(), value);
    return value;
}

result<connection> connection::open(const std::string& dsn, const open_options& options) {
    return open(dsn, options, nullptr);
}

result<connection> connection::open(const std::string& dsn, const open_options& options, const PGconn* at) {
    const std::string timeout = std::to_string(options.connect_timeout.count());
    // expand_dbname: dbname is the whole dsn, whose own settings win over what stands before it, and what stands after
    // it wins over the dsn.
    std::vector<const char*> keys{"connect_timeout",  "keepalives_idle", "keepalives_interval", "keepalives_count",
                                  "tcp_user_timeout", "dbname",          "client_encoding",     "application_name"};
    std::vector<const char*> values{timeout.c_str(), "10",        "5",    "3",
                                    "30000",         dsn.c_str(), "UTF8", options.application_name.c_str()};
    if (options.replication) {
        keys.push_back("replication");
        values.push_back("database");
    }
    if (at != nullptr) {
        keys.insert(keys.end(), {"host", "hostaddr", "port"});
        values.insert(values.end(), {PQhost(at), PQhostaddr(at), PQport(at)});
    }
    keys.push_back(nullptr);
    values.push_back(nullptr);

    const auto until = std::chrono::steady_clock::now() + 2 * options.connect_timeout;
    connection opened{PQconnectdbParams(keys.data(), values.data(), 1), options};
    if (opened.conn_ == nullptr) return failure{"53200", "out of memory", {}, {}, {}};
    if (PQstatus(opened.native()) != CONNECTION_OK) return opened.failure_of(nullptr);
    // What libpq keeps as the connection's message is without DETAIL then; failure_of() reads the fields by themselves.
    PQsetErrorVerbosity(opened.native(), PQERRORS_TERSE);

    // One round trip. A walsender takes plain SQL, several statements too, once it is connected to a database. The
    // first half is how values are written and read; the second, what a role's or a database's own settings are meant
    // to do to applications.
    std::string settings =
        "SET search_path = pg_catalog; SET datestyle = 'ISO, YMD'; SET intervalstyle = postgres; "
        "SET extra_float_digits = 3; SET bytea_output = hex; SET timezone = 'UTC'; SET lc_monetary = 'C'; "
        "SET xmloption = content; "
        "SET statement_timeout = 0; SET lock_timeout = 0; SET idle_in_transaction_session_timeout = 0; "
        "SET default_transaction_isolation = 'read committed'; SET default_transaction_read_only = off; ";
    if (opened.server_version() >= 140000) settings += "SET idle_session_timeout = 0; ";
    if (opened.server_version() >= 170000) settings += "SET transaction_timeout = 0; ";
    settings += "SELECT pg_backend_pid()";
    const auto settled = opened.answer(PQsendQuery(opened.native(), settings.c_str()), until);
    if (!settled) return settled.error();
    opened.dsn_ = dsn;
    opened.pid_ = settled->text(0, 0);
    return opened;
}

result<rows> connection::exec(const std::string& sql) {
    take_leftovers();
    return answer(PQsendQuery(native(), sql.c_str()), std::nullopt);
}

result<rows> connection::exec(const std::string& sql, const std::vector<parameter>& parameters) {
    std::vector<const char*> values;
    values.reserve(parameters.size());
    for (const auto& value : parameters) values.push_back(value ? value->c_str() : nullptr);
    take_leftovers();
    return answer(PQsendQueryParams(native(), sql.c_str(), static_cast<int>(values.size()), nullptr, values.data(),
                                    nullptr, nullptr, 0),
                  std::nullopt);
}

// Of a copy that was broken off, or rows that nobody wanted: PQexec knows how to get rid of them.
void connection::take_leftovers() {
    if (PQtransactionStatus(native()) == PQTRANS_ACTIVE) PQclear(PQexec(native(), ""));
}

// As PQexec: the last statement's result, or the first that begins a copy.
result<rows> connection::answer(int sent, deadline until) {
    using clock = std::chrono::steady_clock;
    if (sent != 1) return failure_of(nullptr);
    silence_watch silence{*this};
    rows last{nullptr};
    for (;;) {
        while (PQisBusy(native()) != 0) {
            auto patience = silence.patience();
            if (until) patience = std::chrono::ceil<std::chrono::milliseconds>(*until - clock::now());
            pollfd wait{PQsocket(native()), POLLIN, 0};
            const int ready = patience.count() <= 0 ? 0 : ::poll(&wait, 1, static_cast<int>(patience.count()));
            if (ready > 0) {
                silence.heard();
                if (PQconsumeInput(native()) == 0) return failure_of(nullptr);
            } else if (ready == 0 && until) {
                break_off();
                return failure{std::string{broken_connection}, "no answer in time", {}, {}, {}};
            } else if (ready == 0) {
                if (auto failed = silence.given_up()) return *failed;
            }
        }
        PGresult* const next = PQgetResult(native());
        if (next == nullptr) break;
        last = rows{next};
        const auto status = PQresultStatus(next);
        if (status == PGRES_COPY_IN || status == PGRES_COPY_OUT || status == PGRES_COPY_BOTH) break;
    }
    if (last.native() == nullptr || !is_success(PQresultStatus(last.native()))) return failure_of(last.native());
    return last;
}

failure connection::failure_of(const PGresult* of) const {
    failure what;
    if (of != nullptr) {
        what.sqlstate = field(of, PG_DIAG_SQLSTATE);
        what.message = without_values(what.sqlstate, field(of, PG_DIAG_MESSAGE_PRIMARY));
        const std::string schema = field(of, PG_DIAG_SCHEMA_NAME);
        what.table = field(of, PG_DIAG_TABLE_NAME);
        if (!schema.empty() && !what.table.empty()) what.table.insert(0, schema + '.');
        what.column = field(of, PG_DIAG_COLUMN_NAME);
        what.constraint = field(of, PG_DIAG_CONSTRAINT_NAME);
    }
    if (what.sqlstate.empty()) {
        what.sqlstate = broken_connection;
        what.message = first_line(PQerrorMessage(native()));
    }
    return what;
}

std::string quote_literal(std::string_view text) {
    // Crossfade's own names alone come here; standard_conforming_strings doesn't matter to a replication command.
    std::string quoted = "'";
    for (const char c : text) {
        if (c == '\'') quoted += '\'';
        quoted += c;
    }
    return quoted + '\'';
}

}  // namespace crossfade::pgclient
