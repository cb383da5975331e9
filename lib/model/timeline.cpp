#include "lib/model/timeline.hpp"

#include <algorithm>
#include <charconv>

namespace crossfade::model {

std::uint32_t timeline_history::timeline_at(lsn at) const {
    for (const auto& each : left_)
        if (at < each.end) return each.timeline;
    return present_;
}

std::optional<lsn> timeline_history::left_at(std::uint32_t timeline) const {
    const auto found = std::ranges::find(left_, timeline, &timeline_end::timeline);
    if (found == left_.end()) return std::nullopt;
    return found->end;
}

bool timeline_history::holds(std::uint32_t timeline, lsn end) const {
    if (timeline == present_) return true;
    const auto left = left_at(timeline);
    return left && end <= *left;
}

std::vector<timeline_end> timeline_history::before(std::uint32_t timeline) const {
    std::vector<timeline_end> found;
    std::ranges::copy_if(left_, std::back_inserter(found), [&](const auto& each) { return each.timeline < timeline; });
    return found;
}

std::optional<std::vector<timeline_end>> parse_timeline_history(std::string_view content) {
    std::vector<timeline_end> found;
    while (!content.empty()) {
        auto line = content.substr(0, content.find('\n'));
        content.remove_prefix(std::min(content.size(), line.size() + 1));
        line.remove_prefix(std::min(line.size(), line.find_first_not_of(" \t\r")));
        if (line.empty() || line.front() == '#') continue;

        timeline_end one;
        const auto [stop, error] = std::from_chars(line.data(), line.data() + line.size(), one.timeline);
        if (error != std::errc{} || one.timeline == 0) return std::nullopt;
        line.remove_prefix(static_cast<std::size_t>(stop - line.data()));
        const auto from = line.find_first_not_of(" \t");
        if (from == 0 || from == std::string_view::npos) return std::nullopt;
        line.remove_prefix(from);
        const auto end = parse_lsn(line.substr(0, line.find_first_of(" \t\r")));
        if (!end) return std::nullopt;
        one.end = *end;
        if (!found.empty() && (one.timeline <= found.back().timeline || one.end < found.back().end))
            return std::nullopt;
        found.push_back(one);
    }
    return found;
}

}  // namespace crossfade::model
