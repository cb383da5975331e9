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
    return {*this, entries_.emplace(key{backend.pid, backend.secret_key}, destination{server, nullptr})};
}

void cancel_registry::registration::lead_to(const pgwire::backend_key_data& backend, settings::side server) {
    auto there = std::make_unique<const key>(backend.pid, backend.secret_key);
    const std::lock_guard lock{owner_->mutex_};
    entry_->second = {server, std::move(there)};
}

cancel_registry::finding cancel_registry::find(const pgwire::cancel_request& request) const {
    const std::lock_guard lock{mutex_};
    const auto [first, last] = entries_.equal_range(key{request.pid, request.secret_key});
    if (first == last) return {};
    if (std::next(first) != last) return {match::several, {}, {}};
    const auto& [server, there] = first->second;
    const auto& [pid, secret] = there ? *there : first->first;
    return {match::one, server, {pid, secret}};
}

}  // namespace crossfade::proxy::frontend
