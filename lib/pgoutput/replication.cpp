#include "lib/pgoutput/replication.hpp"

#include <boost/system/errc.hpp>

#include "lib/pgoutput/byte_reader.hpp"

namespace crossfade::pgoutput {

boost::system::result<frame> decode_frame(std::string_view bytes) {
    const auto bad_message = boost::system::errc::make_error_code(boost::system::errc::bad_message);
    byte_reader from{bytes};
    const auto kind = from.byte();
    if (kind == 'w') {
        xlog_data to;
        to.wal_start = from.lsn();
        to.wal_end = from.lsn();
        to.sent_at = from.time();
        to.payload = from.remaining();
        if (!from.ok()) return bad_message;
        return to;
    }
    if (kind == 'k') {
        keepalive to;
        to.wal_end = from.lsn();
        to.sent_at = from.time();
        to.reply_requested = from.byte() != 0;
        if (!from.ok_and_empty()) return bad_message;
        return to;
    }
    return bad_message;
}

std::string encode(const standby_status& status) {
    std::string bytes = "r";
    const auto append = [&](std::uint64_t value) {
        for (int shift = 56; shift >= 0; shift -= 8) bytes += static_cast<char>(value >> shift);
    };
    append(status.received.value);
    append(status.confirmed.value);
    append(status.confirmed.value);  // applied: no difference to a slot
    append(static_cast<std::uint64_t>(status.now.time_since_epoch().count()) - postgres_epoch);
    bytes += status.reply_wanted ? '\1' : '\0';
    return bytes;
}

}  // namespace crossfade::pgoutput
