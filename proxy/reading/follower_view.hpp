#pragma once

#include <array>
#include <atomic>
#include <chrono>
#include <cstdint>
#include <functional>
#include <limits>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>

#include "lib/settings/flags.hpp"

namespace crossfade::proxy::reading {

// Of tables that are live on the follower, by "schema.table": the share of its rows that are known to differ. One that
// isn't here is not to be read there.
using table_states = std::map<std::string, double, std::less<>>;
// Names without a schema that several relations of one database have: which one a text means search_path decides.
using shared_names = std::set<std::string, std::less<>>;
using relation_names = std::set<std::string, std::less<>>;

// What sessions that read by strategy know of the follower; whoever watches it writes it down. Thread-safe, and cheap
// enough to be asked for each statement.
class follower_view {
  public:
    using clock = std::chrono::steady_clock;

    // A copy that empties a table, or locks it, waits for longer than this (docs/adr/0029).
    static constexpr std::chrono::seconds longest_unseen{2};

    // Whether what is said of its tables isn't too old.
    bool seen(clock::time_point now) const {
        return now.time_since_epoch().count() - looked_.load(std::memory_order_acquire) <=
               clock::duration{longest_unseen}.count();
    }
    // Whether somebody has heard of it lately, too.
    bool there(clock::time_point now) const { return there_.load(std::memory_order_acquire) && seen(now); }
    // It has all that the authority had committed by then; nothing: that isn't known.
    std::optional<clock::time_point> fresh_to() const;
    // Never null. `edition` changes when it does, and when another of these does.
    std::shared_ptr<const table_states> tables() const { return std::atomic_load(&tables_); }
    // Null: that isn't known.
    std::shared_ptr<const shared_names> shared(settings::side on) const {
        return std::atomic_load(&shared_[static_cast<std::size_t>(on)]);
    }
    // The follower's views, by "schema.view". Never null.
    std::shared_ptr<const relation_names> views() const { return std::atomic_load(&views_); }
    // Tables and views that not the same roles may read on both sides, or not the same rows. Never null.
    std::shared_ptr<const relation_names> unlike() const { return std::atomic_load(&unlike_); }
    // Those whose rows don't look alike on both sides, or that have more rows than their own. Never null.
    std::shared_ptr<const relation_names> misshapen() const { return std::atomic_load(&misshapen_); }
    // Whether all that the authority has tables for, whatever they are called, is live on the follower.
    bool whole() const { return whole_.load(std::memory_order_acquire); }
    std::uint64_t edition() const { return edition_.load(std::memory_order_acquire); }

    void set_there(bool is) { there_.store(is, std::memory_order_release); }
    // When the last look at its tables that has come to an end began.
    void set_looked(clock::time_point began) {
        looked_.store(began.time_since_epoch().count(), std::memory_order_release);
    }
    void set_fresh_to(std::optional<clock::time_point> at);
    // Where one isn't live any more it isn't whole any more.
    void set_tables(table_states now);
    void set_views(relation_names now);
    void set_unlike(relation_names now);
    void set_misshapen(relation_names now);
    void set_whole(bool is);
    void set_shared(settings::side on, shared_names now);

    // A session would read there if it were fresher: the watch need not wait for its usual time.
    void want_newer();
    // What then is called, in the thread of a session; set before there are any.
    void on_wanted(std::function<void()> tell) { tell_ = std::move(tell); }
    // Whether somebody has wanted it since this was last asked.
    bool take_wanted() { return wanted_.exchange(false, std::memory_order_acq_rel); }
    bool wanted() const { return wanted_.load(std::memory_order_acquire); }

  private:
    void replace(std::shared_ptr<const relation_names>& old, relation_names by);

    static constexpr clock::rep unknown = std::numeric_limits<clock::rep>::min();

    std::atomic<bool> there_{false};
    std::atomic<clock::rep> looked_{0};
    std::atomic<bool> wanted_{false};
    std::atomic<bool> whole_{false};
    std::atomic<clock::rep> fresh_to_{unknown};
    std::atomic<std::uint64_t> edition_{0};
    std::shared_ptr<const table_states> tables_ = std::make_shared<const table_states>();
    std::shared_ptr<const relation_names> views_ = std::make_shared<const relation_names>();
    std::shared_ptr<const relation_names> unlike_ = std::make_shared<const relation_names>();
    std::shared_ptr<const relation_names> misshapen_ = std::make_shared<const relation_names>();
    std::array<std::shared_ptr<const shared_names>, 2> shared_;
    std::function<void()> tell_;
};

}  // namespace crossfade::proxy::reading
