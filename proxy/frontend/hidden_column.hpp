#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

// The client's and the server's messages, as they are with a column more or less than the client knows of.
namespace crossfade::proxy::frontend {

// A Bind of the same to another statement, whose rows have one column more, in front and as text. Nothing where the
// message isn't well-formed.
std::optional<std::string> rebound(std::string_view body, const std::string& statement);

// A RowDescription without its first column. Where there is no other: NoData, or, `in_query`, nothing.
std::string without_first(std::string_view body, bool in_query);

// An ErrorResponse as it would be without the `by` characters that were put into the text behind the first `behind`.
std::string moved_back(std::string_view body, std::uint32_t behind, std::uint32_t by);

}  // namespace crossfade::proxy::frontend
