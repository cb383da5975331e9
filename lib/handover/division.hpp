#pragma once

#include <functional>
#include <string>
#include <vector>

#include "lib/handover/sequences.hpp"
#include "lib/pgclient/connection.hpp"

// Sequences of tables whose rows are written on both sides at the same time, each tenant's on one (docs/adr/0026). Each
// side counts in steps twice as long, half a step away from the other: what one side draws the other never does.
namespace crossfade::handover {

// Where the second side begins, so that it never meets what the first has drawn up to `anchor`, which every value that
// it draws from then on is whole double steps away from. `step`: the sequence's own. The objection: why it can't be.
move plan_division(std::int64_t anchor, std::int64_t step, const sequence& joining);

struct division {
    std::string objection;  // why it can't be; empty: done
};

// Idempotent; what was done before it broke off is taken up. Nothing of it needs to be undone. `first` is the side of
// `drawing`.
pgclient::result<division> divide(pgclient::connection& first, pgclient::connection& second,
                                  const std::string& first_stream, const std::string& second_stream,
                                  const std::vector<sequence_pair>& all);

// Takes back what divide() did to those sequences of one side that `whole` says so of. Only where nothing is drawn from
// them any more, or beyond all that either side ever drew.
pgclient::result<void> rejoin(pgclient::connection& on, const std::string& stream,
                              const std::function<bool(const std::string& sequence)>& whole);

}  // namespace crossfade::handover
