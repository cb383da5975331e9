#pragma once

#include <atomic>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <thread>

#include "cdc/apply/applier.hpp"
#include "cdc/apply/lanes.hpp"
#include "cdc/backfill/backfiller.hpp"
#include "cdc/consume/topic_feed.hpp"
#include "cdc/consume/transaction_assembler.hpp"
#include "cdc/follow/metrics.hpp"
#include "cdc/follow/status.hpp"
#include "cdc/follow/wait.hpp"
#include "lib/events/codec.hpp"
#include "lib/kafka/consumer.hpp"
#include "lib/retry/backoff.hpp"
#include "lib/settings/reload.hpp"

namespace crossfade::cdc::follow {

// Follows one partition of a stream's topic: reads it, makes transactions of its events (where the stream is ordered by
// transaction, and has one partition) and applies them, on a thread of its own. Loses its peers and finds them again;
// what can't be continued without a loss is a stop, which ends when an operator has set progress anew.
class stream_follower {
  public:
    // `flags` gives the configuration in force; what isn't a flag is taken from the one at start.
    stream_follower(int partition, std::function<settings::snapshot()> in_force, status_board& board, metrics& measured,
                    std::function<void()> on_records);
    ~stream_follower();  // stops
    stream_follower(const stream_follower&) = delete;
    stream_follower& operator=(const stream_follower&) = delete;

    void start();
    // Begins what stop() does, and returns at once.
    void ask_to_stop();
    // Finishes the batch under way; a statement that then still waits for a lock is cancelled.
    void stop();
    // The configuration may have changed.
    void nudge() { wait_.nudge(); }

  private:
    struct batch;
    enum class next_step { reconnect, reread, stopped, end };

    void run(const std::stop_token& stopping);
    next_step serve(const std::stop_token& stopping);
    next_step consume(const std::stop_token& stopping, apply::session& session, apply::applier& applier,
                      backfill::backfiller& copier, kafka::partition_reader& reader,
                      std::optional<consume::preference>& prefer);
    // Until progress is another one than where the stream stopped.
    void wait_for_remedy(const std::stop_token& stopping);
    bool elected(const std::stop_token& stopping, apply::session& session);
    void stand_by();
    bool installed(apply::session& session, store::progress& found);
    bool backfill_in_the_way(apply::session& session);
    bool may_go_both_ways(const apply::session& session);
    bool interrupted() const;
    // Empty: applied, with all that is under way side by side. Otherwise what to do.
    std::optional<next_step> flush(apply::applier& applier, apply::scope_filter& scopes, batch& gathered,
                                   std::optional<std::int64_t> next_offset);
    // Holds while too much waits for DDL, or while a table's rows must not be in several partitions.
    std::optional<next_step> write(apply::applier& applier, apply::scope_filter& scopes,
                                   const std::vector<consume::received>& events,
                                   const std::optional<store::progress>& advance,
                                   const std::vector<std::uint32_t>& moved = {});
    void book(apply::applier& applier, const apply::apply_report& report, std::chrono::duration<double> took);
    std::optional<next_step> take(apply::session& session, apply::applier& applier, apply::scope_filter& scopes,
                                  batch& gathered, consume::event_order& order, consume::decision decided);

    // Partitions of a stream that is ordered by key (cdc/follow/by_key.cpp).
    std::size_t read_ahead_limit() const;  // bytes
    bool may_follow_by_key(const apply::session& session);
    std::unique_ptr<consume::event_order> make_order(const store::progress& from,
                                                     std::optional<consume::preference> prefer) const;
    // Waits until the partitions that it is about have come to the event, and applies it, or until another has.
    std::optional<next_step> pass_barrier(apply::applier& applier, apply::scope_filter& scopes, batch& gathered,
                                          const consume::received& event);
    // At the event, until the other partitions have come to `place`.
    std::optional<next_step> heed_others(apply::applier& applier, apply::scope_filter& scopes, batch& gathered,
                                         const consume::received& event, const model::place& place);
    // Applies what comes before the event, and notes that this partition waits, having come to `place`.
    std::optional<next_step> arrive(apply::applier& applier, apply::scope_filter& scopes, batch& gathered,
                                    const consume::received& event, const model::place& place);
    // `which`: empty for all.
    std::optional<next_step> wait_for_others(apply::applier& applier, const model::place& place,
                                             const std::vector<std::uint32_t>& which);
    std::optional<next_step> wait_for_leader(apply::applier& applier, const model::place& place);
    std::optional<next_step> look_at_others_letters(apply::applier& applier, const consume::received& event);
    // For those that wait at an event. Says what for, after a while.
    class waiting_at;

    // Batches side by side, while behind (cdc/follow/side_by_side.cpp).
    bool lanes_ready(apply::session& session, const apply::applier& applier, const batch& next);
    store::progress place_before_next(const apply::applier& applier) const;
    std::optional<next_step> hand_on(apply::session& session, apply::applier& applier, apply::scope_filter& scopes,
                                     batch& gathered, std::int64_t next_offset);
    std::optional<next_step> settle(apply::applier& applier, apply::scope_filter& scopes);
    bool told(apply::applier& applier, apply::lane_outcome& of);
    std::optional<next_step> look_whether_moved(apply::applier& applier, apply::scope_filter& scopes,
                                                const batch& gathered);
    // Asks now and then: the follower, and with it the lock, may be gone.
    bool still_there(apply::session& session);

    // Before what is of another timeline than the progress is applied.
    std::optional<next_step> cross_timelines(apply::applier& applier, const std::vector<consume::received>& events);

    // One step of the backfills beside the stream, between two batches. `worked`: another may follow at once.
    std::optional<next_step> copy_tables(apply::applier& applier, backfill::backfiller& copier,
                                         std::chrono::milliseconds lag, bool& worked);

    void enter(follower_state now, std::string reason = {}, std::string way_out = {});
    next_step stop_stream(std::string reason, std::string way_out);
    std::string way_out_of(consume::stop_cause cause) const;
    void lost(std::string_view peer, std::string_view why);
    void publish_place(const store::progress& at);

    const int partition_;
    std::function<settings::snapshot()> in_force_;
    settings::snapshot at_start_;
    status_board& board_;
    metrics& measured_;
    share held_bytes_;
    share held_bytes_limit_;
    share read_ahead_;
    share read_ahead_limit_;
    std::function<void()> on_records_;
    std::string stream_;
    bool by_key_;
    std::string authority_of_;  // see apply::careful_settings
    model::place others_at_;    // where the other partitions are known to be
    std::string letters_seen_;  // of all partitions: how many, and which
    std::string named_;         // the stream, and the partition where there are several
    std::string follower_;      // "modern database"
    std::string anew_;          // what an operator does about a stream that can't go on
    retry::backoff backoff_;
    interruptible_wait wait_;
    std::atomic<std::int64_t> stop_asked_ms_{0};  // steady clock; 0: not yet
    events::relation_decoder relations_;
    std::string said_;  // the last trouble logged, so that it is said once
    std::string origin_since_;
    store::progress stopped_at_;  // or where it is
    std::unique_ptr<apply::lanes> lanes_;
    std::chrono::steady_clock::time_point lanes_after_{};
    unsigned alone_ = 0;  // batches to be applied alone before that
    std::chrono::steady_clock::time_point checked_{};
    std::chrono::steady_clock::time_point looked_{};  // at the progress, as all was repeats
    std::jthread thread_;
};

}  // namespace crossfade::cdc::follow
