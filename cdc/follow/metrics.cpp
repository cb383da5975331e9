#include "cdc/follow/metrics.hpp"

#include <algorithm>
#include <map>

namespace crossfade::cdc::follow {

namespace {

prometheus::Family<prometheus::Gauge>& gauges(prometheus::Registry& in, const char* name, const char* help) {
    return prometheus::BuildGauge().Name(name).Help(help).Register(in);
}
prometheus::Family<prometheus::Counter>& counters(prometheus::Registry& in, const char* name, const char* help) {
    return prometheus::BuildCounter().Name(name).Help(help).Register(in);
}

}  // namespace

metrics::metrics(prometheus::Registry& registry, std::string stream)
    : stream_(std::move(stream)),
      lag_seconds(gauges(registry, "crossfade_stream_lag_seconds",
                         "Age of the newest source commit or heartbeat that is applied, by the source's clock")
                      .Add(of_stream())),
      lag_bytes(gauges(registry, "crossfade_stream_lag_bytes", "Bytes of the source's WAL that are not applied")
                    .Add(of_stream())),
      retries(counters(registry, "crossfade_apply_retries_total",
                       "Attempts on the follower or the broker that failed and are made again")
                  .Add(of_stream())),
      careful_batches(counters(registry, "crossfade_apply_careful_batches_total",
                               "Batches applied change by change, because the follower differs or refused something")
                          .Add(of_stream())),
      side_by_side(counters(registry, "crossfade_apply_side_by_side_total",
                            "Batches applied beside others, on connections of their own")
                       .Add(of_stream())),
      refused_side_by_side(counters(registry, "crossfade_apply_side_by_side_refused_total",
                                    "Batches begun beside others, undone, and applied alone")
                               .Add(of_stream())),
      held_bytes(gauges(registry, "crossfade_apply_held_bytes", "Bytes of events held for batches").Add(of_stream())),
      held_bytes_limit(
          gauges(registry, "crossfade_apply_held_bytes_limit", "Bytes at which events are handed on (cdc.batch_bytes)")
              .Add(of_stream())),
      read_ahead(gauges(registry, "crossfade_apply_read_ahead_bytes",
                        "Bytes of messages read from the topic and not yet looked at")
                     .Add(of_stream())),
      read_ahead_limit(gauges(registry, "crossfade_apply_read_ahead_bytes_limit",
                              "Bytes at which reading ahead pauses (cdc.batch_bytes)")
                           .Add(of_stream())),
      dead_letters_waiting(
          gauges(registry, "crossfade_dead_letters_waiting", "Dead letters on the follower").Add(of_stream())),
      dead_letters_too_large(gauges(registry, "crossfade_dead_letters_too_large",
                                    "Dead letters larger than their topic takes, which are on the follower alone")
                                 .Add(of_stream())),
      waiting_rows(
          gauges(registry, "crossfade_waiting_rows", "Rows whose changes wait behind a dead letter").Add(of_stream())),
      ddl_waiting_changes_limit(gauges(registry, "crossfade_ddl_waiting_changes_limit",
                                       "Changes at which the whole stream waits (cdc.ddl_waiting_changes)")
                                    .Add(of_stream())),
      partitions(gauges(registry, "crossfade_partitions", "Partitions of the stream's topic that are followed here")
                     .Add(of_stream())),
      barriers(counters(registry, "crossfade_apply_barriers_total",
                        "Events that were applied when the partitions that they are about had come to them")
                   .Add(of_stream())),
      waited_for_others(counters(registry, "crossfade_apply_waited_for_partitions_seconds_total",
                                 "Time for which a partition waited until the others had come as far")
                            .Add(of_stream())),
      states_(gauges(registry, "crossfade_applier_state", "1 for the state that the applier is in")),
      stopped_(
          gauges(registry, "crossfade_stream_stopped", "1 when the stream can't go on by itself").Add(of_stream())),
      applied_(counters(registry, "crossfade_events_applied_total", "Events applied to the follower, by kind")),
      skipped_(counters(registry, "crossfade_events_skipped_total", "Events left out, by reason")),
      repeats_(skipped_.Add(of_stream({{"reason", "repeat"}}))),
      conflicts_(counters(registry, "crossfade_conflicts_total", "Conflicts met while applying, by kind")),
      dead_letters_(
          counters(registry, "crossfade_dead_letters_total", "Changes that could not be applied").Add(of_stream())),
      letters_served_(counters(registry, "crossfade_dead_letters_served_total",
                               "Dead letters of which operators asked something, by what became of them")),
      mirror_judged_(counters(registry, "crossfade_mirror_judged_total",
                              "Transactions that the stream came by and whose rows a proxy had written")
                         .Add(of_stream())),
      mirror_healed_(counters(registry, "crossfade_mirror_healed_rows_total",
                              "Rows that a proxy should have written and that were not as the authority has them")
                         .Add(of_stream())),
      mirror_given_up_(counters(registry, "crossfade_mirror_given_up_total",
                                "Receipts whose transactions the stream did not come by: the source has lost them")
                           .Add(of_stream())),
      seconds_(prometheus::BuildHistogram()
                   .Name("crossfade_apply_seconds")
                   .Help("Time to apply and commit one batch")
                   .Register(registry)
                   .Add(of_stream(),
                        std::vector<double>{.0005, .001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10})),
      rows_(prometheus::BuildHistogram()
                .Name("crossfade_apply_batch_rows")
                .Help("Changes in one batch")
                .Register(registry)
                .Add(of_stream(), std::vector<double>{1, 2, 5, 10, 25, 50, 100, 250, 500, 1000, 2000, 5000, 10000})),
      backfills_(gauges(registry, "crossfade_backfill_tables", "Tables copied beside the stream, by state")),
      backfill_rows_left_(gauges(registry, "crossfade_backfill_rows_left",
                                 "Rows that these have to copy yet, by the source's estimate of their size")
                              .Add(of_stream())),
      backfill_rows_(
          counters(registry, "crossfade_backfill_rows_total", "Rows copied beside the stream").Add(of_stream())),
      backfill_bytes_(
          counters(registry, "crossfade_backfill_bytes_total", "Bytes copied beside the stream, as COPY's text")
              .Add(of_stream())),
      backfill_seconds_(
          prometheus::BuildHistogram()
              .Name("crossfade_backfill_step_seconds")
              .Help("Time for which a chunk, or a table's beginning or end, holds the stream up")
              .Register(registry)
              .Add(of_stream(), std::vector<double>{.005, .01, .025, .05, .1, .15, .25, .5, 1, 2.5, 5, 10, 60})),
      drift_(gauges(registry, "crossfade_drift_rows", "Rows recorded in crossfade.drift")),
      ddl_(counters(registry, "crossfade_ddl_total", "DDL of the source that the stream came by, by outcome")),
      ddl_paused_tables_(gauges(registry, "crossfade_ddl_paused_tables", "Tables that wait for DDL").Add(of_stream())),
      ddl_waiting_changes_(
          gauges(registry, "crossfade_ddl_waiting_changes", "Changes of these that wait").Add(of_stream())) {
    state(follower_state::waiting);
    for (const char* kind : {"insert", "update", "delete", "truncate"}) applied_.Add(of_stream({{"kind", kind}}));
    for (const char* outcome : {"noted", "passed", "paused", "unsealed", "unreadable"})
        ddl_.Add(of_stream({{"outcome", outcome}}));
}

prometheus::Labels metrics::of_stream(prometheus::Labels more) const {
    more.emplace("stream", stream_);
    return more;
}

void metrics::state(follower_state now) {
    for (const auto each : {follower_state::waiting, follower_state::standby, follower_state::held,
                            follower_state::applying, follower_state::stopped, follower_state::completed}) {
        states_.Add(of_stream({{"state", std::string{to_string(each)}}})).Set(each == now ? 1 : 0);
    }
    stopped_.Set(now == follower_state::stopped ? 1 : 0);
    if (now != follower_state::standby && now != follower_state::completed) return;
    // Of these another says how it is, or nobody any more.
    backfill({}, {});
    waiting_rows.Set(0);
}

void metrics::batch(const apply::apply_report& report, double seconds) {
    for (const auto& [kind, count] : report.applied)
        applied_.Add(of_stream({{"kind", kind}})).Increment(static_cast<double>(count));
    for (const auto& [reason, count] : report.skipped) {
        skipped_.Add(of_stream({{"reason", reason}})).Increment(static_cast<double>(count));
    }
    for (const auto& each : report.records) {
        conflicts_.Add(of_stream({{"kind", std::string{drift::to_string(each.what)}}})).Increment();
    }
    if (report.dead_letters > 0) dead_letters_.Increment(static_cast<double>(report.dead_letters));
    for (const auto& each : report.ddl) ddl_.Add(of_stream({{"outcome", each.outcome}})).Increment();
    const auto& served = report.letters;
    for (const auto& [result, count] : {std::pair{"replayed", served.replayed},
                                        {"refused", served.refused},
                                        {"behind", served.behind},
                                        {"discarded", served.discarded}})
        if (count > 0) letters_served_.Add(of_stream({{"result", result}})).Increment(static_cast<double>(count));
    mirror_judged_.Increment(static_cast<double>(report.judged));
    mirror_healed_.Increment(static_cast<double>(report.healed));
    mirror_given_up_.Increment(static_cast<double>(report.given_up));
    if (report.careful) careful_batches.Increment();
    seconds_.Observe(seconds);
    rows_.Observe(static_cast<double>(report.rows));
}

void metrics::backfill(const std::vector<store::backfill>& tables, const backfill::backfiller::turn& step) {
    using stage = store::backfill::stage;
    std::map<std::string_view, double> by_state{{"held", 0}};
    for (const auto each : {stage::asked, stage::copying, stage::catching_up}) by_state[to_string(each)] = 0;
    double left = 0;
    for (const auto& each : tables) {
        if (each.now == stage::done) continue;
        ++by_state[each.reason.empty() ? to_string(each.now) : "held"];
        if (each.now != stage::catching_up)
            left += static_cast<double>(std::max<std::int64_t>(each.estimated_rows - each.copied_rows, 0));
    }
    for (const auto& [state, count] : by_state) backfills_.Add(of_stream({{"state", std::string{state}}})).Set(count);
    backfill_rows_left_.Set(left);
    if (!step.worked) return;
    backfill_rows_.Increment(static_cast<double>(step.rows));
    backfill_bytes_.Increment(static_cast<double>(step.bytes));
    backfill_seconds_.Observe(step.took.count());
}

void metrics::paused(std::int64_t tables, std::int64_t changes) {
    ddl_paused_tables_.Set(static_cast<double>(tables));
    ddl_waiting_changes_.Set(static_cast<double>(changes));
}

void metrics::drift(const std::vector<drift_count>& counts) {
    for (auto* gauge : drift_rows_) drift_.Remove(gauge);
    drift_rows_.clear();
    for (const auto& each : counts) {
        auto& gauge = drift_.Add(
            of_stream({{"tenant", each.tenant}, {"table", each.table}, {"kind", each.kind}, {"state", each.state}}));
        gauge.Set(static_cast<double>(each.rows));
        drift_rows_.push_back(&gauge);
    }
}

}  // namespace crossfade::cdc::follow
