#include "lib/settings/turned.hpp"

#include <utility>

#include "lib/settings/each_scope.hpp"

namespace crossfade::settings {
namespace {

write_strategy turned(write_strategy of) {
    return of == write_strategy::modern_only ? write_strategy::legacy_only : write_strategy::legacy_primary;
}

flag_overrides turned(flag_overrides of) {
    if (of.dual_write_strategy) of.dual_write_strategy = turned(*of.dual_write_strategy);
    of.hybrid_mode_enabled.reset();  // it means legacy alone, which is what this stream goes to
    of.hybrid_read_strategy.reset();
    return of;
}

flag_set turned(const flag_set& of) {
    flags defaults = of.defaults();
    defaults.hybrid_mode_enabled = true;
    defaults.dual_write_strategy = turned(defaults.dual_write_strategy);
    defaults.hybrid_read_strategy = read_strategy::legacy;
    return with_each_scope(of, defaults, [](const flag_overrides& each) { return turned(each); });
}

}  // namespace

std::string back_stream(std::string_view name) {
    return std::string{name} + "_back";
}

configuration turned(const configuration& of) {
    configuration back = of;
    std::swap(back.legacy, back.modern);
    back.source = other(of.source);
    back.stream.name = back_stream(of.stream.name);
    // What is done on modern so that it fits legacy again is no reason for legacy's tables to wait.
    back.stream.ddl = ddl_policy::note;
    back.flags = turned(of.flags);
    return back;
}

}  // namespace crossfade::settings
