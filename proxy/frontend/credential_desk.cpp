#include "proxy/frontend/credential_desk.hpp"

#include <boost/asio/co_spawn.hpp>
#include <boost/throw_exception.hpp>
#include <stdexcept>
#include <utility>
#include <vector>

#include "proxy/frontend/counted.hpp"

namespace crossfade::proxy::frontend {
namespace {

cannot_ask because(std::string_view reason) {
    return {"proxy.auth.query: " + std::string{reason}};
}

credential_finding read(const pgclient::rows& answer, const std::string& user) {
    std::vector<auth::credential_row> rows;
    for (int row = 0; row < answer.size(); ++row) {
        auto& cells = rows.emplace_back();
        for (int column = 0; column < PQnfields(answer.native()); ++column)
            cells.push_back(answer.null(row, column) ? std::nullopt
                                                     : std::optional{std::string{answer.text(row, column)}});
    }
    auto read = auth::read_credential(rows, user);
    if (!read) return because(to_string(read.error()));
    return std::move(*read);
}

}  // namespace

void throw_exception_from_error(const cannot_ask& why, const boost::source_location& where) {
    boost::throw_exception(std::runtime_error(why.reason), where);
}

credential_desk::~credential_desk() {
    asking_.join();
}

asio::awaitable<credential_finding> credential_desk::find(std::string user, settings::snapshot in_force) {
    const counted one{waiting_};
    if (one.before() >= most_waiting) co_return cannot_ask{"too many log-ins wait for proxy.auth.query"};
    // Named: g++ 12 destroys what a temporary in an awaited expression has captured twice.
    auto asked = [this, user, in_force, wanted = clock::now()]() -> asio::awaitable<credential_finding> {
        co_return ask(user, in_force->config, wanted);
    };
    co_return co_await asio::co_spawn(asking_, std::move(asked), asio::use_awaitable);
}

credential_finding credential_desk::ask(const std::string& user, const settings::configuration& config,
                                        clock::time_point wanted) {
    pgclient::failure last;
    // The connection may have died unseen since the last log-in: once more with a new one.
    for (int attempt = 0; attempt < 2; ++attempt) {
        if (!connection_) {
            // An attempt that began when this log-in waited already speaks for it, too: else 200 of them would wait for
            // one timeout after the other.
            if (vain_ && vain_->begun >= wanted) return vain_->why;
            const auto begun = clock::now();
            if (auto why = connect(config.database_of(side_).dsn)) {
                vain_ = {begun, *why};
                return std::move(*why);
            }
        }
        const auto answer = connection_->exec(config.proxy.auth.query, {user});
        if (answer) return read(*answer, user);
        last = answer.error();
        if (!last.connection_lost()) break;
        connection_.reset();
    }
    return because(to_string(last));
}

std::optional<cannot_ask> credential_desk::connect(const std::string& dsn) {
    pgclient::open_options options;
    options.application_name = "crossfade-login";
    options.silence = std::chrono::seconds{5};  // others wait behind this one
    auto opened = pgclient::connection::open(dsn, options);
    if (!opened) return because(to_string(opened.error()));
    if (const auto bounded = opened->exec("SET statement_timeout = '5s'"); !bounded)
        return because(to_string(bounded.error()));
    connection_.emplace(std::move(*opened));
    return std::nullopt;
}

}  // namespace crossfade::proxy::frontend
