#include "tests/support/program.hpp"

#include <signal.h>

#include <cstdlib>

#include "tests/support/eventually.hpp"
#include "tests/support/http.hpp"
#include "tests/support/programs.hpp"

namespace crossfade::support {

std::filesystem::path program_path(const std::string& name) {
    const char* const chosen = std::getenv("CROSSFADE_BIN_DIR");
    return std::filesystem::path{chosen == nullptr ? CROSSFADE_BIN_DIR : chosen} / name;
}

std::filesystem::path source_root() {
    return CROSSFADE_SOURCE_DIR;
}

crossfade_program::crossfade_program(std::string name, const std::string& yaml, std::uint16_t admin_port,
                                     std::vector<std::pair<std::string, std::string>> environment)
    : name_(std::move(name)), admin_port_(admin_port), environment_(std::move(environment)) {
    configure(yaml);
}

void crossfade_program::configure(const std::string& yaml) const {
    dir_.write("crossfade.yaml", yaml);
}

void crossfade_program::start(const std::vector<std::pair<std::string, std::string>>& environment) {
    auto all = environment_;
    all.insert(all.end(), environment.begin(), environment.end());
    process_.emplace(process_options{.argv = {program_path(name_).string(), "--config", config_path().string()},
                                     .environment = std::move(all),
                                     .log = dir_.path() / "log"});
}

bool crossfade_program::stopped() const {
    const auto stat = read_file("/proc/" + std::to_string(pid()) + "/stat");
    const auto name_end = stat.rfind(')');
    return name_end != std::string::npos && stat.substr(name_end).starts_with(") T");
}

bool crossfade_program::wait_for(const std::string& path, std::chrono::milliseconds timeout) {
    return eventually(timeout, [&] { return !running() || http_get(admin_port_, path).status == 200; }) && running();
}

bool crossfade_program::wait_healthy(std::chrono::milliseconds timeout) {
    return wait_for("/healthz", timeout);
}

bool crossfade_program::wait_ready(std::chrono::milliseconds timeout) {
    return wait_for("/readyz", timeout);
}

std::optional<int> crossfade_program::stop(std::chrono::milliseconds timeout) {
    if (!process_) return std::nullopt;
    process_->signal(SIGTERM);
    return process_->wait_exit(timeout);
}

void crossfade_program::kill9() {
    if (!process_) return;
    process_->signal(SIGKILL);
    process_->wait_exit(std::chrono::seconds{10});
}

void crossfade_program::signal(int number) const {
    if (process_) process_->signal(number);
}

std::string crossfade_program::log() const {
    return read_file(dir_.path() / "log");
}

}  // namespace crossfade::support
