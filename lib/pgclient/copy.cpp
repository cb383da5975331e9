#include "lib/pgclient/copy.hpp"

#include <poll.h>

#include <memory>

namespace crossfade::pgclient {

namespace {

struct free_memory {
    void operator()(char* of) const { PQfreemem(of); }
};

// Sends the command; what isn't the start of a copy is a failure.
std::optional<failure> begin(connection& on, const std::string& sql, ExecStatusType expected) {
    const rows got{PQexec(on.native(), sql.c_str())};
    if (got.native() != nullptr && PQresultStatus(got.native()) == expected) return std::nullopt;
    return on.failure_of(got.native());
}

// The answer to the end of a copy, and all that follows it.
std::optional<failure> end(connection& on) {
    std::optional<failure> failed;
    for (;;) {
        const rows got{PQgetResult(on.native())};
        if (got.native() == nullptr) return failed;
        const auto status = PQresultStatus(got.native());
        if (status == PGRES_FATAL_ERROR && !failed) failed = on.failure_of(got.native());
        if (status == PGRES_COPY_IN || status == PGRES_COPY_OUT || PQstatus(on.native()) == CONNECTION_BAD) {
            return failed ? failed : on.failure_of(nullptr);
        }
    }
}

void drain(connection& from) {
    from.cancel();
    char* raw = nullptr;
    while (PQgetCopyData(from.native(), &raw, 0) > 0) PQfreemem(raw);
    (void)end(from);
}

}  // namespace

relayed relay_copy(connection& from, const std::string& out, connection& to, const std::string& in,
                   const std::function<bool()>& interrupted) {
    relayed done;
    done.target = begin(to, in, PGRES_COPY_IN);
    if (done.target) return done;
    done.source = begin(from, out, PGRES_COPY_OUT);
    while (!done.source) {
        char* raw = nullptr;
        const int length = PQgetCopyData(from.native(), &raw, 1);
        const std::unique_ptr<char, free_memory> row{raw};
        if (length < -1) {
            done.source = from.failure_of(nullptr);
            (void)end(from);
            break;
        }
        if (length == -1) {
            done.source = end(from);
            break;
        }
        if (interrupted && interrupted()) {
            done.source = failure{"57014", "interrupted", {}, {}, {}};
            drain(from);
            break;
        }
        if (length == 0) {
            pollfd wait{PQsocket(from.native()), POLLIN, 0};
            // A connection that broke says so when the next row is asked for.
            if (poll(&wait, 1, 100) > 0) (void)PQconsumeInput(from.native());
            continue;
        }
        if (PQputCopyData(to.native(), row.get(), length) != 1) {
            drain(from);
            done.target = end(to);
            if (!done.target) done.target = to.failure_of(nullptr);
            return done;
        }
        ++done.rows;
        done.bytes += length;
        done.last_row.assign(row.get(), static_cast<std::size_t>(length));
    }
    PQputCopyEnd(to.native(), done.source ? "broken off" : nullptr);
    auto ended = end(to);
    // A copy that we broke off ourselves is refused for that.
    if (!done.source) done.target = std::move(ended);
    return done;
}

}  // namespace crossfade::pgclient
