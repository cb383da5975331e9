#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace crossfade::pgwire {

// A client's messages, simple and extended, whole. Text without zero bytes.

std::string build_query(std::string_view sql);
std::string build_parse(std::string_view statement, std::string_view sql);
// Text format for parameters and results; a missing value is NULL.
std::string build_bind(std::string_view portal, std::string_view statement,
                       const std::vector<std::optional<std::string>>& values);
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

}  // namespace crossfade::pgwire
