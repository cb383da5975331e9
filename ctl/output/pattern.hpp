#pragma once

#include <string>

namespace crossfade::ctl::output {

// What table_name LIKE takes: a star is any run of characters, the rest stands for itself.
std::string like_of(const std::string& pattern);

}  // namespace crossfade::ctl::output
