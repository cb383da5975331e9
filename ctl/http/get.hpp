#pragma once

#include <boost/system/result.hpp>
#include <chrono>
#include <string>

#include "lib/settings/settings.hpp"

namespace crossfade::ctl::http {

struct reply {
    unsigned status = 0;
    std::string body;  // 16 MiB at most
};

// One GET over HTTP/1.1, without TLS. Blocks up to `patience` in all. Fails with the transport's error; any status is a
// reply.
boost::system::result<reply> get(const settings::endpoint& at, const std::string& path,
                                 std::chrono::milliseconds patience);

}  // namespace crossfade::ctl::http
