#pragma once

#include <map>
#include <string>
#include <tuple>

#include "lib/settings/flags.hpp"
#include "lib/settings/section.hpp"

namespace crossfade::settings {

// Reads the flags of all scopes and remembers where each came from, so that a combination that can't work is reported
// at the line that has to change.
class flag_reader {
  public:
    flag_reader(const environment& env, findings& out) : env_(env), out_(out) {}

    // `at` is the mapping below "flags"; the environment's flags are laid over the top scope (both names empty).
    flag_overrides read(const section& at, const flag_set::scope& of);

    // Every rule about flags that go together, for every scope. Scopes with a flag that could not be read are left
    // out: what they would mean isn't known. `may_differ`: scopes may have other authorities than the flags at the top.
    void check(const flag_set& flags, bool may_differ) const;

  private:
    struct source {
        place at;
        std::string text;
        bool from_environment = false;
        bool sound = true;
    };
    void take(flag_overrides& into, const flag_set::scope& of, std::string_view flag, const source& from);
    const source* source_of(const flag_set::scope& of, std::string_view flag) const;
    bool sound(const flag_set::scope& of) const;
    void object(const flag_set::scope& of, std::string_view flag, const std::string& allowed) const;
    void check_scope(const flag_set& flags, const flag_set::scope& of, bool may_differ) const;

    const environment& env_;
    findings& out_;
    std::map<std::tuple<std::string, std::string, std::string_view>, source> sources_;  // (group, tenant, flag)
};

// "DUAL_WRITE_STRATEGY"
std::string variable_of(std::string_view flag);

}  // namespace crossfade::settings
