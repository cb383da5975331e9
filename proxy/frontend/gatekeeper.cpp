#include "proxy/frontend/gatekeeper.hpp"

#include <chrono>
#include <utility>

namespace crossfade::proxy::frontend {
namespace {

auth::wall_time now() {
    return std::chrono::time_point_cast<std::chrono::microseconds>(std::chrono::system_clock::now());
}

}  // namespace

gatekeeper::gatekeeper()
    : secret_(auth::random_bytes(32)),
      knowledge_(
          std::make_shared<knowledge>(knowledge{auth::scram_mock{auth::default_scram_iterations, secret_}, {}})) {}

void gatekeeper::take(const settings::configuration& config) {
    const auto before = std::atomic_load(&knowledge_);
    auth::scram_mock mock{config.proxy.auth.scram_iterations, secret_};
    auth::user_accounts accounts{config.proxy.auth.users, mock, &before->accounts};
    std::atomic_store(&knowledge_, std::shared_ptr<const knowledge>(
                                       std::make_shared<knowledge>(knowledge{std::move(mock), std::move(accounts)})));
}

auth::scram_subject gatekeeper::subject_for(const std::optional<auth::credential>& found,
                                            const std::string& user) const {
    return auth::subject_for(found ? &*found : nullptr, user, now(), std::atomic_load(&knowledge_)->mock);
}

asio::awaitable<credential_finding> gatekeeper::find(std::string user, settings::snapshot in_force,
                                                     settings::side authority) {
    // Held while it is read: a reload puts another in its place at any time.
    const auto knows = std::atomic_load(&knowledge_);
    if (const auto* known = knows->accounts.find(user)) co_return std::optional{*known};
    if (in_force->config.proxy.auth.query.empty()) co_return std::optional<auth::credential>{};
    auto& desk = authority == settings::side::modern ? modern_desk_ : legacy_desk_;
    co_return co_await desk.find(std::move(user), std::move(in_force));
}

}  // namespace crossfade::proxy::frontend
