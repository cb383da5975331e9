#include "proxy/frontend/admission.hpp"

#include <algorithm>

namespace crossfade::proxy::frontend {
namespace {

bool full(const admission::counts& counted, std::string_view name, unsigned limit) {
    if (limit == 0) return false;
    const auto found = counted.find(name);
    return found != counted.end() && found->second >= limit;
}

admission::counts::iterator count(admission::counts& in, std::string_view name) {
    auto found = in.find(name);
    if (found == in.end()) found = in.emplace(name, 0).first;
    ++found->second;
    return found;
}

}  // namespace

admission::place::~place() {
    if (of_ != nullptr) of_->leave(*this);
}

admission::verdict admission::enter(const settings::proxy& by, std::string_view user, std::string_view database) {
    const bool reserved = std::ranges::find(by.reserved_users, user) != by.reserved_users.end();
    const std::lock_guard alone{mutex_};
    if (open() >= by.max_sessions) return {{}, "proxy.max_sessions"};
    if (!reserved && open() + by.reserved_sessions >= by.max_sessions)
        return {{}, "proxy.max_sessions less proxy.reserved_sessions"};
    if (full(by_user_, user, by.max_sessions_per_user)) return {{}, "proxy.max_sessions_per_user"};
    if (full(by_database_, database, by.max_sessions_per_database)) return {{}, "proxy.max_sessions_per_database"};

    open_.fetch_add(1, std::memory_order_relaxed);
    verdict given;
    given.granted.of_ = this;
    given.granted.user_ = count(by_user_, user);
    given.granted.database_ = count(by_database_, database);
    return given;
}

void admission::leave(const place& given_up) {
    const std::lock_guard alone{mutex_};
    if (--given_up.user_->second == 0) by_user_.erase(given_up.user_);
    if (--given_up.database_->second == 0) by_database_.erase(given_up.database_);
    open_.fetch_sub(1, std::memory_order_relaxed);
}

}  // namespace crossfade::proxy::frontend
