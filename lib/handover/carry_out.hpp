#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <stop_token>
#include <string>
#include <vector>

#include "lib/handover/coordinator.hpp"
#include "lib/preflight/finding.hpp"
#include "lib/settings/file_words.hpp"

namespace crossfade::handover {

// What a file asks for that has changed. Of its words those count that no other proxy has heeded since this one read
// the file before.
struct file_request {
    std::vector<settings::file_word> words;
    std::uint64_t read_before = 0;  // the databases' epoch then
};

// A flip as somebody wants it, from its gates to its end.
struct wish {
    settings::side to = settings::side::modern;
    settings::flag_scope scope;  // see order
    // What everybody is to have then, by what they have now; all that moves goes to `to`. Not for `file`.
    std::function<settings::assignment(const settings::assignment& now)> after{};
    std::optional<file_request> file{};
    std::string by;
    std::string program;
    std::string reason;
    std::chrono::milliseconds hold_max{500};
    std::chrono::milliseconds patience{30000};  // for transactions that have run for long, and for attempts
    std::chrono::milliseconds queue{0};         // how long the end of another flip is waited for
    bool look_only = false;                     // at the gates
    bool overrule = false;                      // those that warn
    std::stop_token give_up{};
};

struct outcome {
    bool elsewhere = false;  // another flip is under way: nothing was looked at
    bool refused = false;    // by the gates
    preflight::findings gates;
    report made;  // of what was tried; with look_only nothing was
};

// What became of a flip can't be told.
class unclear : public trouble {
  public:
    using trouble::trouble;
};

// Blocking, for as long as `queue`, the gates take and `patience`, or until it is to be given up. A connection that
// breaks in the middle is made anew to find out what became of it. Throws unclear where that can't be told, trouble
// where nothing was begun.
outcome carry_out(const settings::configuration& config, const wish& what,
                  const std::function<void(const std::string&)>& say);

// Undoes or finishes what a flip that died, or whose maker stands still, has left, trying again while a side doesn't
// answer. nullopt: another flip is under way. Throws trouble.
std::optional<leftover> settle(const settings::configuration& config,
                               const std::function<void(const std::string&)>& say, const std::stop_token& give_up = {});
std::string_view told(leftover what);

}  // namespace crossfade::handover
