#include <spdlog/spdlog.h>

#include <CLI/CLI.hpp>
#include <csignal>
#include <iostream>

#include "cdc/admin/routes.hpp"
#include "cdc/follow/ledger_keeper.hpp"
#include "cdc/follow/source_watch.hpp"
#include "cdc/follow/stream_follower.hpp"
#include "lib/settings/file_watch.hpp"
#include "lib/telemetry/log.hpp"
#include "lib/telemetry/version.hpp"

namespace {

using namespace crossfade;

constexpr std::string_view program = "crossfade-cdc";

void count_reloads(prometheus::Registry& registry, settings::reloader& configuration,
                   cdc::follow::stream_follower& stream) {
    auto& epoch = prometheus::BuildGauge()
                      .Name("crossfade_flags_epoch")
                      .Help("Version of the flags in force; every reload that changes one raises it")
                      .Register(registry)
                      .Add({});
    auto& reloads = prometheus::BuildCounter()
                        .Name("crossfade_config_reloads_total")
                        .Help("Reloads of the configuration, by result")
                        .Register(registry);
    for (const auto outcome :
         {settings::reload_outcome::applied, settings::reload_outcome::unchanged, settings::reload_outcome::refused}) {
        reloads.Add({{"result", std::string{settings::to_string(outcome)}}});
    }
    epoch.Set(static_cast<double>(configuration.current()->epoch));
    configuration.on_report([&](std::string_view trigger, const settings::reload_report& report) {
        reloads.Add({{"result", std::string{settings::to_string(report.outcome)}}}).Increment();
        epoch.Set(static_cast<double>(report.epoch));
        for (const auto& change : report.changes) spdlog::info("reload ({}): {}", trigger, change);
        for (const auto& problem : report.problems) spdlog::error("reload ({}) refused: {}", trigger, problem);
        for (const auto& key : report.restart)
            spdlog::warn("reload ({}): {} takes effect at the next start", trigger, key);
        stream.nudge();
    });
}

// The signals that the program waits for are blocked in all threads: call before any is started.
sigset_t block_signals() {
    sigset_t waited;
    sigemptyset(&waited);
    for (const int each : {SIGTERM, SIGINT, SIGHUP}) sigaddset(&waited, each);
    pthread_sigmask(SIG_BLOCK, &waited, nullptr);
    std::signal(SIGPIPE, SIG_IGN);
    return waited;
}

int serve(const std::string& path, settings::file_watch& file, settings::configuration config) {
    const auto started = std::chrono::steady_clock::now();
    telemetry::configure_log(program, config.log);
    const auto waited = block_signals();
    spdlog::info("{} {} follows stream {}", program, telemetry::version, config.stream.name);

    prometheus::Registry registry;
    prometheus::BuildGauge()
        .Name("crossfade_build_info")
        .Help("Which program this is")
        .Register(registry)
        .Add({{"program", std::string{program}}, {"version", std::string{telemetry::version}}})
        .Set(1);
    cdc::follow::status_board board;
    cdc::follow::metrics measured{registry};
    settings::reloader configuration{path, settings::process_environment(), config};
    cdc::follow::ledger_keeper ledger{config, board, measured};
    cdc::follow::source_watch source{config, board, measured};
    cdc::follow::stream_follower stream{[&] { return configuration.current(); }, board, measured,
                                        [&] { ledger.nudge(); }};
    count_reloads(registry, configuration, stream);

    telemetry::http_server server;
    cdc::admin::add_routes(server, registry, board, configuration, started);
    server.start(config.cdc.admin);
    stream.start();
    ledger.start();
    source.start();
    file.start([&] { configuration.reload("file"); });

    for (;;) {
        int which = 0;
        if (sigwait(&waited, &which) != 0) continue;
        if (which == SIGHUP) {
            configuration.reload("SIGHUP");
            continue;
        }
        spdlog::info("{}: finishing the batch under way", which == SIGTERM ? "SIGTERM" : "SIGINT");
        break;
    }
    file.stop();
    stream.stop();
    ledger.stop();
    source.stop();
    server.stop();
    spdlog::info("ended");
    return 0;
}

}  // namespace

int main(int argc, char** argv) {
    CLI::App app{"Applies the changes of a Crossfade stream to the database that follows", std::string{program}};
    std::string path;
    bool check = false;
    app.add_option("--config", path, "The configuration file")->required();
    app.add_flag("--check-config", check, "Check the file and end");
    app.set_version_flag("--version", std::string{program} + ' ' + std::string{telemetry::version});
    try {
        app.parse(argc, argv);
    } catch (const CLI::ParseError& error) {
        return app.exit(error) == 0 ? 0 : 2;
    }
    settings::file_watch file{path};
    const auto config = settings::load(path, settings::process_environment());
    if (!config) {
        for (const auto& problem : config.error().problems) std::cerr << settings::to_string(problem) << '\n';
        return 2;
    }
    if (check) {
        std::cout << path << ": fine\n";
        return 0;
    }
    try {
        return serve(path, file, *config);
    } catch (const std::exception& error) {
        spdlog::critical("{}", error.what());
        return 1;
    }
}
