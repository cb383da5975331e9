#pragma once

#include <librdkafka/rdkafka.h>
#include <librdkafka/rdkafka_mock.h>

#include <chrono>
#include <cstdint>
#include <filesystem>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "lib/settings/settings.hpp"
#include "tests/support/process.hpp"
#include "tests/support/temp_dir.hpp"

namespace crossfade::support {

// librdkafka's own cluster in memory, one broker, on sockets of the loopback. What it can't do (2.0.2): CreateTopics
// and the rest of the admin API (but a producer's question for metadata creates a topic of 4 partitions), checking an
// idempotent producer's sequence numbers, keeping more than 5 MB or 100,000 messages of a partition (older ones are
// dropped), compaction. A Fetch that finds nothing waits its whole fetch.wait.max.ms.
class mock_kafka {
  public:
    mock_kafka();

    std::string brokers() const;
    settings::kafka config() const { return {brokers(), {}}; }
    void create_topic(const std::string& name, int partitions);

    // The next requests of this kind (Kafka's ApiKey: 0 Produce, 1 Fetch, 2 ListOffsets, 3 Metadata) fail so, in order.
    // RD_KAFKA_RESP_ERR__TRANSPORT drops the connection.
    void fail_requests(std::int16_t api_key, const std::vector<rd_kafka_resp_err_t>& errors);
    void set_down(bool down);  // drops connections and takes none
    void set_delay(std::chrono::milliseconds round_trip);

  private:
    struct destroy {
        void operator()(rd_kafka_t* of) const { rd_kafka_destroy(of); }
        void operator()(rd_kafka_mock_cluster_t* of) const { rd_kafka_mock_cluster_destroy(of); }
    };
    std::unique_ptr<rd_kafka_t, destroy> owner_;
    std::unique_ptr<rd_kafka_mock_cluster_t, destroy> cluster_;
};

// How a broker is to be spoken to: TLS with this certificate (PEM), and one user who logs in by SCRAM-SHA-256.
struct kafka_security {
    std::string cert_file;
    std::string key_file;
    std::string ca_file;  // for clients
    std::string user;
    std::string password;
};

// A further way into a broker: it listens on one port, and tells its clients to come to another.
struct kafka_listener {
    std::string name;  // capitals
    std::uint16_t port;
    std::uint16_t advertised;
};

// A real broker: one node, KRaft, on ports of its own that stay the same over restarts.
class kafka_broker {
  public:
    // java in PATH, and the jars: $CROSSFADE_KAFKA_LIBS, else build/kafka/libs.
    static bool available();

    // Formats its storage; not started yet.
    // `security`: of all that the broker says, in place of `more`.
    explicit kafka_broker(std::vector<std::string> extra_properties = {}, const std::vector<kafka_listener>& more = {},
                          std::optional<kafka_security> security = {});

    void start();  // returns when it answers
    void stop();
    void kill9();
    void restart();
    bool running() { return server_ && server_->running(); }

    std::string brokers() const { return "127.0.0.1:" + std::to_string(port_); }
    settings::kafka config() const { return {brokers(), client_properties_}; }
    void create_topic(const std::string& name, int partitions);  // throws
    std::string log() const { return read_file(dir_.path() / "log"); }

  private:
    process_options java(const std::string& main_class, const std::vector<std::string>& arguments) const;
    void format(const std::vector<std::string>& more) const;  // its storage

    temp_dir dir_;
    std::uint16_t port_;
    std::uint16_t controller_port_;
    std::map<std::string, std::string> client_properties_;
    std::optional<child_process> server_;
};

// Gives a topic these settings, and those that aren't named their defaults. Throws if the broker refuses.
void alter_topic(const settings::kafka& config, const std::string& topic, const std::map<std::string, std::string>& to);
// Returns when the broker knows nothing of it any more. Throws if it refuses.
void delete_topic(const settings::kafka& config, const std::string& topic);

}  // namespace crossfade::support
