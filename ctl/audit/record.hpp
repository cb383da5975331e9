#pragma once

#include <string>

#include "ctl/context.hpp"
#include "lib/pgclient/connection.hpp"
#include "lib/store/audit.hpp"

namespace crossfade::ctl::audit {

// As he has said, else the user of the operating system.
std::string whom(const std::string& said);

// What this command changes, for crossfade.audit: by whom --by says, else by the user of the operating system.
store::audit_entry entry(const context& in, std::string action, std::string scope);

// With the transaction under way, whose last step it is, or by itself. What can't be audited isn't done: throws stop.
void append(pgclient::connection& on, const store::audit_entry& what);

}  // namespace crossfade::ctl::audit
