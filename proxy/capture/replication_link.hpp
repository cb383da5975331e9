#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <variant>

#include "lib/model/timeline.hpp"
#include "lib/pgclient/connection.hpp"
#include "lib/pgoutput/replication.hpp"

namespace crossfade::proxy::capture {

struct source_identity {
    std::uint64_t system_identifier = 0;
    model::timeline_history timelines;
};

// A replication connection (a walsender on the other side): questions first, then start(), then frames. Reading and
// writing never block after start(): the caller waits for socket().
class replication_link {
  public:
    static pgclient::result<replication_link> open(const std::string& dsn);

    // Fails where the server has lost the history of its timeline, too.
    pgclient::result<source_identity> identify();
    pgclient::result<pgclient::rows> ask(const std::string& sql) { return connection_.exec(sql); }

    // From where the slot was confirmed. Fails with SQLSTATE 55006 when somebody else reads from the slot.
    pgclient::result<void> start(const std::string& slot, const std::string& publication);

    struct nothing_yet {};
    // The bytes of one CopyData message, valid until the next call; or what ended the stream.
    using arrival = std::variant<nothing_yet, std::string_view, pgclient::failure>;
    // One that has come in already; takes nothing from the socket.
    arrival next();
    // Takes from the socket what is there. Bounded by what TCP had buffered, so that not calling it is backpressure.
    void receive();
    // From how many bytes on the socket is readable (SO_RCVLOWAT, where it is TCP's). What ends the connection always
    // makes it so.
    void wake_at(int bytes);

    // Queues it to be sent; left out when earlier ones could not be sent yet, because a later one says as much.
    pgclient::result<void> send(const pgoutput::standby_status& status);
    // Sends what is queued as far as the socket takes it.
    pgclient::result<void> flush();
    bool wants_to_write() const { return wants_to_write_; }

    int server_process() const { return PQbackendPID(connection_.native()); }
    int socket() const { return PQsocket(connection_.native()); }

  private:
    struct free_memory {
        void operator()(char* of) const { PQfreemem(of); }
    };
    pgclient::result<model::timeline_history> history_of(std::uint32_t timeline);
    explicit replication_link(pgclient::connection connection) : connection_(std::move(connection)) {}

    pgclient::connection connection_;
    std::unique_ptr<char, free_memory> frame_;
    bool wants_to_write_ = false;
    int woken_at_ = 1;
};

}  // namespace crossfade::proxy::capture
