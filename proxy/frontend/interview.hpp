#pragma once

#include <boost/system/result.hpp>
#include <string>
#include <vector>

#include "lib/pgwire/session_status.hpp"
#include "proxy/frontend/message_reader.hpp"
#include "proxy/portrait/question.hpp"
#include "proxy/portrait/recreate.hpp"
#include "proxy/portrait/survey.hpp"

// Talks to a database in a client's session, at a place where nothing is owed and no transaction is open. The caller
// bounds the time; who gives up half-way must close the session, as answers are still on their way.
namespace crossfade::proxy::frontend {

struct interview_failure {
    enum class kind {
        refused,  // by the database, with this SQLSTATE; the session is as it was
        broken,   // the connection has to be closed
    } what;
    std::string sqlstate;
};
[[noreturn]] void throw_exception_from_error(const interview_failure& failure, const boost::source_location& where);

// What came in between and is the client's, as whole messages, to be sent on whatever became of the rest:
// notifications, changes of settings by the server's configuration, its last words. Bounded: beyond it the interview is
// `broken`.
using for_client = std::string;

// What the session holds. `heard` is left to the caller.
asio::awaitable<boost::system::result<portrait::session_portrait, interview_failure>> ask(transport& server,
                                                                                          message_reader& from,
                                                                                          portrait::question question,
                                                                                          for_client& meanwhile);

// What the functions of the session's database set. After a failure the session may be left with statements of ours.
asio::awaitable<boost::system::result<portrait::function_survey, interview_failure>> survey(transport& server,
                                                                                            message_reader& from,
                                                                                            for_client& meanwhile);

// Makes a session that has just logged in as `wanted` is, which has no obstacles; what it then reports of its settings
// (`meanwhile` has that, too).
asio::awaitable<boost::system::result<std::vector<std::string>, interview_failure>> become(
    transport& server, message_reader& from, const portrait::session_portrait& wanted,
    const portrait::session_portrait& now, for_client& meanwhile);

// Sends a client's messages and swallows the answers, up to the last of so many ReadyForQuery: what that said.
asio::awaitable<boost::system::result<pgwire::transaction_status, interview_failure>> repeat(
    transport& server, message_reader& from, std::string messages, unsigned readies, for_client& meanwhile);

// Whether the transaction that the session is in has written nothing, and each of its statements sees what is committed
// by then.
asio::awaitable<boost::system::result<bool, interview_failure>> has_only_looked(transport& server, message_reader& from,
                                                                                for_client& meanwhile);

// Undoes the transaction that the session is in, and leaves its statements as they are.
asio::awaitable<boost::system::result<pgwire::transaction_status, interview_failure>> roll_back(transport& server,
                                                                                                message_reader& from,
                                                                                                for_client& meanwhile);

// Makes the session one whose transactions are READ ONLY unless they say otherwise, and leaves its statements as they
// are.
asio::awaitable<boost::system::result<pgwire::transaction_status, interview_failure>> only_read(transport& server,
                                                                                                message_reader& from,
                                                                                                for_client& meanwhile);

// Takes what the server has sent by now without being asked. False: the connection is broken.
asio::awaitable<bool> catch_up(transport& server, message_reader& from, for_client& meanwhile);

}  // namespace crossfade::proxy::frontend
