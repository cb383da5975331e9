#pragma once

#include <functional>
#include <string>

#include "lib/settings/reload.hpp"
#include "lib/settings/settings.hpp"

// Of stream.both_ways, what each of the two streams' publishers and followers are to read of what is in force. They run
// whoever is the authority: the fence says who may write, and not they.
namespace crossfade::settings {

// As the forward one: legacy is in charge, so that what comes is applied. Without both_ways what is in force itself.
std::function<snapshot()> forth(std::function<snapshot()> in_force);
// As the one that goes back: turned().
std::function<snapshot()> back(std::function<snapshot()> in_force);

// As the file has it, of either stream's configuration.
std::string forth_stream(const configuration& of);
// The other one of the two.
std::string opposite_stream(const configuration& of);

// As a part of the file is called that the stream's source has, "legacy.dsn".
std::string source_dsn(const configuration& of);
std::string follower_dsn(const configuration& of);

// What an operator does about the way back when it can't go on from where it is: while legacy is the authority it has
// every row, and nothing needs to be copied.
std::string begin_back_anew(const configuration& of);

}  // namespace crossfade::settings
