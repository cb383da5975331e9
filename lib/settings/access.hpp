#pragma once

#include "lib/settings/section.hpp"
#include "lib/settings/settings.hpp"

namespace crossfade::settings {

// proxy.auth, with the users' file that it names; what is wrong in that one is reported with its own name and line.
void read_authentication(const section& from, authentication& into);

// proxy.access: `from` is the section proxy. A rule that names no method has the mode's own: relay, or scram. What is
// in `into` of tls and auth has to be read before: a rule that can't fit beside them is a problem.
void read_access(const section& from, proxy& into);

}  // namespace crossfade::settings
