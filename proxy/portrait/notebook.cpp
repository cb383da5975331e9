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

std::shared_ptr<const std::set<std::string>> setting_names::shared() {
    // None is ever taken out.
    if (!shared_ || shared_->size() != names_.size())
        shared_ = std::make_shared<const std::set<std::string>>(names_.begin(), names_.end());
    return shared_;
}

}  // namespace crossfade::proxy::portrait
