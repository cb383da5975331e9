#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <utility>
#include <vector>

namespace crossfade::pgwire {

// What the server still owes for the messages it was sent, in order, equal neighbours counted together. A ring that
// starts inside the object, so that a session that doesn't pipeline deeply never allocates, and goes back there when
// all is answered, so that one that did doesn't hold the memory for as long as it lives.
class reply_queue {
  public:
    enum class kind : std::uint8_t {
        startup,        // ReadyForQuery, after authentication
        query,          // ReadyForQuery
        function_call,  // ReadyForQuery
        sync,           // ReadyForQuery
        extended,       // Parse, Bind, Describe, Execute, Close: one closing reply each, and no ReadyForQuery
        copy_end,       // CopyDone, CopyFail: no reply of its own
    };

    bool empty() const { return runs_ == 0; }
    // Entries in use, equal neighbours being one up to a million.
    std::size_t runs() const { return runs_; }
    // Bytes held outside the object.
    std::size_t allocated() const { return many_.capacity() * sizeof(run); }
    kind front() const { return at(0).what; }
    std::uint32_t front_count() const { return at(0).count; }

    void push(kind what) {
        if (runs_ > 0 && at(runs_ - 1).what == what && at(runs_ - 1).count < longest_run) {
            ++at(runs_ - 1).count;
            return;
        }
        if (runs_ == capacity()) grow();
        ++runs_;
        at(runs_ - 1) = {what, 1};
    }

    // One of the front run's messages.
    void pop() {
        if (--at(0).count == 0) pop_run();
    }

    void pop_run() {
        first_ = (first_ + 1) & (capacity() - 1);
        if (--runs_ == 0 && many_.size() > kept) {
            many_ = std::vector<run>{};
            first_ = 0;
        }
    }

    // The run behind the front one, if there is one.
    bool has_second() const { return runs_ > 1; }
    kind second() const { return at(1).what; }
    // Takes one message from the run behind the front one.
    void pop_second() {
        if (--at(1).count == 0) drop_second();
    }
    void drop_second() {
        at(1) = at(0);
        pop_run();
    }

    bool contains(kind what) const {
        for (std::size_t index = 0; index < runs_; ++index)
            if (at(index).what == what) return true;
        return false;
    }

  private:
    struct run {
        kind what;
        std::uint32_t count;
    };
    // Beyond it a run goes on in another, so that a peer that is never answered is bounded by the number of runs too.
    static constexpr std::uint32_t longest_run = std::uint32_t{1} << 20;
    // Slots that are kept for the next pipeline.
    static constexpr std::size_t kept = 64;

    std::size_t capacity() const { return many_.empty() ? few_.size() : many_.size(); }
    const run& at(std::size_t index) const {
        const auto slot = (first_ + index) & (capacity() - 1);
        return many_.empty() ? few_[slot] : many_[slot];
    }
    run& at(std::size_t index) { return const_cast<run&>(static_cast<const reply_queue&>(*this).at(index)); }

    void grow() {
        std::vector<run> larger(capacity() * 2);
        for (std::size_t index = 0; index < runs_; ++index) larger[index] = at(index);
        many_ = std::move(larger);
        first_ = 0;
    }

    std::array<run, 8> few_{};
    std::vector<run> many_;  // in use instead of few_ once it isn't empty; a power of two
    std::size_t first_ = 0;
    std::size_t runs_ = 0;
};

}  // namespace crossfade::pgwire
