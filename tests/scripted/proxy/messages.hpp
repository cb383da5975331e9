#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "lib/pgwire/bytes.hpp"
#include "lib/pgwire/diagnostics.hpp"
#include "lib/pgwire/query_messages.hpp"
#include "lib/pgwire/session_status.hpp"

namespace crossfade::proxy::test {

// A database's messages as PostgreSQL 15 words them, for fake ones to say.

inline std::string reply(char type, std::string_view body = {}) {
    return pgwire::framed(type, body);
}
inline std::string ready(char status = 'I') {
    return reply('Z', std::string(1, status));
}
inline std::string complete(std::string_view tag = "SELECT 1") {
    return reply('C', std::string{tag} + '\0');
}
// Of one column of integers.
inline std::string row_description() {
    std::string body;
    pgwire::put_u16(body, 1);
    pgwire::put_cstring(body, "n");
    pgwire::put_u32(body, 0);   // of no table
    pgwire::put_u16(body, 0);   // and no attribute
    pgwire::put_u32(body, 23);  // int4
    pgwire::put_u16(body, 4);
    pgwire::put_u32(body, 0xFFFFFFFFU);
    pgwire::put_u16(body, 0);
    return reply('T', body);
}
inline std::string data_row(std::string_view value = "1") {
    std::string body;
    pgwire::put_u16(body, 1);
    pgwire::put_u32(body, static_cast<std::uint32_t>(value.size()));
    body.append(value);
    return reply('D', body);
}
inline std::string rows() {
    return row_description() + data_row() + complete();
}
inline std::string parameter_description() {
    std::string body;
    pgwire::put_u16(body, 1);
    pgwire::put_u32(body, 23);
    return reply('t', body);
}
// CopyInResponse, CopyOutResponse, CopyBothResponse: of one column, as text.
inline std::string copy_response(char type) {
    return reply(type, std::string_view{"\0\0\1\0\0", 5});
}
inline std::string error(std::string_view sqlstate = "22012", std::string_view message = "division by zero") {
    return pgwire::build_error_response(
        {{{'S', "ERROR"}, {'V', "ERROR"}, {'C', std::string{sqlstate}}, {'M', std::string{message}}}});
}
inline std::string notice() {
    return pgwire::build_notice_response({{{'S', "NOTICE"}, {'V', "NOTICE"}, {'C', "00000"}, {'M', "by the way"}}});
}
inline std::string notification() {
    return reply('A', std::string_view{"\0\0\0\7jobs\0now\0", 13});
}

// A client's call of a function with no arguments, as pg_backend_pid().
inline std::string function_call() {
    std::string body;
    pgwire::put_u32(body, 2026);
    pgwire::put_u32(body, 0);
    pgwire::put_u16(body, 1);
    return reply('F', body);
}
// Without the Sync.
inline std::string statement(std::string_view sql) {
    return pgwire::build_parse("", sql) + pgwire::build_bind("", "", {}) + pgwire::build_execute("", 0);
}
inline std::string batch() {
    return statement("select 1") + pgwire::build_sync();
}
inline std::string batch_replies() {
    return reply('1') + reply('2') + data_row() + complete() + ready();
}

}  // namespace crossfade::proxy::test
