#pragma once

#include <prometheus/counter.h>
#include <prometheus/gauge.h>
#include <prometheus/registry.h>

#include <array>
#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

#include "lib/pgclient/connection.hpp"
#include "lib/settings/reload.hpp"
#include "proxy/mirror/follower_link.hpp"
#include "proxy/mirror/table_facts.hpp"

namespace crossfade::proxy::mirror {

// Why a transaction that wrote under `mirror` was left to the stream: label `reason` of
// crossfade_mirror_streamed_total.
enum class leave_reason : std::uint8_t {
    statement,  // what it did can't be told from rows: COPY, functions, CTEs that write, several statements in one text
    table,      // a table with triggers and the like, or one that isn't known yet
    ties,       // new values for columns by which a row may be in another one's way (docs/adr/0033)
    transaction,  // savepoints that can't be followed, two phases, more than one transaction at once
    settings,     // the session's text settings aren't those by which values are the same everywhere
    too_large,
    no_follower,  // no connection was to be had
    refused,      // the follower refused the rows, or had others; or was too slow
};
inline constexpr std::array leave_reasons{
    leave_reason::statement, leave_reason::table,     leave_reason::ties,        leave_reason::transaction,
    leave_reason::settings,  leave_reason::too_large, leave_reason::no_follower, leave_reason::refused,
};
// Those for which a transaction fails where on_mirror_failure is `fail`: label `reason` of
// crossfade_mirror_failed_total.
inline constexpr std::array failing_reasons{leave_reason::no_follower, leave_reason::refused};
std::string_view to_string(leave_reason why);

// What a session's escort asks, and tells.
class ledger {
  public:
    virtual ~ledger() = default;
    // Null while nothing is known, or nothing is to be mirrored this way.
    virtual std::shared_ptr<const catalog> tables() const = 0;
    // Null while that isn't known.
    virtual std::shared_ptr<const write_targets> targets() const = 0;
    // DDL of tables of these names has gone by; none: of whatever it may be. Nothing is known of them until the
    // catalogs have been read again.
    virtual void look_again(const std::vector<model::table_name>& at) = 0;
    virtual void count_mirrored() = 0;
    virtual void count_streamed(leave_reason why) = 0;
    // A transaction was made to fail: on_mirror_failure.
    virtual void count_failed(leave_reason why) = 0;
};

// What sessions need to write rows to the follower themselves, and share: which tables are fit for it, and connections.
// Both are looked after by a thread that waits for databases, so that nobody else does.
class keeper : public ledger {
  public:
    // Names of tables that are doubted at a time; with more of them, everything is.
    static constexpr std::size_t most_doubts = 1000;

    keeper(std::function<settings::snapshot()> in_force, prometheus::Registry& metrics);
    ~keeper() override { stop(); }
    keeper(const keeper&) = delete;
    keeper& operator=(const keeper&) = delete;

    // Any thread.
    std::shared_ptr<const catalog> tables() const override { return std::atomic_load(&tables_); }
    std::shared_ptr<const write_targets> targets() const override { return std::atomic_load(&targets_); }
    void look_again(const std::vector<model::table_name>& at) override;
    void count_mirrored() override { mirrored_.Increment(); }
    void count_streamed(leave_reason why) override { streamed_[static_cast<std::size_t>(why)]->Increment(); }
    void count_failed(leave_reason why) override { failed_[static_cast<std::size_t>(why)]->Increment(); }
    // Whether nothing is mirrored, as either database, or crossfade-cdc, is away.
    bool away() const { return away_ || silent_; }
    // Modern hasn't answered within proxy.mirror_timeout. There are no connections until it answers who reads the
    // catalogs, who asks at once: others need not find out by waiting, too.
    void note_silence();

    // Null: there is none by now. Nor is there one for a while when one table's rows after the other's were refused:
    // where the stream is behind, rows aren't as they have to be, and who tries all the same is in its way.
    std::unique_ptr<follower_link> take();
    // One that nobody will miss who has to have one: it may be kept for as long as a client takes its time.
    std::unique_ptr<follower_link> take_spare();
    void give_back(std::unique_ptr<follower_link> link);
    // One on which a transaction has not come to an end, and is not to.
    void take_back(std::unique_ptr<follower_link> link);
    // Rows that were sent before the transaction's end were undone, or are sent once more.
    void count_taken_back() { taken_back_.Increment(); }
    // A transaction that has to have a connection waits for one.
    void count_waited() { waited_.Increment(); }

    void stop();

  private:
    using clock = std::chrono::steady_clock;

    std::unique_ptr<follower_link> take(std::size_t leaving);
    void run(const std::stop_token& stopping);
    bool wanted() const;
    bool wants_targets() const;
    void read_targets();
    void miss_targets(const pgclient::failure& why);
    void read_catalogs();
    pgclient::result<std::vector<table_facts>> read_tables();
    void drop_ended();
    void open_links(const std::stop_token& stopping);
    bool note_refused(const follower_link& by);  // true: its table rests now, which is to be said
    bool is_news(const std::string& of);
    void note_taken(const follower_link& by);
    catalog::rests_until resting() const;
    void publish(std::shared_ptr<const catalog> made);
    void publish_known();  // but for what is doubted; with the lock
    void say(std::string what);
    settings::snapshot config() const { return in_force_(); }

    const std::function<settings::snapshot()> in_force_;
    prometheus::Counter& mirrored_;
    prometheus::Counter& taken_back_;
    prometheus::Counter& waited_;
    std::array<prometheus::Counter*, leave_reasons.size()> streamed_;
    std::array<prometheus::Counter*, leave_reasons.size()> failed_;
    prometheus::Gauge& open_;
    prometheus::Gauge& most_;
    prometheus::Gauge& tables_known_;
    prometheus::Gauge& tables_resting_;

    std::atomic<bool> away_ = false;
    std::atomic<bool> silent_ = false;  // set with the lock
    // By std::atomic_load and std::atomic_store.
    std::shared_ptr<const catalog> tables_;
    std::shared_ptr<const write_targets> targets_;

    mutable std::mutex mutex_;
    std::condition_variable_any changed_;
    std::vector<std::unique_ptr<follower_link>> idle_;
    std::size_t made_ = 0;            // open ones, those in use among them
    bool more_wanted_ = true;         // somebody found none
    unsigned refused_in_a_row_ = 0;   // each of another table than the one before, or of none
    std::uint32_t refused_last_ = 0;  // its oid
    clock::time_point rests_until_{};
    std::chrono::milliseconds rest_{0};  // the last one
    bool look_again_ = false;
    bool silent_newly_ = false;  // since the reading that is under way began
    // What look_again() was told.
    struct doubts {
        bool all = false;
        std::vector<model::table_name> of;

        void add(const std::vector<model::table_name>& at);
        bool about(const table_facts& table) const;
        bool about(const model::table_name& table) const;
        std::shared_ptr<const write_targets> but_for(std::shared_ptr<const write_targets> known) const;
        bool none() const { return !all && of.empty(); }
    };
    doubts doubted_;        // since the catalogs were read
    doubts doubted_newly_;  // of them, since the reading that is under way began
    std::map<std::uint32_t, std::shared_ptr<const table_facts>> known_;
    // Tables whose rows the follower has refused since it took some last.
    struct trouble {
        unsigned in_a_row = 0;
        std::chrono::milliseconds rest{0};  // the last one
        clock::time_point until{};
    };
    std::map<std::uint32_t, trouble> troubled_;

    std::map<std::string, clock::time_point> said_of_;  // by SQLSTATE, and by table

    // The thread's.
    std::optional<pgclient::connection> legacy_;
    std::optional<pgclient::connection> modern_;
    bool needs_origin_ = false;
    bool replica_role_ = false;
    std::uint64_t serial_ = 0;
    clock::time_point opens_at_{};  // connections, after one that could not be made; with the lock
    std::string no_more_;
    std::string no_targets_;
    std::string said_;
    std::jthread thread_;
};

}  // namespace crossfade::proxy::mirror
