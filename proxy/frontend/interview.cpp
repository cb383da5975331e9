#include "proxy/frontend/interview.hpp"

#include <boost/throw_exception.hpp>
#include <stdexcept>

#include "lib/pgwire/bytes.hpp"
#include "lib/pgwire/diagnostics.hpp"
#include "lib/pgwire/message_types.hpp"
#include "lib/pgwire/query_messages.hpp"
#include "lib/pgwire/rows.hpp"

namespace crossfade::proxy::frontend {
namespace {

namespace backend = pgwire::backend;
using message = message_reader::message;

constexpr std::size_t most_meanwhile = std::size_t{1} << 20;

const interview_failure broken{interview_failure::kind::broken, {}};

bool is_for_client(const message& came) {
    switch (came.type) {
        case backend::notification_response:
        case backend::parameter_status:
            return true;
        case backend::error_response: {
            const auto said = pgwire::parse_diagnostics(came.body);
            return said && said->severity() == "FATAL";
        }
        default:
            return false;
    }
}

// Sends, and gives the reader each message until it is through; nothing when the connection is broken.
template <class Reader>
asio::awaitable<std::optional<typename Reader::outcome>> exchange(transport& server, message_reader& from,
                                                                  std::string messages, Reader& reader,
                                                                  for_client& meanwhile) {
    const auto failed = co_await server.write(messages);
    if (failed) co_return std::nullopt;
    for (;;) {
        const auto came = co_await from.next(portrait::longest_message);
        if (!came) co_return std::nullopt;
        if (is_for_client(*came)) meanwhile += pgwire::framed(came->type, came->body);
        if (meanwhile.size() > most_meanwhile) co_return std::nullopt;
        if (auto outcome = reader.take(came->type, came->body)) co_return outcome;
    }
}

// Of what leaves nothing but ReadyForQuery to wait for.
struct until_ready {
    using outcome = bool;
    std::optional<outcome> take(char type, std::string_view) const {
        return type == backend::ready_for_query ? std::optional{true} : std::nullopt;
    }
};

struct until_all_are_ready {
    struct outcome {
        pgwire::transaction_status status{};
        std::string error{};  // the first one's SQLSTATE
    };
    unsigned left;
    outcome so_far{};

    std::optional<outcome> take(char type, std::string_view body) {
        if (type == backend::error_response && so_far.error.empty()) so_far.error = pgwire::sqlstate_of(body);
        if (type != backend::ready_for_query) return std::nullopt;
        so_far.status = pgwire::parse_ready_for_query(body).value_or(pgwire::transaction_status::failed);
        return --left == 0 ? std::optional{so_far} : std::nullopt;
    }
};

struct until_ready_with_row {
    struct outcome {
        std::string error{};
        std::string value{};  // the last row's first
    };
    outcome so_far{};

    std::optional<outcome> take(char type, std::string_view body) {
        if (type == backend::error_response) so_far.error = pgwire::sqlstate_of(body);
        if (type == backend::data_row)
            if (const auto row = pgwire::parse_data_row(body); row && !row->empty())
                so_far.value = row->front().value_or("");
        return type == backend::ready_for_query ? std::optional{so_far} : std::nullopt;
    }
};

// A simple query, or a Parse without a name, would take the client's unnamed statement away.
std::string named_run(std::string_view sql) {
    constexpr std::string_view name = "crossfade 1";
    return pgwire::build_parse(name, sql) + pgwire::build_bind("", name, {}) + pgwire::build_execute("", 0) +
           pgwire::build_close(pgwire::named::statement, name) + pgwire::build_sync();
}

}  // namespace

void throw_exception_from_error(const interview_failure& failure, const boost::source_location& where) {
    boost::throw_exception(std::runtime_error("the session was not asked: " + failure.sqlstate), where);
}

asio::awaitable<boost::system::result<portrait::session_portrait, interview_failure>> ask(transport& server,
                                                                                          message_reader& from,
                                                                                          portrait::question question,
                                                                                          for_client& meanwhile) {
    portrait::answer reading(question);
    auto outcome = co_await exchange(server, from, portrait::build(question), reading, meanwhile);
    if (!outcome) co_return broken;
    if (auto* found = std::get_if<portrait::session_portrait>(&*outcome)) co_return std::move(*found);
    auto* refused = std::get_if<portrait::refused>(&*outcome);
    if (refused == nullptr) co_return broken;
    if (!refused->cleanup.empty()) {
        until_ready cleaning;
        const auto cleaned = co_await exchange(server, from, refused->cleanup, cleaning, meanwhile);
        if (!cleaned) co_return broken;
    }
    co_return interview_failure{interview_failure::kind::refused, std::move(refused->sqlstate)};
}

asio::awaitable<boost::system::result<portrait::function_survey, interview_failure>> survey(transport& server,
                                                                                            message_reader& from,
                                                                                            for_client& meanwhile) {
    portrait::survey_answer reading;
    auto outcome = co_await exchange(server, from, portrait::build_survey(), reading, meanwhile);
    if (!outcome) co_return broken;
    if (auto* found = std::get_if<portrait::function_survey>(&*outcome)) co_return std::move(*found);
    if (auto* refused = std::get_if<portrait::refused>(&*outcome))
        co_return interview_failure{interview_failure::kind::refused, std::move(refused->sqlstate)};
    co_return broken;
}

asio::awaitable<boost::system::result<pgwire::transaction_status, interview_failure>> repeat(
    transport& server, message_reader& from, std::string messages, unsigned readies, for_client& meanwhile) {
    until_all_are_ready reading{readies};
    auto outcome = co_await exchange(server, from, std::move(messages), reading, meanwhile);
    if (!outcome) co_return broken;
    if (!outcome->error.empty())
        co_return interview_failure{interview_failure::kind::refused, std::move(outcome->error)};
    co_return outcome->status;
}

asio::awaitable<boost::system::result<bool, interview_failure>> has_only_looked(transport& server, message_reader& from,
                                                                                for_client& meanwhile) {
    until_ready_with_row reading;
    auto messages = named_run(
        "SELECT pg_catalog.pg_current_xact_id_if_assigned() IS NULL AND "
        "pg_catalog.current_setting('transaction_isolation') OPERATOR(pg_catalog.=) 'read committed'");
    const auto said = co_await exchange(server, from, std::move(messages), reading, meanwhile);
    if (!said) co_return broken;
    if (!said->error.empty()) co_return interview_failure{interview_failure::kind::refused, said->error};
    co_return said->value == "t";
}

asio::awaitable<boost::system::result<pgwire::transaction_status, interview_failure>> roll_back(transport& server,
                                                                                                message_reader& from,
                                                                                                for_client& meanwhile) {
    return repeat(server, from, named_run("ROLLBACK"), 1, meanwhile);
}

asio::awaitable<boost::system::result<pgwire::transaction_status, interview_failure>> only_read(transport& server,
                                                                                                message_reader& from,
                                                                                                for_client& meanwhile) {
    return repeat(server, from, named_run("SET default_transaction_read_only = on"), 1, meanwhile);
}

asio::awaitable<bool> catch_up(transport& server, message_reader& from, for_client& meanwhile) {
    until_ready reading;
    const auto outcome = co_await exchange(server, from, pgwire::build_sync(), reading, meanwhile);
    co_return outcome.has_value();
}

asio::awaitable<boost::system::result<std::vector<std::string>, interview_failure>> become(
    transport& server, message_reader& from, const portrait::session_portrait& wanted,
    const portrait::session_portrait& now, for_client& meanwhile) {
    portrait::recreation reading;
    auto outcome = co_await exchange(server, from, portrait::recreate(wanted, now), reading, meanwhile);
    if (!outcome) co_return broken;
    if (auto* done = std::get_if<portrait::recreation::done>(&*outcome)) co_return std::move(done->reported);
    if (auto* refused = std::get_if<portrait::recreation::refused>(&*outcome))
        co_return interview_failure{interview_failure::kind::refused, std::move(refused->sqlstate)};
    co_return broken;
}

}  // namespace crossfade::proxy::frontend
