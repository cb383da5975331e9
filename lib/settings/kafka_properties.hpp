#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace crossfade::settings {

// Why a property must not be set from outside, because Crossfade's promises rest on its value; nullopt for the others.
std::optional<std::string_view> reserved_property(std::string_view name);

// Whether librdkafka takes the property with this value. The answer says what is wrong without the value.
std::optional<std::string> property_objection(const std::string& name, const std::string& value);

}  // namespace crossfade::settings
