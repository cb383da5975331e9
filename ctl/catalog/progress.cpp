#include "ctl/catalog/progress.hpp"

#include <algorithm>

namespace crossfade::ctl::catalog {

namespace {

template <class Field>
Field least(const std::vector<partition_progress>& of, Field partition_progress::*field) {
    return std::ranges::min(of, {}, field).*field;
}

}  // namespace

bool progress::covers(int count) const {
    // In order and each once: the last one says where there is a hole.
    return static_cast<int>(partitions.size()) == count && partitions.back().partition == count - 1;
}

std::uint32_t progress::timeline() const {
    return least(partitions, &partition_progress::timeline);
}

model::lsn progress::commit_lsn() const {
    return least(partitions, &partition_progress::commit_lsn);
}

model::lsn progress::end_lsn() const {
    return least(partitions, &partition_progress::end_lsn);
}

double progress::age_seconds() const {
    return std::ranges::max(partitions, {}, &partition_progress::age_seconds).age_seconds;
}

}  // namespace crossfade::ctl::catalog
