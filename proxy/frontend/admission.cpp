#include "proxy/frontend/admission.hpp"

#include <algorithm>

namespace crossfade::proxy::frontend {
namespace {

bool full(const std::map<std::string, unsigned, std::less<>>& counted, const std::string& name, unsigned limit) {
    if (limit == 0) return false;
    const auto found = counted.find(name);
    return found != counted.end() && found->second >= limit;
}

void take_one(std::map<std::string, unsigned, std::less<>>& from, const std::string& name) {
    const auto found = from.find(name);
    if (found != from.end() && --found->second == 0) from.erase(found);
}

}  // namespace

admission::place::~place() {
    if (of_ != nullptr) of_->leave(key_);
}

admission::verdict admission::enter(const settings::proxy& by, const std::string& user, const std::string& database) {
    const bool reserved = std::ranges::find(by.reserved_users, user) != by.reserved_users.end();
    const std::lock_guard alone{mutex_};
    if (open() >= by.max_sessions) return {{}, "proxy.max_sessions"};
    if (!reserved && open() + by.reserved_sessions >= by.max_sessions)
        return {{}, "proxy.max_sessions less proxy.reserved_sessions"};
    if (full(by_user_, user, by.max_sessions_per_user)) return {{}, "proxy.max_sessions_per_user"};
    if (full(by_database_, database, by.max_sessions_per_database)) return {{}, "proxy.max_sessions_per_database"};

    ++by_user_[user];
    ++by_database_[database];
    open_.fetch_add(1, std::memory_order_relaxed);
    verdict given;
    given.granted.of_ = this;
    given.granted.key_ = {user, database};
    return given;
}

void admission::leave(const place::names& key) {
    const std::lock_guard alone{mutex_};
    take_one(by_user_, key.first);
    take_one(by_database_, key.second);
    open_.fetch_sub(1, std::memory_order_relaxed);
}

}  // namespace crossfade::proxy::frontend
