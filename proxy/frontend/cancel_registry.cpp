#include "proxy/frontend/cancel_registry.hpp"

#include <iterator>

namespace crossfade::proxy::frontend {

cancel_registry::registration::~registration() {
    if (owner_ == nullptr) return;
    const std::lock_guard lock{owner_->mutex_};
    owner_->entries_.erase(entry_);
}

cancel_registry::registration cancel_registry::add(const pgwire::backend_key_data& backend, settings::side server) {
    const std::lock_guard lock{mutex_};
    return {*this, entries_.emplace(key{backend.pid, backend.secret_key}, server)};
}

cancel_registry::finding cancel_registry::find(const pgwire::cancel_request& request) const {
    const std::lock_guard lock{mutex_};
    const auto [first, last] = entries_.equal_range(key{request.pid, request.secret_key});
    if (first == last) return {};
    if (std::next(first) != last) return {match::several, {}};
    return {match::one, first->second};
}

}  // namespace crossfade::proxy::frontend
