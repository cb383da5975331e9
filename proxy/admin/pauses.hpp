#pragma once

#include <prometheus/counter.h>
#include <prometheus/gauge.h>
#include <prometheus/registry.h>

#include <boost/asio/io_context.hpp>
#include <boost/asio/steady_timer.hpp>
#include <functional>
#include <memory>
#include <optional>
#include <string>

#include "lib/settings/reload.hpp"
#include "proxy/console/holds.hpp"
#include "proxy/console/provider.hpp"
#include "proxy/frontend/front.hpp"

namespace crossfade::proxy::admin {

// PAUSE and RESUME on this proxy (docs/adr/0008). All of it in the thread of `home`.
class pauses {
  public:
    using taker = std::function<void(console::answer)>;

    // What is given outlives this.
    pauses(boost::asio::io_context& home, frontend::front& front, prometheus::Registry& registry);

    // Answers when all sessions of the scope are between transactions, or, after proxy.console.pause_wait, that they
    // are not; then what held before holds again.
    void begin(console::scope what, std::string by, const settings::configuration& config, taker then);
    console::answer end(const console::scope& what);

    // A flip of that is under way, or over: while it is, that is held beside what holds anyway. RESUME doesn't end it.
    void hold_for_flip(std::optional<console::scope> held);

    const console::hold_set& in_force() const { return holds_; }

  private:
    struct attempt;
    void look(const std::shared_ptr<attempt>& at);
    void judge(const std::shared_ptr<attempt>& at, const std::vector<console::session_facts>& sessions);
    void give_up(const attempt& at, console::failure why);
    void apply();

    boost::asio::io_context& home_;
    frontend::front& front_;
    console::hold_set holds_;
    std::optional<console::hold> flip_;
    boost::asio::steady_timer next_end_;
    prometheus::Gauge& number_;
    prometheus::Counter& expired_;
};

}  // namespace crossfade::proxy::admin
