#pragma once

#include <chrono>

#include "ctl/context.hpp"
#include "ctl/exit_code.hpp"
#include "ctl/init/plan.hpp"

namespace crossfade::ctl::init {

struct options {
    unfit_identity unfit = unfit_identity::refuse;
    std::chrono::hours retention{24 * 7};
    int replication_factor = -1;  // the cluster's default
    std::chrono::seconds slot_timeout{60};
};

// `crossfade init`: schema on modern, publication, topics, slot, progress; each only where it is missing.
// no: it would not be safe, and nothing was changed; or a step failed (run it again).
exit_code run(const context& in, const options& with);

// What a resync needs before it copies: all of init but progress, whatever became of the stream before. Throws stop
// when it would not be safe.
void prepare_anew(const context& in, const options& with);

}  // namespace crossfade::ctl::init
