#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "tests/support/process.hpp"
#include "tests/support/temp_dir.hpp"

namespace crossfade::support {

// crossfade-proxy or crossfade-cdc with a configuration file of its own.
class crossfade_program {
  public:
    // `yaml` names `admin_port` itself, where the program looks for it; use free_port().
    crossfade_program(std::string name, const std::string& yaml, std::uint16_t admin_port,
                      std::vector<std::pair<std::string, std::string>> environment = {});

    // Doesn't wait. `environment` counts for this start, beside the one that all have.
    void start(const std::vector<std::pair<std::string, std::string>>& environment = {});
    bool wait_healthy(std::chrono::milliseconds timeout = std::chrono::seconds{20});        // /healthz answers 200
    bool wait_ready(std::chrono::milliseconds timeout = std::chrono::seconds{20});          // /readyz answers 200
    std::optional<int> stop(std::chrono::milliseconds timeout = std::chrono::seconds{40});  // SIGTERM, exit code
    void kill9();
    void signal(int number) const;
    bool running() { return process_ && process_->running(); }
    bool stopped() const;  // by SIGSTOP
    pid_t pid() const { return process_ ? process_->pid() : -1; }

    // Replaces the file in one step; whether the program takes it up at once is its own affair.
    void configure(const std::string& yaml) const;

    std::filesystem::path config_path() const { return dir_.path() / "crossfade.yaml"; }
    std::uint16_t admin_port() const { return admin_port_; }
    std::string log() const;  // of all starts

  private:
    bool wait_for(const std::string& path, std::chrono::milliseconds timeout);

    std::string name_;
    std::uint16_t admin_port_;
    std::vector<std::pair<std::string, std::string>> environment_;
    temp_dir dir_;
    std::optional<child_process> process_;
};

}  // namespace crossfade::support
