#pragma once

#include <atomic>
#include <mutex>
#include <optional>
#include <thread>

#include "lib/pgclient/connection.hpp"
#include "lib/settings/settings.hpp"
#include "proxy/capture/status_board.hpp"
#include "proxy/capture/stop_signal.hpp"
#include "proxy/capture/wal_budget.hpp"

namespace crossfade::proxy::capture {

// Looks every few seconds at the WAL that the source keeps for the slot, whatever the publisher does: one that waits
// for Kafka, or stands by, keeps WAL as well. Beyond the budget it drops the slot where the settings say so. On a
// thread and a connection of its own. Stopped by destruction.
class slot_watch {
  public:
    slot_watch(const settings::configuration& config, status_board& board);
    slot_watch(const slot_watch&) = delete;
    slot_watch& operator=(const slot_watch&) = delete;
    ~slot_watch();

    void start();
    // Once the slot is to be dropped: what the publisher's state is then. It may not take the slot any more, until
    // somebody has made it anew.
    std::optional<setback> verdict() const;
    // A slot is read again. One that is about to be dropped is none to go on with.
    void forget_verdict();

  private:
    void run() noexcept;
    void look();
    void say(const wal_warning& found);
    // One attempt; the next one comes with the next look, soon.
    void drop(const kept_wal& of);

    const settings::configuration& config_;
    status_board& board_;
    std::optional<pgclient::connection> connection_;
    std::string said_;
    mutable std::mutex guard_;
    std::atomic<bool> dropping_ = false;  // and somebody still reads it; set by the thread alone
    std::optional<setback> verdict_;
    stop_signal stop_;
    std::thread thread_;
};

}  // namespace crossfade::proxy::capture
