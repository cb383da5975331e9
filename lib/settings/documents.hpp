#pragma once

#include <optional>
#include <string>

namespace crossfade::settings {

// The 1-based line on which a YAML text's second document begins. Throws YAML::Exception for what is no YAML.
//
// Not by YAML::LoadAll: yaml-cpp 0.7 finds empty documents without end in some malformed texts ("a"- b), and takes all
// memory.
std::optional<int> second_document(const std::string& text);

}  // namespace crossfade::settings
