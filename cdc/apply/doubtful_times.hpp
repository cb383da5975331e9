#pragma once

#include <chrono>
#include <cstdint>
#include <memory>
#include <optional>
#include <unordered_map>

#include "lib/model/change.hpp"
#include "lib/store/progress.hpp"

namespace crossfade::cdc::apply {

// When a receipt alone proves nothing, by the source's clock. Behind DDL a proxy that hasn't heard of it may have
// mirrored values into the wrong columns; and on a new timeline the source gives numbers of transactions once more that
// it has lost, and whose receipts are there (docs/adr/0022). Where this one can't know how long ago that was, as it has
// begun since, it takes it for new. Not thread-safe.
class doubtful_times {
  public:
    // `from`: where the stream is.
    explicit doubtful_times(const store::progress& from) : timeline_(from.timeline), unknown_(!from.left.empty()) {}

    // Of each change that is to be believed, as the stream comes by it, and again where it is looked at again.
    // `known_within`: after DDL.
    bool about(const model::change_event& event, const std::shared_ptr<const model::relation>& rel,
               std::chrono::milliseconds known_within);

  private:
    static constexpr std::size_t capacity = 10000;

    struct table {
        std::shared_ptr<const model::relation> rel;
        model::source_time since;
    };
    std::unordered_map<model::table_name, table> tables_;
    std::uint32_t timeline_;
    bool unknown_;                             // there have been others
    std::optional<model::source_time> since_;  // that timeline
};

}  // namespace crossfade::cdc::apply
