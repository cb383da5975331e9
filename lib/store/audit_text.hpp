#pragma once

#include <string>
#include <string_view>

namespace crossfade::store {

// What somebody has typed, or a program has reported, as it may be kept for good: UTF-8 without NUL, `longest` bytes at
// most and then an ellipsis, and without what follows the word "password" or stands before the host of an address
// (user:secret@host). JSON stays JSON where it isn't cut; npos: it isn't.
std::string audit_text(std::string_view said, std::size_t longest);

}  // namespace crossfade::store
