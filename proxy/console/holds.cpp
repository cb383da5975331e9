#include "proxy/console/holds.hpp"

#include <algorithm>

namespace crossfade::proxy::console {

const hold* hold_set::covering(const held_party& party, instant now) const {
    const auto found = std::find_if(holds_.begin(), holds_.end(),
                                    [&](const hold& each) { return now < each.until && covers(each.what, party); });
    return found == holds_.end() ? nullptr : &*found;
}

const hold* hold_set::find(const scope& what) const {
    const auto found = std::find_if(holds_.begin(), holds_.end(), [&](const hold& each) { return each.what == what; });
    return found == holds_.end() ? nullptr : &*found;
}

void hold_set::add(hold one) {
    const auto same =
        std::find_if(holds_.begin(), holds_.end(), [&](const hold& each) { return each.what == one.what; });
    if (same != holds_.end()) {
        same->until = one.until;
        same->by = std::move(one.by);
    } else if (!full()) {
        holds_.push_back(std::move(one));
    }
}

hold_set hold_set::beside(hold one) const {
    auto all = *this;
    all.holds_.push_back(std::move(one));
    return all;
}

bool hold_set::remove(const scope& what) {
    return std::erase_if(holds_, [&](const hold& each) { return each.what == what; }) > 0;
}

std::vector<hold> hold_set::expire(instant now) {
    std::vector<hold> over;
    std::erase_if(holds_, [&](hold& each) {
        if (now < each.until) return false;
        over.push_back(std::move(each));
        return true;
    });
    return over;
}

instant hold_set::next_end() const {
    instant next = instant::max();
    for (const auto& each : holds_) next = std::min(next, each.until);
    return next;
}

}  // namespace crossfade::proxy::console
