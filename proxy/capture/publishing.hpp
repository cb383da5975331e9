#pragma once

#include <chrono>
#include <functional>
#include <optional>
#include <string_view>

#include "lib/pgoutput/assembler.hpp"
#include "proxy/capture/linger.hpp"
#include "proxy/capture/replication_link.hpp"
#include "proxy/capture/source_monitor.hpp"
#include "proxy/capture/status_board.hpp"
#include "proxy/capture/stop_signal.hpp"
#include "proxy/publish/outbox.hpp"
#include "proxy/publish/overlap.hpp"

namespace crossfade::proxy::capture {

// One spell of publishing, from holding the slot to losing it: frames in, events out, answers back. One thread; it
// waits for the socket and for Kafka's answers together and never for one of them alone.
class publishing {
  public:
    // `published`: what the WAL has to bring once more, where the slot is before it.
    publishing(replication_link& link, publish::outbox& outbox, const pgoutput::assembler::source& source,
               const std::optional<publish::last_published>& published, const settings::configuration& config,
               std::function<settings::snapshot()> in_force, status_board& board);

    // Returns why it ended: state `off` when `stop` was raised.
    setback run(const stop_signal& stop, const source_monitor& monitor);

  private:
    using clock = std::chrono::steady_clock;
    using ending = std::optional<setback>;

    setback unreadable(const std::string& what) const;
    ending read_some();
    ending read_round();
    ending on_frame(std::string_view bytes);
    ending on_payload(const pgoutput::xlog_data& data);
    ending settle(std::chrono::milliseconds timeout);
    ending tell_server(model::lsn confirmed);
    ending tell_server_if_due();
    void watch_acknowledgements();
    ending wait(const stop_signal& stop, const source_monitor& monitor);
    void finish();
    bool lingers();

    replication_link& link_;
    publish::outbox& outbox_;
    pgoutput::assembler assembler_;
    publish::overlap overlap_;
    const settings::configuration& config_;
    const settings::stream& stream_;
    const std::function<settings::snapshot()> in_force_;
    settings::snapshot judged_;  // by which it lingers, or not
    bool mirrored_ = false;
    linger linger_;
    status_board& board_;

    model::lsn received_;    // end of WAL that the server has told of
    model::lsn told_;        // confirmed to the server
    bool more_here_ = true;  // frames may be left in libpq's buffer
    clock::time_point last_told_;
    clock::time_point last_heard_;         // or it wasn't listened to
    clock::time_point last_acknowledged_;  // or nothing was outstanding
    std::size_t outstanding_ = 0;
    std::chrono::milliseconds behind_{0};  // from the last transaction's commit to its being sent
    std::optional<clock::time_point> gather_until_;
};

}  // namespace crossfade::proxy::capture
