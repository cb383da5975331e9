#include <prometheus/registry.h>
#include <spdlog/spdlog.h>

#include <boost/asio/io_context.hpp>
#include <boost/asio/signal_set.hpp>
#include <csignal>
#include <memory>
#include <string>

#include "lib/program/command_line.hpp"
#include "lib/telemetry/metrics.hpp"
#include "proxy/admin/admin_answers.hpp"
#include "proxy/capture/stream_publisher.hpp"
#include "proxy/frontend/front.hpp"

namespace crossfade::proxy {
namespace {

constexpr std::string_view name = "crossfade-proxy";

// SIGHUP reloads; the first SIGTERM or SIGINT lets transactions finish, the second one does not wait for them.
void handle_signals(boost::asio::signal_set& signals, program::configuration_reload& reload, frontend::front& front,
                    boost::asio::io_context& home) {
    signals.async_wait([&](boost::system::error_code cancelled, int signal) {
        if (cancelled) return;
        if (signal == SIGHUP) {
            reload.run("SIGHUP");
        } else if (front.draining()) {
            spdlog::warn("stopping at once");
            front.cut();
        } else {
            front.drain([&home] { home.stop(); });
        }
        handle_signals(signals, reload, front, home);
    });
}

void serve(const std::string& path, settings::file_watch& watch, settings::configuration first) {
    boost::asio::io_context home;
    boost::asio::signal_set signals{home, SIGTERM, SIGINT, SIGHUP};
    settings::reloader flags{path, settings::process_environment(), std::move(first), frontend::certificate_objections};
    const auto at_start = flags.current();

    prometheus::Registry registry;
    telemetry::add_build_info(registry, name);
    frontend::front front{home, [&flags] { return flags.current(); }, registry};
    program::configuration_reload reload{name, flags, registry, [&front] { front.reloaded(); }};

    std::unique_ptr<capture::stream_publisher> publisher;
    if (at_start->config.proxy.capture) publisher = std::make_unique<capture::stream_publisher>(at_start, registry);

    telemetry::http_server http;
    program::add_admin_routes(http, name, registry, reload, admin::answers(front, publisher.get()));
    http.start(at_start->config.proxy.admin);

    front.start();
    if (publisher) publisher->start();
    watch.start([&reload] { reload.run("file"); });
    handle_signals(signals, reload, front, home);
    home.run();

    watch.stop();
    if (publisher) publisher->stop();
    http.stop();
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
