#pragma once

#include <array>
#include <chrono>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "tests/chaos/network.hpp"
#include "tests/support/kafka.hpp"
#include "tests/support/postgres.hpp"
#include "tests/support/program.hpp"

namespace crossfade::chaos {

enum class victim { proxy, cdc, broker, legacy, modern, second_cdc };
// Those that every landscape has.
inline constexpr std::array all_victims{victim::proxy, victim::cdc, victim::broker, victim::legacy, victim::modern};
std::string_view to_string(victim which);

// The application's own path: whoever dies there takes sessions along. The others may not be felt at all.
inline bool serves_clients(victim which) {
    return which == victim::proxy || which == victim::legacy;
}

struct landscape_options {
    unsigned scale = 0;             // of pgbench's tables; 0: there are none
    std::string schema = {};        // of further tables, on both sides
    std::string rows = {};          // what legacy has in them before the stream begins
    std::string cdc_settings = {};  // more of the file's section cdc: ", batch_bytes: 64KiB"
    std::string proxy_settings = {};
    std::string strategy = "legacy-primary";
    std::string scopes = {};  // the file's sections groups and tenants
    support::postgres_options legacy = {};
    support::postgres_options modern = {};
    // The programs' ways to the servers lead over links that can be made ill, and another crossfade-proxy publishes
    // than the one that serves the clients.
    bool over_links = false;
    unsigned partitions = 0;         // of a stream that is ordered by key, and two crossfade-cdc; 0: by transaction
    bool both_ways = false;          // flips are prepared
    unsigned more_proxies = 0;       // beside `proxy`, alike
    bool more_publishers = true;     // whether these take part in publishing
    std::string create_legacy = {};  // instead of the database `app` as it is: "CREATE DATABASE app ENCODING ..."
};

// Everything for real: two PostgreSQL clusters, a Kafka broker, crossfade-proxy and crossfade-cdc; the stream is set up
// by `crossfade init` and the tables have been copied by `crossfade backfill`.
class landscape {
  public:
    explicit landscape(landscape_options options);

    void kill(victim which);
    void revive(victim which);
    // SIGSTOP and SIGCONT: it stands still, its connections and locks with it. Not the broker.
    void signal(victim which, int number);
    support::crossfade_program& second() { return *second_cdc_; }
    // Who publishes: `proxy` itself, unless there are links.
    support::crossfade_program& publisher() { return publisher_ ? *publisher_ : proxy; }
    support::crossfade_program& program(std::string_view name) { return name == "crossfade-cdc" ? cdc : proxy; }

    // The operators' command on this landscape: {"backfill"}.
    support::finished crossfade(std::vector<std::string> arguments,
                                std::vector<std::pair<std::string, std::string>> environment = {}) const;

    std::string client_dsn() const;  // through the proxy
    // 0 is `proxy`, then those of more_proxies.
    std::string dsn_of_proxy(unsigned which) const;
    support::crossfade_program& proxy_at(unsigned which) { return which == 0 ? proxy : *more_proxies_[which - 1]; }
    std::uint16_t client_port() const { return listen_; }
    // The configuration file's text with these flags in it.
    std::string configuration(const std::string& flags = {}) const;
    network& links() { return *network_; }
    // Whether the program at this end of the link says that something is wrong.
    bool noticed(link which) const;

    // A table of schema public that came later has to be equal, too.
    void watch(const std::string& table) { tables_.push_back(table); }
    // What keeps the sides from being equal, row for row; empty: nothing.
    std::string difference() const;
    // Waits for difference() to become empty; the last one otherwise.
    std::string settle(std::chrono::milliseconds timeout) const;
    // Drift, dead letters and stopped streams, as text; empty: none.
    std::string complaints() const;

    std::string logs() const;

  private:
    std::string configuration_of(std::string_view program, const std::string& flags) const;
    void start_more_proxies();

    landscape_options options_;

  public:
    support::postgres_cluster legacy;
    support::postgres_cluster modern;

  private:
    std::optional<network> network_;

  public:
    support::kafka_broker broker;

  private:
    std::uint16_t listen_;
    std::uint16_t publisher_admin_;
    std::uint16_t proxy_admin_;
    std::uint16_t cdc_admin_;
    std::uint16_t second_admin_;
    std::vector<std::string> tables_;

  public:
    support::crossfade_program proxy;
    support::crossfade_program cdc;

  private:
    std::optional<support::crossfade_program> publisher_;   // another one than `proxy`
    std::optional<support::crossfade_program> second_cdc_;  // where there are partitions to share
    std::vector<std::unique_ptr<support::crossfade_program>> more_proxies_;
    std::vector<std::uint16_t> more_listen_;
};

}  // namespace crossfade::chaos
