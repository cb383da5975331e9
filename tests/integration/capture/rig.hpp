#pragma once

#include <gtest/gtest.h>

#include <chrono>
#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "lib/model/change.hpp"
#include "lib/settings/reload.hpp"
#include "proxy/capture/stream_publisher.hpp"
#include "tests/support/kafka.hpp"
#include "tests/support/postgres.hpp"
#include "tests/support/process.hpp"

namespace crossfade::proxy::capture {

// A cluster that tests of the suite share; restarted when one left it down.
support::postgres_cluster& legacy();

// What `crossfade init` makes for a stream, on a cluster that others use too: tables, publication, slot. Gone at the
// end.
class stream_fixture {
  public:
    stream_fixture(std::string name, settings::kafka kafka, support::postgres_cluster& source = legacy());
    ~stream_fixture();
    stream_fixture(const stream_fixture&) = delete;
    stream_fixture& operator=(const stream_fixture&) = delete;

    settings::snapshot settings() const { return settings_; }
    const settings::stream& stream() const { return settings_->config.stream; }

    // Creates the table in the stream's schema (named like the stream) and publishes it.
    void table(const std::string& name, const std::string& columns, const std::string& more_sql = {});
    void make_slot();
    // Before a publisher starts.
    void silence_timeout(std::chrono::milliseconds time) { settings_->config.stream.silence_timeout = time; }
    void heartbeat_interval(std::chrono::milliseconds time) { settings_->config.stream.heartbeat_interval = time; }

    support::postgres_cluster::table sql(const std::string& text) { return source_.exec(text); }
    model::lsn confirmed() const;
    bool slot_active() const;

    // A publisher in a process of its own.
    support::child_process spawn_publisher() const;

  private:
    support::postgres_cluster& source_;
    std::shared_ptr<settings::in_force> settings_;
};

// Every message of the stream's topic from its first offset on, decoded.
std::vector<model::change_event> read_topic(const settings::configuration& config);

// What `crossfade backfill --resync` leaves at the topic's end.
void place_resync_mark(const settings::configuration& config, model::lsn at);

// "insert a (1,x)", "update a (1,x)->(2,~)": '~' is an unchanged TOAST value, '-' is null.
std::string describe(const model::change_event& event);

// A reader by the rules at the head of events.proto.
class exactly_once_reader {
  public:
    explicit exactly_once_reader(model::lsn applied) : applied_(applied) {}

    void take(const std::vector<model::change_event>& events);

    const std::vector<std::string>& rows() const { return rows_; }      // of applied transactions, heartbeats left out
    const std::vector<std::string>& faults() const { return faults_; }  // gaps and contradictions
    std::size_t repeats() const { return repeats_; }                    // transactions dropped as seen already
    std::size_t transactions() const { return transactions_; }

  private:
    model::lsn applied_;
    std::map<std::uint64_t, std::vector<model::change_event>> open_;  // by publisher
    std::vector<std::string> rows_;
    std::vector<std::string> faults_;
    std::size_t repeats_ = 0;
    std::size_t transactions_ = 0;
};

// A stream of table a (id int), its slot made, and a broker in memory; nobody publishes yet.
class one_table : public testing::Test {
  protected:
    explicit one_table(const std::string& name);

    void insert(int first, int last);  // one transaction each
    void insert(int id) { insert(id, id); }
    // The topic from its beginning.
    exactly_once_reader read() const;

    support::mock_kafka kafka_;
    stream_fixture stream_;
    model::lsn start_;
};

}  // namespace crossfade::proxy::capture
