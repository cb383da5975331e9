#pragma once

#include <boost/json/array.hpp>

#include "ctl/context.hpp"
#include "lib/preflight/finding.hpp"

// What the commands about flips have in common.
namespace crossfade::ctl::flip {

// Throws stop where the file has no stream both ways.
void require_both_ways(const context& in);

void print(const context& in, const preflight::findings& found);
boost::json::array gates_json(const preflight::findings& found);

}  // namespace crossfade::ctl::flip
