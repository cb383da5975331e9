#pragma once

#include <boost/system/result.hpp>
#include <string_view>

#include "lib/pgoutput/message.hpp"

namespace crossfade::pgoutput {

// One message, whole: the payload of one XLogData. Fails with bad_message for anything else: unknown kind, bytes
// missing or left over, a value in binary format (never asked for). Never throws but for memory, and asks for no more
// of that than the bytes can fill.
boost::system::result<message> decode(std::string_view bytes);

}  // namespace crossfade::pgoutput
