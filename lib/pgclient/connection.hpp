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
};

// One blocking libpq connection; for threads that may block, never for an event loop. TCP keepalives are on and
// tcp_user_timeout bounds a dead peer (the dsn may say otherwise, also for connect_timeout). The session has a fixed
// search_path (pg_catalog), datestyle ISO, intervalstyle postgres, extra_float_digits 3, bytea_output hex, lc_monetary
// C, xmloption content, UTF8 and UTC, so that text values are the same everywhere; and no timeouts, READ COMMITTED and
// READ WRITE, whatever a role or a database has set for its applications.
class connection {
  public:
    static result<connection> open(const std::string& dsn, const open_options& options);

    // One statement or several, without parameters; the last one's rows.
    result<rows> exec(const std::string& sql);
    result<rows> exec(const std::string& sql, const std::vector<parameter>& parameters);

    int server_version() const { return PQserverVersion(native()); }  // 150018
    PGconn* native() const { return conn_.get(); }

    // The failure that a result, or the connection itself (null result), stands for.
    failure failure_of(const PGresult* of) const;

  private:
    struct finish {
        void operator()(PGconn* of) const { PQfinish(of); }
    };
    explicit connection(PGconn* owned) : conn_(owned) {}
    std::unique_ptr<PGconn, finish> conn_;
};

// A literal for the places where PostgreSQL takes no parameter; replication commands are such.
std::string quote_literal(std::string_view text);

}  // namespace crossfade::pgclient
