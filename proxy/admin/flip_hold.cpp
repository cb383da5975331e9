#include "proxy/admin/flip_hold.hpp"

#include <boost/asio/post.hpp>
#include <chrono>
#include <utility>
#include <vector>

namespace crossfade::proxy::admin {
namespace {

constexpr std::chrono::milliseconds look_again{2};
constexpr std::chrono::milliseconds patrol_interval{250};

}  // namespace

flip_hold::flip_hold(boost::asio::io_context& home, frontend::front& front, operator_desk& desk,
                     program::configuration_reload& reload)
    : home_(home), front_(front), desk_(desk), reload_(reload), look_again_(home), patrol_(home) {}

handover::authority_watch::obedience flip_hold::obedience() {
    return {.hold = [this](const settings::flag_scope& moving) { begin(moving); },
            .busy = [this] { return busy(); },
            .go_on = [this](std::optional<settings::decision> decided) { end(decided); },
            // Behind what was heard at the same time.
            .rely =
                [this](settings::side which, std::chrono::steady_clock::time_point until) {
                    boost::asio::post(home_, [this, which, until] { front_.rely_on_authority(which, until); });
                }};
}

void flip_hold::patrol() {
    patrol_.expires_after(patrol_interval);
    patrol_.async_wait([this](boost::system::error_code cancelled) {
        if (cancelled) return;
        front_.look_at_authority();
        patrol();
    });
}

void flip_hold::begin(const settings::flag_scope& moving) {
    std::uint64_t mine = 0;
    {
        const std::lock_guard alone{mutex_};
        mine = ++hold_;
        holds_ = true;
        busy_.reset();
    }
    // The server's other databases stay where they are.
    console::scope held{.group = {}, .tenant = {}, .database = reload_.current()->config.legacy.dbname};
    if (!moving.group.empty()) held.group = moving.group;
    if (!moving.tenant.empty()) held.tenant = moving.tenant;
    boost::asio::post(home_, [this, mine, held = std::move(held)] {
        desk_.hold_for_flip(held);
        count(mine, held);
    });
}

void flip_hold::end(std::optional<settings::decision> decided) {
    {
        const std::lock_guard alone{mutex_};
        ++hold_;
        holds_ = false;
    }
    boost::asio::post(home_, [this, decided] {
        look_again_.cancel();
        // Before anything goes on: what was held is to see it.
        if (decided) reload_.take(*decided);
        desk_.hold_for_flip(std::nullopt);
    });
}

void flip_hold::count(std::uint64_t hold, const console::scope& held) {
    front_.list_sessions([this, hold, held](const std::vector<console::session_facts>& sessions) {
        const auto busy = console::in_the_way(held, sessions).size();
        note(hold, busy);
        if (busy == 0) return;
        look_again_.expires_after(look_again);
        look_again_.async_wait([this, hold, held](boost::system::error_code cancelled) {
            const bool stale = [&] {
                const std::lock_guard alone{mutex_};
                return hold != hold_ || !holds_;
            }();
            if (!cancelled && !stale) count(hold, held);
        });
    });
}

std::optional<std::size_t> flip_hold::busy() {
    const std::lock_guard alone{mutex_};
    return busy_;
}

void flip_hold::note(std::uint64_t hold, std::optional<std::size_t> busy) {
    const std::lock_guard alone{mutex_};
    if (hold == hold_ && holds_) busy_ = busy;
}

}  // namespace crossfade::proxy::admin
