#pragma once

#include <cstddef>
#include <string>
#include <string_view>

#include "lib/settings/settings.hpp"

namespace crossfade::settings {

// The stream that carries modern's changes to legacy, where stream.both_ways is set: one like the other, under a name
// of its own.
inline constexpr std::size_t longest_name_both_ways = 35;  // of a stream that has one
std::string back_stream(std::string_view name);

inline side other(side of) {
    return of == side::legacy ? side::modern : side::legacy;
}

// The configuration as the way back's publisher and follower are to read it: `legacy` is where the changes come from
// and `modern` where they go, so that the databases have changed places, and the stream is back_stream(). Its strategy
// is legacy-primary, or legacy-only where legacy is to get nothing (modern-only): the scopes' alike. Without a proxy's
// and cdc's own addresses nothing else differs.
configuration turned(const configuration& of);

}  // namespace crossfade::settings
