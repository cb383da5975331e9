#pragma once

#include <string>
#include <string_view>

namespace crossfade::proxy::portrait {

// pg_prepared_statements has for a PREPARE all of the text that it was sent in: the one statement of it that prepares
// `name`. Empty if that can't be told: two prepare it, or the text isn't understood.
std::string prepare_text(std::string_view name, std::string_view sent);

}  // namespace crossfade::proxy::portrait
