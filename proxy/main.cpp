#include <prometheus/registry.h>
#include <spdlog/spdlog.h>
#include <unistd.h>

#include <array>
#include <boost/asio/io_context.hpp>
#include <boost/asio/signal_set.hpp>
#include <boost/asio/steady_timer.hpp>
#include <chrono>
#include <csignal>
#include <memory>
#include <string>
#include <vector>

#include "lib/program/command_line.hpp"
#include "lib/program/service_manager.hpp"
#include "lib/settings/directions.hpp"
#include "lib/telemetry/metrics.hpp"
#include "proxy/admin/admin_answers.hpp"
#include "proxy/admin/flip_hold.hpp"
#include "proxy/admin/operator_desk.hpp"
#include "proxy/capture/stream_publisher.hpp"
#include "proxy/frontend/front.hpp"
#include "proxy/handover/authority_watch.hpp"
#include "proxy/handover/file_orders.hpp"
#include "proxy/mirror/follower_watch.hpp"
#include "proxy/reading/reading_watch.hpp"

namespace crossfade::proxy {
namespace {

using namespace std::chrono_literals;

constexpr std::string_view name = "crossfade-proxy";

// For what comes when no client is left, such as the audit log's last lines. With proxy.drain_timeout's default it is
// what the systemd unit gives.
constexpr std::chrono::seconds time_to_end{10};

// The running program, as signals and operators steer it. All of it happens in the thread of `home`.
struct helm {
    boost::asio::io_context& home;
    frontend::front& front;
    program::configuration_reload& reload;
    const program::service_manager& manager;
    std::chrono::milliseconds drain_timeout;

    void take_up(std::string_view trigger) const {
        manager.reloading();
        reload.run(trigger);
        manager.ready({});
    }

    void shut_down(console::shutdown_waits_for what) const {
        const bool begun = front.draining();
        if (what == console::shutdown_waits_for::clients) {
            if (begun) return;
            // Not stopping yet, as that has an end by force.
            manager.status("waiting until the last client has left");
            front.retire([this] {
                manager.stopping("the last client has left", time_to_end);
                home.stop();
            });
            return;
        }
        const bool drains = !begun || what == console::shutdown_waits_for::transactions;
        manager.stopping("waiting for what is under way", time_to_end + (drains ? drain_timeout : 0ms));
        if (drains) front.drain([this] { home.stop(); });
        if (what == console::shutdown_waits_for::nothing) front.cut();
    }
};

// SIGHUP reloads; the first SIGTERM or SIGINT lets transactions finish, whatever an operator has said on the console,
// the second one does not wait for them.
void handle_signals(boost::asio::signal_set& signals, const helm& steer, bool told_to_stop = false) {
    signals.async_wait([&, told_to_stop](boost::system::error_code cancelled, int signal) {
        if (cancelled) return;
        if (signal == SIGHUP) {
            steer.take_up("SIGHUP");
        } else if (told_to_stop) {
            spdlog::warn("stopping at once");
            steer.shut_down(console::shutdown_waits_for::nothing);
        } else {
            steer.shut_down(console::shutdown_waits_for::transactions);
        }
        handle_signals(signals, steer, told_to_stop || signal != SIGHUP);
    });
}

// For as long as the service manager wants to hear that somebody is there.
void keep_telling(boost::asio::steady_timer& timer, const program::service_manager& manager) {
    const auto period = manager.watchdog();
    if (!period) return;
    manager.alive();
    timer.expires_after(*period / 2);
    timer.async_wait([&](boost::system::error_code cancelled) {
        if (!cancelled) keep_telling(timer, manager);
    });
}

// Of systemd's socket activation.
std::vector<int> passed_listeners() {
    std::vector<int> all;
    for (const auto& each : program::take_passed_sockets(settings::process_environment())) {
        spdlog::info("taking over the listening socket {}", each.name);
        all.push_back(each.descriptor);
    }
    return all;
}

// By which other programs know this one.
std::string name_of(const frontend::front& front) {
    std::array<char, 256> host{};
    ::gethostname(host.data(), host.size() - 1);
    return std::string{host.data()} + ' ' + front.place() + " (" + std::to_string(::getpid()) + ')';
}

void serve(const std::string& path, settings::file_watch& watch, settings::configuration first) {
    boost::asio::io_context home;
    boost::asio::signal_set signals{home, SIGTERM, SIGINT, SIGHUP};
    settings::reloader flags{path, settings::process_environment(), std::move(first), frontend::certificate_objections};
    const auto at_start = flags.current();
    const program::service_manager manager{settings::process_environment(), ::getpid()};

    prometheus::Registry registry;
    telemetry::add_build_info(registry, name);
    std::unique_ptr<program::audit_trail> trail;                            // outlives the desk
    std::unique_ptr<admin::operator_desk> desk;                             // outlives the front, whose sessions ask it
    mirror::keeper keeper{[&flags] { return flags.current(); }, registry};  // outlives the front's sessions
    reading::follower_view view;                                            // likewise, as does who keeps it up to date
    reading::reading_watch freshness{[&flags] { return flags.current(); }, view, registry};
    frontend::front front{home, [&flags] { return flags.current(); }, registry, passed_listeners()};
    mirror::follower_watch follower{[&flags] { return flags.current(); }, registry};
    front.mirror_by(follower, keeper);
    front.read_by(view);
    trail = std::make_unique<program::audit_trail>(
        std::string{name} + ' ' + name_of(front), [&flags] { return flags.current(); }, registry);
    program::configuration_reload reload{name, flags, registry, [&front] { front.reloaded(); }};
    reload.tell([&trail](auto trigger, auto by, const auto& report) { trail->note_reload(trigger, by, report); });

    std::unique_ptr<capture::stream_publisher> publisher;
    std::unique_ptr<capture::stream_publisher> back;
    if (at_start->config.proxy.capture)
        publisher =
            std::make_unique<capture::stream_publisher>(at_start, registry, [&flags] { return flags.current(); });
    if (publisher && at_start->config.stream.both_ways) {
        const auto turned = settings::back([&flags] { return flags.current(); });
        back = std::make_unique<capture::stream_publisher>(turned(), registry, turned);
    }

    const helm steer{home, front, reload, manager, at_start->config.proxy.drain_timeout};
    desk =
        std::make_unique<admin::operator_desk>(home, front, reload, *trail, publisher.get(), registry,
                                               [&steer](console::shutdown_waits_for what) { steer.shut_down(what); });
    front.open_desk(*desk);
    admin::flip_hold flips{home, front, *desk, reload};
    std::unique_ptr<handover::authority_watch> authority;
    if (at_start->config.stream.both_ways) {
        authority = std::make_unique<handover::authority_watch>(at_start->config, name_of(front), registry);
        // Before the first session: the file may be of another opinion.
        if (const auto known = authority->first_look()) reload.take(*known);
    }

    std::unique_ptr<handover::file_orders> orders;
    if (authority) {
        orders =
            std::make_unique<handover::file_orders>([&flags] { return flags.current(); }, name_of(front), registry);
        flags.on_report([&orders](auto trigger, const auto& report) { orders->take(trigger, report); });
    }

    telemetry::http_server http;
    program::add_admin_routes(http, name, registry, reload,
                              admin::answers(front, publisher.get(), back.get(), follower));
    http.start(at_start->config.proxy.admin);

    freshness.start();
    front.start();
    if (authority) {
        authority->start(flips.obedience());
        flips.patrol();
        orders->start();
    }
    if (publisher) publisher->start();
    if (back) back->start();
    watch.start([&reload] { reload.run("file"); });
    handle_signals(signals, steer);
    manager.ready("taking sessions on " + front.place());
    boost::asio::steady_timer watchdog{home};
    keep_telling(watchdog, manager);
    home.run();

    watch.stop();
    if (orders) orders->stop();
    if (authority) authority->stop();
    desk->stop();
    follower.stop();
    freshness.stop();
    keeper.stop();
    if (publisher) publisher->stop();
    if (back) back->stop();
    http.stop();
    trail->stop();
    spdlog::info("stopped");
}

}  // namespace
}  // namespace crossfade::proxy

int main(int argc, char** argv) {
    return crossfade::program::run_command_line(
        argc, argv,
        {crossfade::proxy::name,
         "Crossfade's proxy: clients connect to it as to PostgreSQL, and it publishes every row change."},
        crossfade::proxy::serve);
}
