#include "proxy/frontend/front.hpp"

#include <spdlog/spdlog.h>
#include <unistd.h>

#include <algorithm>
#include <boost/asio/post.hpp>
#include <thread>

namespace crossfade::proxy::frontend {
namespace {

unsigned loops_wanted(unsigned configured) {
    return configured > 0 ? configured : std::max(1U, std::thread::hardware_concurrency());
}

}  // namespace

front::front(asio::io_context& home, std::function<settings::snapshot()> in_force, prometheus::Registry& metrics)
    : home_(home),
      around_(std::move(in_force)),
      metrics_(metrics),
      listener_(home, around_.current()->config.proxy,
                [this](int connected, int address_family) { take(connected, address_family); }),
      drain_deadline_(home) {
    around_.certificates = std::make_shared<encryption>(encryption::of(around_.current()->config).value());
    const auto wanted = loops_wanted(around_.current()->config.proxy.threads);
    for (unsigned made = 0; made < wanted; ++made)
        loops_.push_back(std::make_unique<event_loop>(around_, [this] {
            if (draining()) asio::post(home_, [this] { look_whether_drained(); });
        }));
}

front::~front() {
    loops_.clear();
}

void front::start() {
    listener_.start();
    const auto snapshot = around_.current();
    spdlog::info("listening on {} with {} event loops", settings::to_string(snapshot->config.proxy.listen),
                 loops_.size());
}

void front::reloaded() {
    // The files were looked at before the configuration was taken; they may have changed again since.
    if (auto read = encryption::of(around_.current()->config)) {
        std::atomic_store(&around_.certificates,
                          std::shared_ptr<const encryption>(std::make_shared<encryption>(std::move(*read))));
    } else {
        spdlog::error("certificates stay as they were: {}", read.error().text);
    }
    around_.generation.fetch_add(1, std::memory_order_release);
}

void front::take(int connected, int address_family) {
    if (connections() >= around_.current()->config.proxy.max_sessions + greeting_room) {
        ::close(connected);
        return;
    }
    const auto least = std::min_element(loops_.begin(), loops_.end(), [](const auto& left, const auto& right) {
        return left->connections() < right->connections();
    });
    (*least)->adopt(connected, address_family);
}

unsigned front::connections() const {
    unsigned all = 0;
    for (const auto& loop : loops_) all += loop->connections();
    return all;
}

void front::drain(std::function<void()> done) {
    const auto limit = around_.current()->config.proxy.drain_timeout;
    spdlog::info("stopping: {} sessions, those in a transaction have {} ms", sessions(), limit.count());
    draining_ = true;
    drained_ = std::move(done);
    listener_.stop();
    for (auto& loop : loops_) loop->drain();
    drain_deadline_.expires_after(limit);
    drain_deadline_.async_wait([this](error_code cancelled) {
        if (cancelled) return;
        spdlog::warn("proxy.drain_timeout is over: closing {} sessions in the middle of a transaction", sessions());
        cut();
    });
    look_whether_drained();
}

void front::cut() {
    for (auto& loop : loops_) loop->cut();
}

void front::look_whether_drained() {
    if (connections() > 0 || !drained_) return;
    drain_deadline_.cancel();
    std::exchange(drained_, nullptr)();
}

void front::update_metrics() {
    totals sum;
    for (const auto& loop : loops_) add(sum, loop->stats());
    metrics_.update(sum, sessions(), around_.current()->config.proxy.max_sessions);
    const auto certificates = std::atomic_load(&around_.certificates);
    if (certificates->listener) metrics_.certificate_expires(certificates->listener->expires());
}

}  // namespace crossfade::proxy::frontend
