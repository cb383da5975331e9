#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>

#include "lib/pgwire/reply_queue.hpp"
#include "lib/pgwire/session_status.hpp"

namespace crossfade::pgwire {

enum class copy_mode { none, in, out, both };

// Knows where a session stands from the messages that pass in both directions, as the server does (postgres.c,
// PostgresMain and SocketBackend; copyfromparse.c, CopyGetData):
//   - Query, FunctionCall and Sync are each answered with one ReadyForQuery;
//   - after an error in an extended message the server skips everything, a Query too, up to the next Sync;
//   - during COPY FROM STDIN it swallows Flush and Sync, ends at CopyDone or CopyFail, and takes any other message for
//   an
//     error of the COPY; outside of it stray copy messages are ignored.
//
// One thing can't be seen from outside: when a COPY begun by extended messages fails while a Sync is on its way to the
// server, whether that Sync was swallowed. The tracker takes it as swallowed; a ReadyForQuery that it doesn't await is
// counted for its status and otherwise ignored.
class session_tracker {
  public:
    session_tracker() { owed_.push(reply_queue::kind::startup); }

    // A message of the client, before it is sent on.
    void on_frontend(char type);
    // A message of the server. `body`: its beginning, at least one byte for ReadyForQuery.
    void on_backend(char type, std::string_view body);

    // Authentication is over: the first ReadyForQuery has come.
    bool started() const { return started_; }
    transaction_status status() const { return status_; }
    copy_mode copying() const { return copy_; }

    // Nothing asked that isn't answered.
    bool quiet() const { return owed_.empty() && !skipping_; }
    // Quiet, outside any transaction, the implicit one of messages without a Sync included: the place where another
    // plan may be taken and where the session may be closed without a loss.
    bool idle() const {
        return started_ && quiet() && !batch_open_ && status_ == transaction_status::idle && copy_ == copy_mode::none;
    }
    // Whether a ReadyForQuery is on its way; false also for extended messages that no Sync has followed.
    bool ready_is_due() const;

    // Transactions that have ended, implicit ones included.
    std::uint64_t transactions() const { return transactions_; }

    // Bytes held outside the object: they grow with what a client asks without being answered, and the caller bounds
    // that. At most twelve bytes a message.
    std::size_t allocated() const { return owed_.allocated(); }

  private:
    void on_copy_in_message(char type);
    void on_error();
    void on_ready(std::string_view body);
    void on_copy_in();
    void on_extended_reply();
    void drop_stray_copy_ends();

    reply_queue owed_;
    transaction_status status_ = transaction_status::idle;
    copy_mode copy_ = copy_mode::none;
    bool started_ = false;
    bool skipping_ = false;    // the server skips up to a Sync that hasn't been sent yet
    bool batch_open_ = false;  // extended messages were sent, and no Sync after them
    std::uint64_t transactions_ = 0;
};

}  // namespace crossfade::pgwire
