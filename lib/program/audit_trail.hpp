#pragma once

#include <prometheus/counter.h>
#include <prometheus/gauge.h>
#include <prometheus/registry.h>

#include <chrono>
#include <condition_variable>
#include <deque>
#include <functional>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <thread>

#include "lib/pgclient/connection.hpp"
#include "lib/settings/reload.hpp"
#include "lib/store/audit.hpp"

namespace crossfade::program {

// What operators do to a running program, on its way into crossfade.audit: on the database that is the authority by the
// flags in force, else on the other one. It comes there by a thread of its own, so that a database that is away holds
// up nothing; one that doesn't come back in time costs the entry, which is counted and logged. An entry whose
// connection broke before the database had answered may be there twice.
class audit_trail {
  public:
    // `program`: which one of those that run, for the entries. What is given outlives this.
    audit_trail(std::string program, std::function<settings::snapshot()> in_force, prometheus::Registry& registry);
    ~audit_trail() { stop(); }
    // What waits is tried once more, for some seconds at most.
    void stop();

    // From any thread; returns at once. Stream and program are filled in.
    void note(store::audit_entry entry);
    // Of every reload but those that have changed nothing; `by` may be empty.
    void note_reload(std::string_view trigger, std::string_view by, const settings::reload_report& report);

    static constexpr std::size_t most_waiting = 256;

  private:
    using clock = std::chrono::steady_clock;
    struct waiting {
        store::audit_entry entry;
        clock::time_point since;
    };
    enum class fate { kept, later, never };

    void work();
    fate bring(const waiting& next);
    std::optional<pgclient::failure> write(const std::string& dsn, const store::audit_entry& entry) const;
    void lose(const waiting& next, std::string_view why);

    std::string program_;
    std::function<settings::snapshot()> in_force_;
    prometheus::Counter& lost_;
    prometheus::Gauge& number_;
    std::mutex mutex_;
    std::condition_variable changed_;
    std::deque<waiting> waiting_;
    bool ending_ = false;
    std::optional<clock::time_point> until_;
    std::thread thread_;
};

}  // namespace crossfade::program
