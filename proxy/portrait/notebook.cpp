#include "proxy/portrait/notebook.hpp"

#include <algorithm>

namespace crossfade::proxy::portrait {

bool setting_names::add(std::string_view name) {
    if (names_.contains(name)) return true;
    const auto is_plain = [](char byte) {
        return (byte >= 'a' && byte <= 'z') || (byte >= '0' && byte <= '9') || byte == '_' || byte == '.' ||
               byte == '$';
    };
    if (names_.size() >= most || name.size() > longest || !std::ranges::all_of(name, is_plain)) return false;
    names_.emplace(name);
    return true;
}

}  // namespace crossfade::proxy::portrait
