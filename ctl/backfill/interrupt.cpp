#include "ctl/backfill/interrupt.hpp"

#include <csignal>

namespace crossfade::ctl::backfill {

namespace {

std::atomic<bool> raised{false};
static_assert(std::atomic<bool>::is_always_lock_free);

void install(void (*handler)(int), int flags) {
    struct sigaction action = {};
    action.sa_handler = handler;
    action.sa_flags = flags;
    sigemptyset(&action.sa_mask);
    sigaction(SIGINT, &action, nullptr);
    sigaction(SIGTERM, &action, nullptr);
}

}  // namespace

interrupt_guard::interrupt_guard() {
    raised = false;
    install([](int) { raised = true; }, static_cast<int>(SA_RESTART | SA_RESETHAND));
}

interrupt_guard::~interrupt_guard() {
    install(SIG_DFL, 0);
}

const std::atomic<bool>& interrupt_guard::flag() const {
    return raised;
}

}  // namespace crossfade::ctl::backfill
