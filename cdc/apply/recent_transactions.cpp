#include "cdc/apply/recent_transactions.hpp"

#include <algorithm>
#include <charconv>

namespace crossfade::cdc::apply {

std::optional<source_snapshot> source_snapshot::parse(std::string_view text) {
    source_snapshot made;
    const char* at = text.data();
    const char* const end = at + text.size();
    const auto number = [&](std::uint64_t& into, char before) {
        if (before != '\0' && (at == end || *at++ != before)) return false;
        const auto [stop, error] = std::from_chars(at, end, into);
        at = stop;
        return error == std::errc{};
    };
    if (!number(made.xmin_, '\0') || !number(made.xmax_, ':') || at == end || *at++ != ':') return std::nullopt;
    while (at != end) {
        std::uint64_t xid = 0;
        if (!number(xid, made.running_.empty() ? '\0' : ',')) return std::nullopt;
        made.running_.push_back(xid);
    }
    std::ranges::sort(made.running_);
    return made;
}

bool source_snapshot::has(std::uint32_t xid) const {
    const auto away = static_cast<std::int32_t>(xid - static_cast<std::uint32_t>(xmax_));
    const auto whole = xmax_ + static_cast<std::uint64_t>(std::int64_t{away});
    return away < 0 && !std::ranges::binary_search(running_, whole);
}

bool recent_transactions::all_in(const source_snapshot& now) {
    std::erase_if(xids_, [&](auto xid) { return now.has(xid); });
    return xids_.empty();
}

}  // namespace crossfade::cdc::apply
