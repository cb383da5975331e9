#include "proxy/reading/follower_view.hpp"

#include <algorithm>
#include <utility>

namespace crossfade::proxy::reading {

std::optional<follower_view::clock::time_point> follower_view::fresh_to() const {
    const auto at = fresh_to_.load(std::memory_order_acquire);
    if (at == unknown) return std::nullopt;
    return clock::time_point{clock::duration{at}};
}

void follower_view::set_fresh_to(std::optional<clock::time_point> at) {
    fresh_to_.store(at ? at->time_since_epoch().count() : unknown, std::memory_order_release);
}

void follower_view::set_tables(table_states now) {
    const auto before = tables();
    if (*before == now) return;
    if (std::ranges::any_of(*before, [&](const auto& each) { return !now.contains(each.first); })) set_whole(false);
    std::atomic_store(&tables_, std::shared_ptr<const table_states>{std::make_shared<table_states>(std::move(now))});
    edition_.fetch_add(1, std::memory_order_acq_rel);
}

void follower_view::replace(std::shared_ptr<const relation_names>& old, relation_names by) {
    if (*std::atomic_load(&old) == by) return;
    std::atomic_store(&old, std::shared_ptr<const relation_names>{std::make_shared<relation_names>(std::move(by))});
    edition_.fetch_add(1, std::memory_order_acq_rel);
}

void follower_view::set_views(relation_names now) {
    replace(views_, std::move(now));
}

void follower_view::set_unlike(relation_names now) {
    replace(unlike_, std::move(now));
}

void follower_view::set_misshapen(relation_names now) {
    replace(misshapen_, std::move(now));
}

void follower_view::set_whole(bool is) {
    if (whole_.exchange(is, std::memory_order_acq_rel) != is) edition_.fetch_add(1, std::memory_order_acq_rel);
}

void follower_view::set_shared(settings::side on, shared_names now) {
    if (const auto before = shared(on); before && *before == now) return;
    std::atomic_store(&shared_[static_cast<std::size_t>(on)],
                      std::shared_ptr<const shared_names>{std::make_shared<shared_names>(std::move(now))});
    edition_.fetch_add(1, std::memory_order_acq_rel);
}

void follower_view::want_newer() {
    if (!wanted_.exchange(true, std::memory_order_acq_rel) && tell_) tell_();
}

}  // namespace crossfade::proxy::reading
