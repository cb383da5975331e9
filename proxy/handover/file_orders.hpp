#pragma once

#include <prometheus/counter.h>
#include <prometheus/registry.h>

#include <condition_variable>
#include <cstdint>
#include <functional>
#include <map>
#include <mutex>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "lib/settings/file_words.hpp"
#include "lib/settings/reload.hpp"

namespace crossfade::proxy::handover {

// Makes the flips that a change of the file asks for: of what it says another authority of than it did before, and of
// nothing else. Every proxy that has taken the file is willing; the flip's lock lets one, and the others find it done.
// On a thread of its own.
class file_orders {
  public:
    // `name`: what the proxy is known by, for the history.
    file_orders(std::function<settings::snapshot()> in_force, std::string name, prometheus::Registry& metrics);
    ~file_orders() { stop(); }

    void start();
    // Any thread. What was asked for before and isn't done yet is asked for still, as the file says it now.
    void take(std::string_view trigger, const settings::reload_report& report);
    // Any thread. A flip that is under way is undone where it isn't decided yet, and waited for.
    void stop();

  private:
    struct order {
        std::vector<settings::file_word> words;
        settings::flag_set says;        // all of the file
        std::uint64_t read_before = 0;  // see reload_report
        std::string trigger;

        // Takes over what an older one has not come to.
        void join(const order& undone);
    };
    enum class result { done, refused, undone, failed };

    void run(const std::stop_token& stopping);
    void carry_out(const order& what, const std::stop_token& stopping);
    std::optional<result> try_once(const order& what, settings::side to, const std::stop_token& stopping);

    const std::function<settings::snapshot()> in_force_;
    const std::string name_;
    std::map<result, prometheus::Counter*> results_;
    std::mutex mutex_;
    std::condition_variable_any asked_;
    std::optional<order> next_;
    std::jthread thread_;
};

}  // namespace crossfade::proxy::handover
