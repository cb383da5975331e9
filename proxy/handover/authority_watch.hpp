#pragma once

#include <prometheus/counter.h>
#include <prometheus/gauge.h>
#include <prometheus/histogram.h>
#include <prometheus/registry.h>

#include <chrono>
#include <cstdint>
#include <functional>
#include <mutex>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "lib/pgclient/connection.hpp"
#include "lib/settings/reload.hpp"
#include "lib/store/authority.hpp"

namespace crossfade::proxy::handover {

// Knows who the authority is, as the databases have it, and does a proxy's part in flips (docs/adr/0024): hears that
// one is under way, has everything held, says so, and has it go on, wherever that is then. Where a flip was left behind
// it undoes or finishes it. On threads and connections of its own, one for each side, as a database that hangs is not
// to keep back what the other one says. What goes wrong there loses nothing, as the fence is in the databases: a proxy
// that can't ask takes the last answer to be true.
class authority_watch {
  public:
    // What the proxy does; called in the watch's threads, one at a time, and not to take longer than a moment.
    struct obedience {
        // The scope alone, or more.
        std::function<void(const settings::flag_scope&)> hold;
        // How many sessions are not at a boundary while it holds; nullopt: that isn't known yet.
        std::function<std::optional<std::size_t>()> busy;
        // There is nothing to be held any more. `decided`: who is in charge from now on.
        std::function<void(std::optional<settings::decision> decided)> go_on;
        // What is known of what that side is the authority of holds good until then: who moves some of it away waits so
        // long for this proxy at least.
        std::function<void(settings::side which, std::chrono::steady_clock::time_point until)> rely;
    };

    // `name`: what the proxy is known by among others.
    authority_watch(settings::configuration config, std::string name, prometheus::Registry& metrics);
    ~authority_watch() { stop(); }

    // Asks both databases, some seconds at most. nullopt: neither tells, or flips were never prepared.
    std::optional<settings::decision> first_look();
    void start(obedience how);
    // Any thread.
    void stop();

  private:
    using clock = std::chrono::steady_clock;
    // Its thread's own, but for what is said to be under the lock.
    struct side_link {
        settings::side which;
        std::optional<pgclient::connection> db{};
        std::string said{};  // the last trouble, so that it is said once
        clock::time_point again{};
        clock::time_point looked{};
        clock::time_point reported{};
        bool news = true;
        // Under the lock.
        std::optional<store::authority_row> row{};
        std::optional<clock::time_point> hold_until{};
        clock::time_point good_until{};  // what rely() was told last
        bool report_anew = false;
    };
    struct held_flip {
        settings::side from;
        std::int64_t id = 0;  // there

        friend bool operator==(const held_flip&, const held_flip&) = default;
    };
    // What a side is told of this proxy.
    struct word {
        bool asked = false;  // the flip began there
        std::optional<std::size_t> busy;
        std::int64_t flip = 0;
        bool due = false;
    };

    void run(side_link& at, const std::stop_token& stopping);
    void clear_up_again_and_again(const std::stop_token& stopping);
    void connect(side_link& to);
    void look(side_link& at);
    void lose(side_link& at, const pgclient::failure& why);
    void report(side_link& to);
    void wait(side_link& on);
    void clear_up(const std::stop_token& stopping);
    // With the lock.
    word word_for(side_link& to);
    void judge();
    void begin_hold(const side_link& from, const store::authority_row& row);
    void end_hold(std::optional<settings::decision> decided);
    void tell(const settings::decision& known);

    const settings::configuration config_;
    const std::string name_;
    obedience how_;
    prometheus::Gauge& epoch_;
    prometheus::Gauge& on_modern_;
    prometheus::Gauge& apart_;
    prometheus::Gauge& holding_;
    prometheus::Counter& handed_;
    prometheus::Counter& undone_;
    prometheus::Histogram& held_seconds_;

    prometheus::Counter& stale_;

    side_link legacy_{.which = settings::side::legacy};
    side_link modern_{.which = settings::side::modern};
    mutable std::mutex mutex_;  // for what follows, and for the links' part
    std::optional<settings::decision> known_;
    std::optional<held_flip> flip_;  // for which it holds
    clock::time_point held_since_{};
    std::optional<clock::time_point> opening_since_;
    std::optional<clock::time_point> left_since_;  // a state that its flip is to end
    std::optional<std::size_t> reported_busy_;
    std::vector<std::jthread> threads_;
};

}  // namespace crossfade::proxy::handover
