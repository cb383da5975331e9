#include <algorithm>

#include "ctl/check/judge.hpp"
#include "ctl/check/listing.hpp"

namespace crossfade::ctl::check {

// What the application would notice on the other side.
void judge_settings(const evidence& of, findings& into) {
    const auto closes =
        std::ranges::count_if(of.unknown_settings, [](const auto& each) { return !each.is_left_behind; });
    if (of.unknown_settings.empty()) {
        into.ok("settings", "modern takes what legacy says to every session of formats, time zones and texts");
    } else {
        into.warn("settings",
                  "modern doesn't take what legacy says to every session: " +
                      listing(handover::texts_of(of.unknown_settings)) +
                      (closes > 0 ? "; a flip closes who has it" : "; a flip leaves it behind") +
                      ", and reads stay on legacy",
                  closes > 0 ? "make it known on modern, or say something else on legacy by ALTER DATABASE ... SET"
                             : "install the locale on modern's host and restart the server, or say another one on "
                               "legacy by ALTER DATABASE ... SET");
    }
}

}  // namespace crossfade::ctl::check
