#pragma once

#include "lib/settings/secrets.hpp"
#include "lib/settings/settings.hpp"

namespace crossfade::settings {

// Takes a libpq connection string (URI or key=value) apart. Fails, never repeating the string, when libpq can't read
// it, and when the relay of client sessions can't use it: no host, several hosts, a protection that ends at a relay, no
// dbname.
or_objection<database> read_dsn(const std::string& dsn);

}  // namespace crossfade::settings
