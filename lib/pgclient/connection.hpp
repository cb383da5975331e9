#pragma once

#include <libpq-fe.h>

#include <boost/system/result.hpp>
#include <chrono>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace crossfade::pgclient {

// What a database, or the way to it, answered instead of a result.
struct failure {
    std::string sqlstate;  // five characters; "08006" and its kin for a connection that broke or was never made
    // Primary message alone, and without the value that a data exception (class 22) quotes: DETAIL and CONTEXT hold row
    // values.
    std::string message;
    std::string table;  // schema.table, where the server names one
    std::string column;
    std::string constraint;

    // The connection is gone, or the server is going away or still starting.
    bool connection_lost() const;
    // The same again may succeed: connection lost, deadlock, serialisation, lock timeout, no resources, read-only.
    bool transient() const;
};
std::string to_string(const failure& what);
[[noreturn]] void throw_exception_from_error(const failure& what, const boost::source_location& where);

template <class T>
using result = boost::system::result<T, failure>;

struct clear_result {
    void operator()(PGresult* of) const { PQclear(of); }
};

// The rows of one statement.
class rows {
  public:
    explicit rows(PGresult* owned) : result_(owned) {}

    int size() const { return PQntuples(result_.get()); }
    bool empty() const { return size() == 0; }
    bool null(int row, int column) const { return PQgetisnull(result_.get(), row, column) != 0; }
    std::string_view text(int row, int column) const {
        return {PQgetvalue(result_.get(), row, column),
                static_cast<std::size_t>(PQgetlength(result_.get(), row, column))};
    }
    // Fails (nullopt) for null and for what is no number.
    std::optional<std::int64_t> integer(int row, int column) const;
    std::string bytes(int row, int column) const;  // of a bytea
    bool boolean(int row, int column) const { return text(row, column) == "t"; }
    std::int64_t affected() const;  // rows of the command tag
    PGresult* native() const { return result_.get(); }

  private:
    std::unique_ptr<PGresult, clear_result> result_;
};

using parameter = std::optional<std::string>;  // nullopt is NULL; text format

struct open_options {
    std::string application_name = "crossfade";
    bool replication = false;  // a walsender for logical decoding
    std::chrono::seconds connect_timeout{5};
    std::chrono::milliseconds silence{60000};  // see silence_watch
};

// One blocking libpq connection; for threads that may block, never for an event loop. TCP keepalives are on and
// tcp_user_timeout bounds a dead peer (the dsn may say otherwise, also for connect_timeout). The session has a fixed
// search_path (pg_catalog), datestyle ISO, intervalstyle postgres, extra_float_digits 3, bytea_output hex, lc_monetary
// C, xmloption content, UTF8 and UTC, so that text values are the same everywhere; and no timeouts, READ COMMITTED and
// READ WRITE, whatever a role or a database has set for its applications.
class connection {
  public:
    static result<connection> open(const std::string& dsn, const open_options& options);

    // One statement or several, without parameters; the last one's rows. Fails as a lost connection where a
    // silence_watch would.
    result<rows> exec(const std::string& sql);
    result<rows> exec(const std::string& sql, const std::vector<parameter>& parameters);

    int server_version() const { return PQserverVersion(native()); }  // 150018
    PGconn* native() const { return conn_.get(); }

    // The failure that a result, or the connection itself (null result), stands for.
    failure failure_of(const PGresult* of) const;

    const open_options& options() const { return options_; }
    // What the server answers on another connection, within a few seconds, to one statement with this one's process
    // number as $1. nullopt: it can't be asked now, but it is there.
    std::optional<result<rows>> ask_beside(const std::string& sql) const;
    // Asks for the statement under way to be cancelled; whether that succeeds, its own answer tells.
    void cancel() const;
    // From now on the connection is a broken one.
    void break_off() const;

  private:
    using deadline = std::optional<std::chrono::steady_clock::time_point>;
    // `at`: this very server, where the dsn names several.
    static result<connection> open(const std::string& dsn, const open_options& options, const PGconn* at);
    struct finish {
        void operator()(PGconn* of) const { PQfinish(of); }
    };
    explicit connection(PGconn* owned, open_options options) : conn_(owned), options_(std::move(options)) {}
    void take_leftovers();
    result<rows> answer(int sent, deadline until);

    std::unique_ptr<PGconn, finish> conn_;
    open_options options_;
    std::string dsn_;
    std::string pid_;  // as the server knows it: what it told at the log-in may be a pooler's invention
};

// For whoever waits for an answer. TCP tells of a peer that is gone only where nobody on the way acknowledges in its
// place, and of a server that hangs never; and how long a statement may take isn't known. So the server itself is asked
// about a silence, on another connection: as long as it says that it is at work on the statement, waiting for a lock
// included, the wait goes on. When it twice says that it isn't, or can't be reached, and nothing has come for
// open_options::silence, the connection is of no use.
class silence_watch {
  public:
    explicit silence_watch(const connection& of) : of_(of), limit_(of.options().silence) {}

    void heard() {
        since_ = clock::now();
        seen_.reset();
    }
    // How long one may wait for the socket before given_up() has something to do.
    std::chrono::milliseconds patience() const;
    // To be asked when nothing has come for a while; takes some seconds where the server is to be asked. A failure: the
    // connection has been broken off.
    std::optional<failure> given_up();

  private:
    using clock = std::chrono::steady_clock;
    const connection& of_;
    std::chrono::milliseconds limit_;
    clock::time_point since_ = clock::now();
    std::optional<std::string> seen_;  // what the server's process was at, instead of work
};

// A literal for the places where PostgreSQL takes no parameter; replication commands are such.
std::string quote_literal(std::string_view text);

}  // namespace crossfade::pgclient
