#include "proxy/frontend/admission.hpp"

#include <algorithm>

namespace crossfade::proxy::frontend {
namespace {

bool full(const admission::counts::iterator& counted, unsigned limit) {
    return limit != 0 && counted->second.shown >= limit;
}

admission::counts::iterator count(admission::counts& in, std::string_view name) {
    auto found = in.find(name);
    if (found == in.end()) found = in.try_emplace(std::string{name}).first;
    ++found->second.all;
    return found;
}

}  // namespace

admission::place::~place() {
    if (of_ != nullptr) of_->leave(*this);
}

admission::verdict admission::enter(const settings::proxy& by, std::string_view user, std::string_view database,
                                    standing client) {
    const bool reserved = std::ranges::find(by.reserved_users, user) != by.reserved_users.end();
    verdict given;
    {
        const std::lock_guard alone{mutex_};
        if (open() >= by.max_sessions) return {{}, "proxy.max_sessions"};
        if (!reserved && open() + by.reserved_sessions >= by.max_sessions)
            return {{}, "proxy.max_sessions less proxy.reserved_sessions"};
        open_.fetch_add(1, std::memory_order_relaxed);
        given.granted.of_ = this;
        given.granted.user_ = count(by_user_, user);
        given.granted.database_ = count(by_database_, database);
        if (client == standing::shown) given.reached = show_alone(given.granted, by);
    }
    if (!given.reached.empty()) given.granted = {};
    return given;
}

std::string_view admission::show(place& of, const settings::proxy& by) {
    const std::lock_guard alone{mutex_};
    return of.is_shown_ ? std::string_view{} : show_alone(of, by);
}

std::string_view admission::show_alone(place& of, const settings::proxy& by) {
    if (full(of.user_, by.max_sessions_per_user)) return "proxy.max_sessions_per_user";
    if (full(of.database_, by.max_sessions_per_database)) return "proxy.max_sessions_per_database";
    ++of.user_->second.shown;
    ++of.database_->second.shown;
    of.is_shown_ = true;
    return {};
}

void admission::leave(const place& given_up) {
    const std::lock_guard alone{mutex_};
    for (auto [counted, one] : {std::pair{&by_user_, given_up.user_}, {&by_database_, given_up.database_}}) {
        if (given_up.is_shown_) --one->second.shown;
        if (--one->second.all == 0) counted->erase(one);
    }
    open_.fetch_sub(1, std::memory_order_relaxed);
}

}  // namespace crossfade::proxy::frontend
