#include "proxy/frontend/gatekeeper.hpp"

#include <boost/asio/co_spawn.hpp>
#include <boost/throw_exception.hpp>
#include <chrono>
#include <stdexcept>
#include <utility>
#include <vector>

#include "proxy/frontend/counted.hpp"

namespace crossfade::proxy::frontend {
namespace {

using lookup = gatekeeper::finding;

auth::wall_time now() {
    return std::chrono::time_point_cast<std::chrono::microseconds>(std::chrono::system_clock::now());
}

lookup read(const pgclient::rows& answer, const std::string& user) {
    std::vector<auth::credential_row> rows;
    for (int row = 0; row < answer.size(); ++row) {
        auto& cells = rows.emplace_back();
        for (int column = 0; column < PQnfields(answer.native()); ++column)
            cells.push_back(answer.null(row, column) ? std::nullopt
                                                     : std::optional{std::string{answer.text(row, column)}});
    }
    auto read = auth::read_credential(rows, user);
    if (!read) return cannot_ask{"proxy.auth.query: " + std::string{to_string(read.error())}};
    return std::move(*read);
}

}  // namespace

void throw_exception_from_error(const cannot_ask& why, const boost::source_location& where) {
    boost::throw_exception(std::runtime_error(why.reason), where);
}

gatekeeper::gatekeeper()
    : secret_(auth::random_bytes(32)),
      knowledge_(
          std::make_shared<knowledge>(knowledge{auth::scram_mock{auth::default_scram_iterations, secret_}, {}})) {}

gatekeeper::~gatekeeper() {
    asking_.join();
}

void gatekeeper::take(const settings::configuration& config) {
    const auto before = std::atomic_load(&knowledge_);
    auth::scram_mock mock{config.proxy.auth.scram_iterations, secret_};
    auth::user_accounts accounts{config.proxy.auth.users, mock, &before->accounts};
    std::atomic_store(&knowledge_, std::shared_ptr<const knowledge>(
                                       std::make_shared<knowledge>(knowledge{std::move(mock), std::move(accounts)})));
}

auth::scram_subject gatekeeper::subject_for(const std::optional<auth::credential>& found,
                                            const std::string& user) const {
    return auth::subject_for(found ? &*found : nullptr, user, now(), std::atomic_load(&knowledge_)->mock);
}

asio::awaitable<lookup> gatekeeper::find(std::string user, settings::snapshot in_force, settings::side authority) {
    if (const auto* known = std::atomic_load(&knowledge_)->accounts.find(user)) co_return std::optional{*known};
    if (in_force->config.proxy.auth.query.empty()) co_return std::optional<auth::credential>{};
    const counted one{waiting_};
    if (one.before() >= most_waiting) co_return cannot_ask{"too many log-ins wait for proxy.auth.query"};
    // Named: g++ 12 destroys what a temporary in an awaited expression has captured twice.
    auto asked = [this, user, in_force, authority]() -> asio::awaitable<lookup> {
        co_return ask(user, in_force->config, authority);
    };
    co_return co_await asio::co_spawn(asking_, std::move(asked), asio::use_awaitable);
}

lookup gatekeeper::ask(const std::string& user, const settings::configuration& config, settings::side authority) {
    const auto& database = config.database_of(authority);
    pgclient::failure last;
    // The connection may have died unseen since the last log-in: once more with a new one.
    for (int attempt = 0; attempt < 2; ++attempt) {
        if (!connection_ || connected_to_ != authority) {
            pgclient::open_options options;
            options.application_name = "crossfade-login";
            options.silence = std::chrono::seconds{5};  // others wait behind this one
            auto opened = pgclient::connection::open(database.dsn, options);
            if (!opened) return cannot_ask{"proxy.auth.query: " + to_string(opened.error())};
            connection_.emplace(std::move(*opened));
            connected_to_ = authority;
            const auto bounded = connection_->exec("SET statement_timeout = '5s'");
            if (!bounded) return cannot_ask{"proxy.auth.query: " + to_string(bounded.error())};
        }
        const auto answer = connection_->exec(config.proxy.auth.query, {user});
        if (answer) return read(*answer, user);
        last = answer.error();
        if (!last.connection_lost()) break;
        connection_.reset();
    }
    return cannot_ask{"proxy.auth.query: " + to_string(last)};
}

}  // namespace crossfade::proxy::frontend
