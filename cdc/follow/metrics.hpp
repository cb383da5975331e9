#pragma once

#include <prometheus/counter.h>
#include <prometheus/family.h>
#include <prometheus/gauge.h>
#include <prometheus/histogram.h>
#include <prometheus/registry.h>

#include <array>
#include <string>
#include <vector>

#include "cdc/apply/applier.hpp"
#include "cdc/backfill/backfiller.hpp"
#include "cdc/follow/status.hpp"

namespace crossfade::cdc::follow {

// One thread's part of a gauge that is the sum of several.
class share {
  public:
    explicit share(prometheus::Gauge& of) : of_(of) {}
    ~share() { set(0); }
    share(const share&) = delete;
    share& operator=(const share&) = delete;

    void set(double value) {
        of_.Increment(value - mine_);
        mine_ = value;
    }

  private:
    prometheus::Gauge& of_;
    double mine_ = 0;
};

// What crossfade-cdc measures about its stream; docs/metrics.md explains each. Thread-safe, as prometheus-cpp's metrics
// are.
class metrics {
    // First, as the others' labels are made of it.
    std::string stream_;
    prometheus::Labels of_stream(prometheus::Labels more = {}) const;

  public:
    metrics(prometheus::Registry& registry, std::string stream);

    void state(follower_state now);
    void batch(const apply::apply_report& report, double seconds);
    void backfill(const std::vector<store::backfill>& tables, const backfill::backfiller::turn& step);
    void drift(const std::vector<drift_count>& counts);
    void paused(std::int64_t tables, std::int64_t changes);
    void repeats(std::uint64_t events) { repeats_.Increment(static_cast<double>(events)); }

    prometheus::Gauge& lag_seconds;
    prometheus::Gauge& lag_bytes;
    prometheus::Counter& retries;
    prometheus::Counter& careful_batches;
    prometheus::Counter& side_by_side;
    prometheus::Counter& refused_side_by_side;
    prometheus::Gauge& held_bytes;
    prometheus::Gauge& held_bytes_limit;
    prometheus::Gauge& read_ahead;
    prometheus::Gauge& read_ahead_limit;
    prometheus::Gauge& dead_letters_waiting;
    prometheus::Gauge& dead_letters_too_large;
    prometheus::Gauge& waiting_rows;
    prometheus::Gauge& ddl_waiting_changes_limit;
    prometheus::Gauge& partitions;
    prometheus::Counter& barriers;
    prometheus::Counter& waited_for_others;

  private:
    prometheus::Family<prometheus::Gauge>& states_;
    prometheus::Gauge& stopped_;
    prometheus::Family<prometheus::Counter>& applied_;
    prometheus::Family<prometheus::Counter>& skipped_;
    prometheus::Counter& repeats_;
    prometheus::Family<prometheus::Counter>& conflicts_;
    prometheus::Counter& dead_letters_;
    prometheus::Family<prometheus::Counter>& letters_served_;
    prometheus::Counter& mirror_judged_;
    prometheus::Counter& mirror_healed_;
    prometheus::Counter& mirror_given_up_;
    prometheus::Histogram& seconds_;
    prometheus::Histogram& rows_;
    prometheus::Family<prometheus::Gauge>& backfills_;
    prometheus::Gauge& backfill_rows_left_;
    prometheus::Counter& backfill_rows_;
    prometheus::Counter& backfill_bytes_;
    prometheus::Histogram& backfill_seconds_;
    prometheus::Family<prometheus::Gauge>& drift_;
    std::vector<prometheus::Gauge*> drift_rows_;
    prometheus::Family<prometheus::Counter>& ddl_;
    prometheus::Gauge& ddl_paused_tables_;
    prometheus::Gauge& ddl_waiting_changes_;
};

}  // namespace crossfade::cdc::follow
