#include <spdlog/spdlog.h>
#include <unistd.h>

#include <array>
#include <csignal>
#include <optional>

#include "cdc/admin/admin_answers.hpp"
#include "cdc/follow/authorities.hpp"
#include "cdc/follow/following.hpp"
#include "lib/program/audit_trail.hpp"
#include "lib/program/command_line.hpp"
#include "lib/program/service_manager.hpp"
#include "lib/settings/directions.hpp"
#include "lib/telemetry/metrics.hpp"
#include "lib/telemetry/version.hpp"

namespace crossfade::cdc {
namespace {

constexpr std::string_view name = "crossfade-cdc";

// The signals that the program waits for are blocked in all threads: call before any is started.
sigset_t block_signals() {
    sigset_t waited;
    sigemptyset(&waited);
    for (const int each : {SIGTERM, SIGINT, SIGHUP}) sigaddset(&waited, each);
    pthread_sigmask(SIG_BLOCK, &waited, nullptr);
    std::signal(SIGPIPE, SIG_IGN);
    return waited;
}

// Returns at SIGTERM or SIGINT; SIGHUP reloads.
void wait_for_the_end(const sigset_t& waited, program::configuration_reload& reload,
                      const program::service_manager& manager) {
    for (;;) {
        int which = 0;
        if (sigwait(&waited, &which) != 0) continue;
        if (which != SIGHUP) {
            spdlog::info("{}: finishing the batch under way", which == SIGTERM ? "SIGTERM" : "SIGINT");
            manager.stopping("finishing the batch under way");
            return;
        }
        manager.reloading();
        reload.run("SIGHUP");
        manager.ready({});
    }
}

// By which the audit log knows this process.
std::string name_here() {
    std::array<char, 256> host{};
    ::gethostname(host.data(), host.size() - 1);
    return std::string{name} + ' ' + host.data() + " (" + std::to_string(::getpid()) + ')';
}

void serve(const std::string& path, settings::file_watch& watch, settings::configuration first) {
    const auto waited = block_signals();
    spdlog::info("{} {} follows stream {}", name, telemetry::version, first.stream.name);
    settings::reloader flags{path, settings::process_environment(), std::move(first)};
    const auto at_start = flags.current();
    const auto& config = at_start->config;
    if (config.stream.both_ways)
        flags.ignore_authority([&flags] { return follow::authorities(flags.current()->config); });
    const program::service_manager manager{settings::process_environment(), ::getpid()};

    prometheus::Registry registry;
    telemetry::add_build_info(registry, name);
    const auto in_force = [&flags] { return flags.current(); };
    follow::following stream{settings::forth(in_force), registry};
    std::optional<follow::following> back;
    if (config.stream.both_ways) back.emplace(settings::back(in_force), registry);
    program::configuration_reload reload{name, flags, registry, [&] {
                                             stream.nudge();
                                             if (back) back->nudge();
                                         }};

    program::audit_trail trail{name_here(), in_force, registry};
    reload.tell([&trail](auto trigger, auto by, const auto& report) { trail.note_reload(trigger, by, report); });

    telemetry::http_server http;
    program::add_admin_routes(http, name, registry, reload,
                              admin::answers(stream.board(), back ? &back->board() : nullptr));
    http.start(config.cdc.admin);
    stream.start();
    if (back) back->start();
    watch.start([&reload] { reload.run("file"); });
    manager.ready("following stream " + config.stream.name);
    wait_for_the_end(waited, reload, manager);

    watch.stop();
    stream.stop();
    if (back) back->stop();
    http.stop();
    trail.stop();
    spdlog::info("stopped");
}

}  // namespace
}  // namespace crossfade::cdc

int main(int argc, char** argv) {
    return crossfade::program::run_command_line(
        argc, argv, {crossfade::cdc::name, "Applies the changes of a Crossfade stream to the database that follows."},
        crossfade::cdc::serve);
}
