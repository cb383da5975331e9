#pragma once

#include "ctl/init/journal.hpp"
#include "ctl/init/way.hpp"

// Crossfade's own tables.
namespace crossfade::ctl::init {

// On the follower. Who waits for a lock on one of them makes the stream wait behind him, so that it is tried for some
// seconds, a moment each time. Throws stop.
void install_schema(way& at, journal& done);
// Where the role of the source may. The way back has seen to it, where there is one.
void install_audit_at_source(way& at, journal& done);

}  // namespace crossfade::ctl::init
