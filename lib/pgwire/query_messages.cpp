#include "lib/pgwire/query_messages.hpp"

#include "lib/pgwire/bytes.hpp"
#include "lib/pgwire/message_types.hpp"

namespace crossfade::pgwire {
namespace {

std::string with_text(char type, std::string_view text) {
    std::string body;
    put_cstring(body, text);
    return framed(type, body);
}

std::string with_name(char type, named what, std::string_view name) {
    std::string body(1, static_cast<char>(what));
    put_cstring(body, name);
    return framed(type, body);
}

}  // namespace

std::string build_query(std::string_view sql) {
    return with_text(frontend::query, sql);
}

std::string build_parse(std::string_view statement, std::string_view sql, std::span<const std::uint32_t> types) {
    std::string body;
    put_cstring(body, statement);
    put_cstring(body, sql);
    put_u16(body, static_cast<std::uint16_t>(types.size()));
    for (const auto type : types) put_u32(body, type);
    return framed(frontend::parse, body);
}

std::string build_bind(std::string_view portal, std::string_view statement,
                       const std::vector<std::optional<std::string>>& values, result_format results) {
    std::string body;
    put_cstring(body, portal);
    put_cstring(body, statement);
    put_u16(body, 0);
    put_u16(body, static_cast<std::uint16_t>(values.size()));
    for (const auto& value : values) {
        put_u32(body, value ? static_cast<std::uint32_t>(value->size()) : 0xFFFFFFFFU);
        if (value) body.append(*value);
    }
    put_u16(body, 1);  // one format for all columns
    put_u16(body, static_cast<std::uint16_t>(results));
    return framed(frontend::bind, body);
}

std::string build_describe(named what, std::string_view name) {
    return with_name(frontend::describe, what, name);
}
std::string build_close(named what, std::string_view name) {
    return with_name(frontend::close, what, name);
}

std::string build_execute(std::string_view portal, std::uint32_t max_rows) {
    std::string body;
    put_cstring(body, portal);
    put_u32(body, max_rows);
    return framed(frontend::execute, body);
}

std::string build_flush() {
    return framed(frontend::flush, {});
}
std::string build_sync() {
    return framed(frontend::sync, {});
}
std::string build_terminate() {
    return framed(frontend::terminate, {});
}
std::string build_password_message(std::string_view bytes) {
    return framed(frontend::password_message, bytes);
}
std::string build_copy_data(std::string_view bytes) {
    return framed(frontend::copy_data, bytes);
}
std::string build_copy_done() {
    return framed(frontend::copy_done, {});
}
std::string build_copy_fail(std::string_view reason) {
    return with_text(frontend::copy_fail, reason);
}

std::optional<parse_message> parse_parse(std::string_view body) {
    byte_reader reader{body};
    parse_message parsed{.statement = reader.cstring(), .sql = reader.cstring(), .types = {}};
    for (std::size_t left = reader.u16(); left > 0 && !reader.failed(); --left) parsed.types.push_back(reader.u32());
    if (!reader.finished()) return std::nullopt;
    return parsed;
}

}  // namespace crossfade::pgwire
