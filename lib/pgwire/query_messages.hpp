#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace crossfade::pgwire {

// A client's messages, simple and extended, whole. Text without zero bytes.

std::string build_query(std::string_view sql);
// `types`: of the first parameters, by OID; the server chooses for 0 and for those that are left out.
std::string build_parse(std::string_view statement, std::string_view sql, std::span<const std::uint32_t> types = {});
// Text format for parameters; a missing value is NULL.
enum class result_format : std::uint16_t { text = 0, binary = 1 };
std::string build_bind(std::string_view portal, std::string_view statement,
                       const std::vector<std::optional<std::string>>& values,
                       result_format results = result_format::text);
enum class named : char { statement = 'S', portal = 'P' };
std::string build_describe(named what, std::string_view name);
std::string build_close(named what, std::string_view name);
// max_rows 0: all.
std::string build_execute(std::string_view portal, std::uint32_t max_rows);
std::string build_flush();
std::string build_sync();
std::string build_terminate();
// A password, or a SASL response's bytes.
std::string build_password_message(std::string_view bytes);

std::string build_copy_data(std::string_view bytes);
std::string build_copy_done();
std::string build_copy_fail(std::string_view reason);

// A Parse's body. Nothing when it isn't well-formed.
struct parse_message {
    std::string_view statement;
    std::string_view sql;
    std::vector<std::uint32_t> types;
};
std::optional<parse_message> parse_parse(std::string_view body);

}  // namespace crossfade::pgwire
