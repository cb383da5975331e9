#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "lib/settings/file_words.hpp"
#include "lib/settings/load.hpp"

namespace crossfade::settings {

// Who is the authority, as the databases have it (lib/store/authority.hpp).
struct decision {
    assignment authorities;
    std::uint64_t epoch = 0;  // raised by every flip

    friend bool operator==(const decision&, const decision&) = default;
};

// The configuration in force, swapped whole. Readers hold a snapshot for as long as they like.
struct in_force {
    configuration config;
    std::uint64_t epoch = 1;  // raised by every reload that changed a flag, and every flip
    std::optional<decision> decided{};
};
using snapshot = std::shared_ptr<const in_force>;

enum class reload_outcome { applied, unchanged, refused };
std::string_view to_string(reload_outcome outcome);

struct reload_report {
    reload_outcome outcome = reload_outcome::unchanged;
    std::uint64_t epoch = 0;
    std::vector<std::string> changes;   // "flags.migration_drift_tolerance: 0.0005 -> 0.001"; no secrets
    std::vector<std::string> problems;  // why it was refused
    std::vector<std::string> restart;   // changed keys that take effect at the next start only
    // Applied, and the databases say who the authority is: changed_words(), all that the file says, and the databases'
    // epoch in which the file was last read before.
    std::vector<file_word> words{};
    flag_set says{};
    std::uint64_t read_before = 0;
};

// Whether a reload may take `next` after `current`: a change of any scope's authority is refused, because the rows in
// flight would be lost to the new one; that is what `crossfade flip` is for. Pure.
std::vector<std::string> reload_objections(const configuration& current, const configuration& next);

// The same where the databases say who has what: while groups have different authorities a table can't go to another
// one by being named there, and while tenants have, no session or row to another one by other words of who is. Pure.
std::vector<std::string> regrouping_objections(const configuration& current, const configuration& next,
                                               const assignment& authorities);

// Holds the configuration in force and replaces it on request. Thread-safe.
class reloader {
  public:
    // `vet` names what else is wrong with a configuration that is sound by itself, such as files that it names.
    using vetting = std::function<std::vector<std::string>(const configuration&)>;
    reloader(std::string path, environment env, configuration first, vetting vet = {});

    snapshot current() const;

    // Reads the file again. Never throws; what is refused changes nothing. A key that takes effect at start only keeps
    // its value in current() and is named in `restart` for as long as file and current() differ in it. `trigger` is for
    // the log ("SIGHUP", "file", "http"); `on_report` (see below) is called in the caller's thread.
    reload_report reload(std::string_view trigger);

    // From now on the flags in force have these sides in charge (flag_set::under), whatever the file says; an older
    // epoch than one that was taken is left alone. Says whether anything changed. The listener isn't called.
    bool take(const decision& of);
    // From now on a file may name another authority: nobody here goes by it. `who`: who it is by the databases, if they
    // can be asked, as a reload must not change whose a table is. Before the first reload.
    void ignore_authority(std::function<std::optional<assignment>()> who = {});

    // Called after every reload that was not unchanged; set before the first reload. The calls come one at a time and
    // in the reloads' order, so that the listener must not call reload().
    void on_report(std::function<void(std::string_view trigger, const reload_report&)> listener);

    const std::string& path() const { return path_; }

  private:
    reload_report take(configuration next);
    std::vector<std::string> ownership_objections(const configuration& now, const configuration& next) const;

    std::string path_;
    environment env_;
    vetting vet_;
    mutable std::mutex reloading_;
    std::shared_ptr<const in_force> current_;  // std::atomic_load / atomic_store
    std::optional<decision> decided_;
    bool ignores_authority_ = false;
    std::function<std::optional<assignment>()> who_;
    std::uint64_t read_at_ = 0;  // the databases' epoch when of_file_ was read
    configuration of_file_;      // as last taken from the file, with what takes effect at the next start
    std::function<void(std::string_view, const reload_report&)> listener_;
};

}  // namespace crossfade::settings
