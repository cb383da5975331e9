#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "lib/events/codec.hpp"
#include "lib/kafka/producer.hpp"
#include "tests/support/kafka.hpp"
#include "tests/support/postgres.hpp"
#include "tests/support/program.hpp"

namespace crossfade::cdc {

// A table as the script's source describes it; "id!" marks a column of the replica identity.
std::shared_ptr<const model::relation> table(const std::string& name, const std::vector<std::string>& columns,
                                             model::replica_identity identity = model::replica_identity::primary_key);

// Values of a row: "~" is NULL, "?" an unchanged TOAST value.
using values = std::vector<std::string>;
model::row row(const values& of);

using relation_ptr = std::shared_ptr<const model::relation>;
model::change_event insert(const relation_ptr& rel, const values& after);
model::change_event update(const relation_ptr& rel, const values& after);
model::change_event update(const relation_ptr& rel, const values& before, const values& after);  // before: key or whole
model::change_event remove(const relation_ptr& rel, const values& before);
model::change_event truncate(const std::vector<relation_ptr>& relations);

// Writes events to a topic as a publisher does: positions, ordinals, previous and last are its affair.
class publisher {
  public:
    publisher(const settings::kafka& config, std::string topic, std::uint64_t id, std::uint64_t start);

    // One transaction. Returns its commit_lsn.
    std::uint64_t commit(std::vector<model::change_event> events);
    // The first `most` events of one, as of a publisher that dies. The next commit() is another transaction.
    void cut_off(std::vector<model::change_event> events, std::size_t most);
    void heartbeat();  // of now
    void heartbeat(model::source_time emitted_at);
    void flush();

    std::uint64_t end() const { return end_; }  // of the last transaction
    // Where the next one is published: moving back repeats, moving on leaves a gap.
    void move(std::uint64_t previous, std::uint64_t next) {
        end_ = previous;
        next_ = next;
    }
    std::uint64_t system = 7;
    std::uint32_t timeline = 1;

  private:
    void send(model::change_event& event);

    kafka::producer producer_;
    std::string topic_;
    std::uint64_t id_;
    std::uint64_t end_;
    std::uint64_t next_;
    std::uint64_t sequence_ = 0;
    events::relation_encoder relations_;
};

// A follower with the schema installed, a topic, and crossfade-cdc between them.
class stream_fixture {
  public:
    static constexpr std::uint64_t start_lsn = 0x1000000;

    explicit stream_fixture(const std::string& ddl, const std::string& more_yaml = {},
                            std::vector<std::pair<std::string, std::string>> environment = {},
                            std::string real_brokers = {});

    publisher publish_as(std::uint64_t id) { return {{brokers_, {}}, "crossfade.app.changes", id, start_lsn}; }
    // Waits until the follower has applied up to this end_lsn.
    bool applied(std::uint64_t end_lsn);
    bool applied(const publisher& from) { return applied(from.end()); }
    bool in_state(const std::string& state);
    std::string status() const;
    std::string metric(const std::string& line_start) const;
    std::string one(const std::string& sql) const { return modern().value(sql, dbname_); }
    std::string all(const std::string& sql) const;  // cells by |, rows by ;
    void exec(const std::string& sql) const { modern().exec(sql, dbname_); }

    static support::postgres_cluster& modern();
    std::string modern_dsn() const { return modern().dsn(dbname_); }
    std::string yaml(
        const std::string& flags = "{ hybrid_mode_enabled: true, dual_write_strategy: legacy-primary }") const;

    std::unique_ptr<support::mock_kafka> kafka;
    std::unique_ptr<support::crossfade_program> cdc;

  private:
    std::string brokers_;
    std::string dbname_;
    std::uint16_t admin_port_;
    std::string more_yaml_;
};

}  // namespace crossfade::cdc
