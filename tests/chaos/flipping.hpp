#pragma once

#include <chrono>
#include <csignal>
#include <optional>
#include <string>
#include <vector>

#include "tests/chaos/landscape.hpp"
#include "tests/support/process.hpp"
#include "tests/support/temp_dir.hpp"

namespace crossfade::chaos {

// What stands in the way of a flip; empty: nothing does. A broker that has just begun may take some seconds to let
// publishers in, and a stream to catch up with what was held.
// `scope`: of the flip, {"--group", "shop"}.
std::string in_the_way(const landscape& world, const std::string& to = "modern",
                       const std::vector<std::string>& scope = {});

// Who is the authority, where nothing is under way and the fences are as they have to be then; empty while that is not
// so.
std::string authority(const landscape& world);

// Rows of a table with tag, port and taken_at (and tenant, where one is given) that a server has taken while it was not
// their authority, by the times that the flips themselves have noted: both servers have one clock here. Empty: none.
std::string taken_on_the_wrong_side(const landscape& world, const std::string& table, const std::string& tenant = {});

// `crossfade flip` beside the test, that stands still at a place of lib/failpoint, or is killed there. `armed`: empty
// for neither.
class armed_flip {
  public:
    armed_flip(const landscape& world, const std::string& to, const std::string& armed,
               const std::vector<std::string>& more = {})
        : flip_{options_of(world, to, armed, more)} {}

    // Until it is there, or has ended before.
    bool arrives();
    bool running() { return flip_.running(); }
    void go_on() { flip_.signal(SIGCONT); }
    void kill() { flip_.signal(SIGKILL); }
    std::optional<int> wait_exit(std::chrono::milliseconds timeout) { return flip_.wait_exit(timeout); }
    std::string told() const { return support::read_file(dir_.path() / "log"); }

  private:
    support::process_options options_of(const landscape& world, const std::string& to, const std::string& armed,
                                        const std::vector<std::string>& more);

    support::temp_dir dir_;
    support::child_process flip_;
};

}  // namespace crossfade::chaos
