#include "proxy/frontend/outbox.hpp"

#include <spdlog/spdlog.h>
#include <sys/socket.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <memory>
#include <system_error>

#include "proxy/frontend/transport.hpp"

namespace crossfade::proxy::frontend {
namespace {

constexpr int how = MSG_DONTWAIT | MSG_NOSIGNAL;

std::string reason(int negative_errno) {
    return std::generic_category().message(-negative_errno);
}

}  // namespace

outbox::~outbox() {
    close();
}

std::string outbox::open() {
    if (const int refused = io_uring_queue_init(most, &ring_, 0); refused < 0) return reason(refused);
    open_ = true;
    messages_.reserve(most);
    const std::unique_ptr<io_uring_probe, void (*)(io_uring_probe*)> probe{io_uring_get_probe_ring(&ring_),
                                                                           io_uring_free_probe};
    if (probe != nullptr && io_uring_opcode_supported(probe.get(), IORING_OP_SEND) != 0) return {};
    close();
    return "the kernel's io_uring knows no send";
}

void outbox::close() {
    if (std::exchange(open_, false)) io_uring_queue_exit(&ring_);
}

bool outbox::take(transport& to, std::string_view bytes) {
    if (!open_ || bytes.size() > longest) return false;
    if (messages_.size() == most || room - used_ < bytes.size()) {
        deliver();
        if (!open_) return false;
    }
    std::memcpy(bytes_.data() + used_, bytes.data(), bytes.size());
    messages_.push_back({&to, speaker_, used_, bytes.size(), 0});
    used_ += bytes.size();
    return true;
}

void outbox::deliver() {
    if (messages_.empty()) return;
    if (messages_.size() == 1) {
        send_alone(messages_.front());
    } else {
        send_together();
    }
    for (const auto& [to, of, at, size, taken] : messages_) {
        to->delivered(std::string_view{bytes_.data() + at, size}.substr(taken));
        if (taken < size) left_over_.push_back(of);
    }
    messages_.clear();
    used_ = 0;
}

void outbox::send_alone(message& one) {
    const auto count = ::send(one.to->descriptor(), bytes_.data() + one.at, one.size, how);
    one.taken = static_cast<std::size_t>(std::max<ssize_t>(0, count));
}

void outbox::send_together() {
    for (auto& one : messages_) {
        // There is one for each: the queue is as long as `most`, and empty between two calls.
        auto* const entry = io_uring_get_sqe(&ring_);
        // Behind MSG_DONTWAIT the kernel sends what it can while it takes the entry in, and never later.
        io_uring_prep_send(entry, one.to->descriptor(), bytes_.data() + one.at, one.size, how);
        io_uring_sqe_set_data(entry, &one);
    }
    const int submitted = io_uring_submit(&ring_);
    for (int left = submitted; left > 0;) {
        io_uring_cqe* done = nullptr;
        if (io_uring_wait_cqe(&ring_, &done) < 0) continue;  // interrupted
        // What failed is left over, and fails again where it is looked at.
        static_cast<message*>(io_uring_cqe_get_data(done))->taken = static_cast<std::size_t>(std::max(0, done->res));
        io_uring_cqe_seen(&ring_, done);
        --left;
    }
    if (submitted == static_cast<int>(messages_.size())) return;
    // The rest lies in the ring, and must not be sent behind what follows.
    spdlog::warn("io_uring took {} of {} messages{}; from now on each is sent by itself", std::max(0, submitted),
                 messages_.size(), submitted < 0 ? ": " + reason(submitted) : "");
    close();
}

}  // namespace crossfade::proxy::frontend
