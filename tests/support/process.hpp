#pragma once

#include <sys/types.h>

#include <chrono>
#include <filesystem>
#include <optional>
#include <string>
#include <utility>
#include <vector>

namespace crossfade::support {

enum class run_as { self, postgres };  // postgres: when we are root; PostgreSQL's server refuses to run as root

struct process_options {
    std::vector<std::string> argv;  // argv[0] is looked up in PATH unless it has a slash
    std::vector<std::pair<std::string, std::string>> environment = {};  // added to ours
    std::filesystem::path log = {};                                     // stdout and stderr, appended; empty: discarded
    std::filesystem::path standard_output = {};                         // stdout alone goes here instead
    run_as user = run_as::self;
};

// A program that ends with us: killed by the destructor, and by the kernel when the thread that started it ends in
// whatever way (PR_SET_PDEATHSIG goes by the thread, so start children from one that lives long enough).
class child_process {
  public:
    explicit child_process(const process_options& options);  // throws when it can't be started
    ~child_process();
    child_process(child_process&& other) noexcept : pid_(std::exchange(other.pid_, -1)), exit_(other.exit_) {}
    child_process& operator=(child_process&& other) noexcept {
        std::swap(pid_, other.pid_);
        std::swap(exit_, other.exit_);
        return *this;
    }

    pid_t pid() const { return pid_; }
    void signal(int number) const;
    bool running();

    // The exit code (128 + signal where one killed it); nullopt when it still runs after `timeout`.
    std::optional<int> wait_exit(std::chrono::milliseconds timeout);

  private:
    pid_t pid_ = -1;
    std::optional<int> exit_;
};

struct finished {
    int exit_code = 0;
    std::string output;  // stdout
    std::string errors;  // stderr
};

// Runs a program to its end; throws when that takes longer than `timeout`.
finished run(std::vector<std::string> argv, std::chrono::milliseconds timeout = std::chrono::seconds{30},
             std::vector<std::pair<std::string, std::string>> environment = {});

std::string read_file(const std::filesystem::path& path);  // empty when it can't be read

}  // namespace crossfade::support
