#pragma once

#include <optional>
#include <string>
#include <thread>

#include "lib/pgclient/connection.hpp"
#include "lib/settings/settings.hpp"
#include "proxy/capture/status_board.hpp"
#include "proxy/capture/stop_signal.hpp"

namespace crossfade::proxy::capture {

// Runs beside the reading of the WAL, on a thread and an ordinary connection of its own: writes the heartbeats. Its
// troubles are logged and counted, and hold up nobody. Stopped by destruction.
class source_monitor {
  public:
    source_monitor(pgclient::connection connection, const settings::configuration& config, status_board& board);
    source_monitor(const source_monitor&) = delete;
    source_monitor& operator=(const source_monitor&) = delete;
    ~source_monitor();

    // Raised when the server told us that it is shutting down. It then waits for its walsenders, and those for us: one
    // that isn't reading because Kafka is away would hold up the shutdown for good.
    const stop_signal& server_leaves() const { return server_leaves_; }

  private:
    void run() noexcept;
    void beat(const std::string& condition);
    void beat_behind_much_wal();
    std::optional<pgclient::failure> ask(const std::string& sql, std::optional<pgclient::rows>& answer);
    void note(const std::optional<pgclient::failure>& failed, bool heartbeat);
    void reopen();

    const settings::configuration& config_;
    status_board& board_;
    std::optional<pgclient::connection> connection_;
    std::string last_beat_;  // LSN
    bool in_trouble_ = false;
    stop_signal stop_;
    stop_signal server_leaves_;
    std::thread thread_;
};

}  // namespace crossfade::proxy::capture
