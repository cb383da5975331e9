#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "lib/model/lsn.hpp"

namespace crossfade::ctl::catalog {

// A row of crossfade.progress.
struct partition_progress {
    int partition = 0;
    std::int64_t next_offset = 0;
    std::uint32_t timeline = 0;
    model::lsn commit_lsn{};
    model::lsn end_lsn{};
    double age_seconds = 0;  // since it last moved
};

// Where modern is in the stream: as far as in the partition that it is furthest behind in.
struct progress {
    std::string system_identifier;
    std::vector<partition_progress> partitions;  // one at least, in order

    // Whether it is of partitions 0 to count - 1, each of them and no other.
    bool covers(int count) const;

    std::uint32_t timeline() const;  // the oldest
    model::lsn commit_lsn() const;
    model::lsn end_lsn() const;
    double age_seconds() const;  // of the one that has stood still for longest
};

}  // namespace crossfade::ctl::catalog
