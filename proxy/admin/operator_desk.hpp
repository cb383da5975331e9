#pragma once

#include <boost/asio/io_context.hpp>
#include <boost/asio/steady_timer.hpp>
#include <functional>
#include <memory>

#include "lib/program/audit_trail.hpp"
#include "lib/program/configuration_reload.hpp"
#include "proxy/admin/drift_ledger.hpp"
#include "proxy/admin/pauses.hpp"
#include "proxy/capture/stream_publisher.hpp"
#include "proxy/console/provider.hpp"
#include "proxy/frontend/front.hpp"

namespace crossfade::proxy::admin {

// What consoles ask and order, carried out on this proxy. All of it happens in the thread of `home`, but for what asks
// a database.
class operator_desk : public console::provider {
  public:
    // `shut_down` ends the program as the operator wants it. Everything outlives the desk; `publisher` is null where
    // this proxy doesn't publish.
    operator_desk(boost::asio::io_context& home, frontend::front& front, program::configuration_reload& reload,
                  program::audit_trail& trail, const capture::stream_publisher* publisher,
                  prometheus::Registry& registry, std::function<void(console::shutdown_waits_for)> shut_down);

    // Waits for what is asked of a database. Call it when `home` has stopped, while the front is still there.
    void stop() { ledger_.stop(); }

    // In the thread of `home`: see pauses.
    void hold_for_flip(std::optional<console::scope> held) { pauses_.hold_for_flip(std::move(held)); }

    // From any thread.
    void carry_out(console::request what, std::function<void(console::answer)> then) override;

  private:
    using taker = std::function<void(console::answer)>;
    using shared_facts = std::shared_ptr<console::facts>;

    void look_up(console::subject what, taker then);
    void add_sessions(console::needs wanted, shared_facts into, taker then);
    void add_drift(console::needs wanted, shared_facts into, const taker& then);
    void keep_sample();
    console::traffic_facts traffic() const;
    console::answer do_reload(const std::string& by);
    // Notes who has ordered it and what the answer is, when it comes.
    taker audited(const console::request& what, taker then);
    void kill(std::uint64_t id, taker then);

    boost::asio::io_context& home_;
    frontend::front& front_;
    program::configuration_reload& reload_;
    program::audit_trail& trail_;
    const capture::stream_publisher* publisher_;
    std::function<void(console::shutdown_waits_for)> shut_down_;
    pauses pauses_;
    drift_ledger ledger_;

    // For averages: two samples, so that there is always one that is a period old, or nearly.
    struct sample {
        console::instant at{};
        console::traffic sums;
    };
    sample older_;
    sample newer_;
    boost::asio::steady_timer sampling_;
};

}  // namespace crossfade::proxy::admin
