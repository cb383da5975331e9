#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <memory>

#include "lib/settings/reload.hpp"
#include "proxy/frontend/admission.hpp"
#include "proxy/frontend/cancel_registry.hpp"
#include "proxy/frontend/encryption.hpp"

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
    admission sessions;
};

}  // namespace crossfade::proxy::frontend
