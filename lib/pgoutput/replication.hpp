#pragma once

#include <boost/system/result.hpp>
#include <string>
#include <string_view>
#include <variant>

#include "lib/model/change.hpp"

// What runs inside CopyBoth of the streaming replication protocol: PostgreSQL's documentation, "Streaming Replication
// Protocol".
namespace crossfade::pgoutput {

struct xlog_data {
    model::lsn wal_start;
    model::lsn wal_end;  // the server's current end of WAL
    model::source_time sent_at;
    std::string_view payload;  // into the bytes that were decoded
};

struct keepalive {
    model::lsn wal_end;
    model::source_time sent_at;
    bool reply_requested = false;
};

using frame = std::variant<xlog_data, keepalive>;

// Fails with bad_message for what is neither.
boost::system::result<frame> decode_frame(std::string_view bytes);

struct standby_status {
    model::lsn received;  // "write"
    // "flush": up to here the slot may forget. 0/0 says nothing: the server keeps what it was told before.
    model::lsn confirmed;
    model::source_time now;
    bool reply_wanted = false;  // the server answers with a keepalive at once
};
std::string encode(const standby_status& status);

}  // namespace crossfade::pgoutput
