#pragma once

#include <string_view>

// A client's messages and the statement without a name, which each of a session's connections has for itself.
namespace crossfade::proxy::frontend {

// Whether what the client says next, if anything, begins by doing away with the one that there is.
bool replaces_unnamed(std::string_view messages);

// Whether one of the messages needs the one that there was before them. A message that isn't there whole is the last
// that is looked at.
bool uses_unnamed(std::string_view messages);

}  // namespace crossfade::proxy::frontend
