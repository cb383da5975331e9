#pragma once

#include <stdexcept>
#include <string>
#include <utility>

namespace crossfade::ctl {

// What `crossfade` tells the shell; docs/crossfade.md has the same list.
enum class exit_code : int {
    fine = 0,
    no = 1,           // the answer is no, or something failed
    usage = 2,        // command line or configuration
    unreachable = 3,  // a database, Kafka or a program did not answer
};

// Ends a command. Every command is a straight line of blocking steps, and any step that fails ends it; main() prints
// the message and the way out.
class stop : public std::runtime_error {
  public:
    stop(exit_code code, const std::string& what, std::string way_out = {})
        : std::runtime_error(what), code_(code), way_out_(std::move(way_out)) {}

    exit_code code() const { return code_; }
    const std::string& way_out() const { return way_out_; }

  private:
    exit_code code_;
    std::string way_out_;
};

}  // namespace crossfade::ctl
