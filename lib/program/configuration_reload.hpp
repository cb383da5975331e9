#pragma once

#include <prometheus/counter.h>
#include <prometheus/gauge.h>
#include <prometheus/registry.h>

#include <functional>
#include <map>
#include <mutex>
#include <string_view>
#include <utility>

#include "lib/settings/reload.hpp"

namespace crossfade::program {

// The one path that every reload takes, whoever asked for it: SIGHUP, the file's change, POST /-/reload. Logs and
// counts the outcome. Thread-safe.
class configuration_reload {
  public:
    // `on_taken` tells those who keep a part of the configuration, or what is in files that it names, after every
    // reload that wasn't refused, one at a time; `program` is for the log, and must be a literal.
    configuration_reload(std::string_view program, settings::reloader& flags, prometheus::Registry& registry,
                         std::function<void()> on_taken);

    // `by`: who asked for it, where that is known.
    settings::reload_report run(std::string_view trigger, std::string_view by = {});
    // The databases have another authority; false: that was known. Tells those who keep a part, too.
    bool take(const settings::decision& of);
    settings::snapshot current() const { return flags_.current(); }

    // Set before the first reload, and called after each, one at a time.
    using listener = std::function<void(std::string_view trigger, std::string_view by, const settings::reload_report&)>;
    void tell(listener of) { listener_ = std::move(of); }

  private:
    std::mutex one_at_a_time_;
    std::string_view program_;
    settings::reloader& flags_;
    std::function<void()> on_taken_;
    listener listener_;
    std::map<settings::reload_outcome, prometheus::Counter*> reloads_;
    prometheus::Gauge& epoch_;
};

}  // namespace crossfade::program
