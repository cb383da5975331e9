#include "lib/program/command_line.hpp"

#include <spdlog/spdlog.h>

#include <CLI/CLI.hpp>
#include <iostream>

#include "lib/settings/describe.hpp"
#include "lib/settings/load.hpp"
#include "lib/telemetry/log.hpp"
#include "lib/telemetry/version.hpp"

namespace crossfade::program {
namespace {

constexpr int failed = 1;
constexpr int bad_usage = 2;

}  // namespace

int run_command_line(int argc, char** argv, const description& program, const serve& run) {
    const std::string name{program.name};
    CLI::App app{program.purpose, name};
    std::string path;
    bool check_only = false;
    app.add_option("--config", path, "Configuration file (docs/configuration.md)")->required();
    app.add_flag("--check-config", check_only, "Check the configuration file and exit: 0 if it is good, 2 if not");
    app.set_version_flag("--version", name + ' ' + std::string{telemetry::version});
    try {
        app.parse(argc, argv);
    } catch (const CLI::ParseError& usage) {
        return app.exit(usage) == 0 ? 0 : bad_usage;
    }

    const auto environment = settings::process_environment();
    if (check_only) return settings::check_config(path, environment, std::cout);
    try {
        // Before the file is read: a change in between is then noticed.
        settings::file_watch watch{path};
        auto first = settings::load(path, environment);
        if (!first) {
            settings::print_problems(std::cerr, path, first.error());
            return bad_usage;
        }
        telemetry::configure_log(program.name, first->log);
        run(path, watch, std::move(*first));
    } catch (const std::exception& fault) {
        spdlog::critical("can't go on: {}", fault.what());
        return failed;
    }
    return 0;
}

}  // namespace crossfade::program
