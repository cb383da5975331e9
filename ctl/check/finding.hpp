#pragma once

#include "lib/preflight/finding.hpp"

namespace crossfade::ctl::check {

using preflight::finding;
using preflight::findings;
using preflight::verdict;

}  // namespace crossfade::ctl::check
