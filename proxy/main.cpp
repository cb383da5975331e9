#include <prometheus/registry.h>
#include <spdlog/spdlog.h>

#include <CLI/CLI.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/signal_set.hpp>
#include <csignal>
#include <iostream>
#include <memory>
#include <string>

#include "lib/settings/describe.hpp"
#include "lib/settings/file_watch.hpp"
#include "lib/settings/load.hpp"
#include "lib/settings/reload.hpp"
#include "lib/telemetry/http_server.hpp"
#include "lib/telemetry/log.hpp"
#include "lib/telemetry/metrics.hpp"
#include "lib/telemetry/version.hpp"
#include "proxy/admin/admin_api.hpp"
#include "proxy/admin/configuration_reload.hpp"
#include "proxy/capture/stream_publisher.hpp"
#include "proxy/frontend/front.hpp"

namespace crossfade::proxy {
namespace {

constexpr int failed_at_start = 1;
constexpr int bad_usage = 2;

// SIGHUP reloads; the first SIGTERM or SIGINT lets transactions finish, the second one does not wait for them.
void handle_signals(boost::asio::signal_set& signals, admin::configuration_reload& reload, frontend::front& front,
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
    settings::reloader flags{path, settings::process_environment(), std::move(first)};
    const auto at_start = flags.current();

    prometheus::Registry registry;
    telemetry::add_build_info(registry, "crossfade-proxy");
    frontend::front front{home, [&flags] { return flags.current(); }, registry};
    admin::configuration_reload reload{flags, registry, [&front] { front.reloaded(); }};

    std::unique_ptr<capture::stream_publisher> publisher;
    if (at_start->config.proxy.capture) publisher = std::make_unique<capture::stream_publisher>(at_start, registry);

    admin::admin_api api{registry, reload, front, publisher.get()};
    telemetry::http_server http;
    api.add_routes(http);
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
    using namespace crossfade;

    CLI::App app{"Crossfade's proxy: clients connect to it as to PostgreSQL, and it publishes every row change."};
    std::string path;
    bool check_only = false;
    app.add_option("--config", path, "Configuration file (docs/configuration.md)")->required();
    app.add_flag("--check-config", check_only, "Check the configuration file and exit: 0 if it is good, 2 if not");
    app.set_version_flag("--version", "crossfade-proxy " + std::string{telemetry::version});
    try {
        app.parse(argc, argv);
    } catch (const CLI::ParseError& usage) {
        return app.exit(usage) == 0 ? 0 : proxy::bad_usage;
    }

    const auto environment = settings::process_environment();
    if (check_only) return settings::check_config(path, environment, std::cout);
    try {
        settings::file_watch watch{path};
        auto first = settings::load(path, environment);
        if (!first) {
            settings::print_problems(std::cerr, path, first.error());
            return proxy::bad_usage;
        }
        telemetry::configure_log("crossfade-proxy", first->log);
        proxy::serve(path, watch, std::move(*first));
    } catch (const std::exception& fault) {
        spdlog::critical("can't go on: {}", fault.what());
        return proxy::failed_at_start;
    }
    return 0;
}
