#pragma once

#include <array>
#include <atomic>
#include <cstdint>
#include <functional>
#include <memory>

#include "lib/settings/reload.hpp"
#include "proxy/console/provider.hpp"
#include "proxy/frontend/address_book.hpp"
#include "proxy/frontend/admission.hpp"
#include "proxy/frontend/authority_lease.hpp"
#include "proxy/frontend/cancel_registry.hpp"
#include "proxy/frontend/encryption.hpp"
#include "proxy/frontend/gatekeeper.hpp"
#include "proxy/frontend/memory_account.hpp"
#include "proxy/mirror/follower_watch.hpp"
#include "proxy/mirror/keeper.hpp"
#include "proxy/reading/follower_view.hpp"

namespace crossfade::proxy::frontend {

// What all sessions share. Outlives them.
struct surroundings {
    explicit surroundings(std::function<settings::snapshot()> in_force) : current(std::move(in_force)) {}

    // The configuration in force; takes a lock, so `generation` says when it is worth asking again.
    std::function<settings::snapshot()> current;
    std::atomic<std::uint64_t> generation{0};
    // Through std::atomic_load and std::atomic_store.
    std::shared_ptr<const encryption> certificates = std::make_shared<encryption>();
    cancel_registry cancels;
    gatekeeper keeper;
    address_book names;
    admission sessions;
    memory_account memory;  // of the sessions

    // Who carries out what consoles ask; null: there are no consoles yet.
    std::atomic<console::provider*> desk{nullptr};
    // Whom sessions under `mirror` ask to be told; null: nobody mirrors. Set before there are any.
    mirror::follower_watch* follower = nullptr;
    mirror::keeper* mirror_keeper = nullptr;  // of what they need to write to the follower themselves; likewise
    reading::follower_view* view = nullptr;   // of modern, by which reads may go there; null: they never do. Likewise
    std::atomic<unsigned> consoles{0};
    std::atomic<std::uint64_t> last_session_id{0};

    // The pauses in force (docs/adr/0008), by std::atomic_load and std::atomic_store; `any_holds` spares sessions that.
    std::shared_ptr<const console::hold_set> holds = std::make_shared<const console::hold_set>();
    std::atomic<bool> any_holds{false};
    // By whoever watches who the authority is, of each side; where nobody does, it is never over.
    std::array<authority_lease, 2> authority;
    authority_lease& authority_of(settings::side which) { return authority[which == settings::side::legacy ? 0 : 1]; }
    // Has the session of that key told that what a pause holds of it is cancelled. Any thread.
    std::function<void(const pgwire::cancel_request&)> cancel_held;
};

}  // namespace crossfade::proxy::frontend
