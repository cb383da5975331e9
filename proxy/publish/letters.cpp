#include "proxy/publish/letters.hpp"

#include <utility>

namespace crossfade::proxy::publish {

std::size_t letters::cut() {
    return bytes_.size() - std::exchange(cut_, bytes_.size());
}

void letters::push(destination to, std::int32_t partition, std::uint64_t sequence, const parts& made) {
    entries_.push_back({to, partition, sequence, made});
}

letters::letter letters::front() const {
    const auto& of = entries_[first_];
    letter made{of.to, of.partition, of.sequence, {}, {}, {}, {}};
    auto rest = std::string_view{bytes_}.substr(begin_);
    const auto take = [&rest](std::size_t length) {
        const auto part = rest.substr(0, length);
        rest.remove_prefix(length);
        return part;
    };
    made.position = take(of.lengths.position);
    made.table = take(of.lengths.table);
    made.key = take(of.lengths.key);
    made.payload = take(of.lengths.payload);
    return made;
}

void letters::pop() {
    const auto& gone = entries_[first_++].lengths;
    begin_ += gone.position + gone.table + gone.key + gone.payload;
    if (first_ == entries_.size()) {
        if (bytes_.capacity() > kept) std::string{}.swap(bytes_);
        bytes_.clear();
        entries_.clear();
        begin_ = cut_ = first_ = 0;
    } else if (begin_ > kept && begin_ > bytes_.size() / 2) {
        bytes_.erase(0, begin_);
        entries_.erase(entries_.begin(), entries_.begin() + static_cast<std::ptrdiff_t>(first_));
        cut_ -= begin_;
        begin_ = first_ = 0;
    }
}

}  // namespace crossfade::proxy::publish
