#pragma once

#include <array>
#include <chrono>
#include <optional>
#include <string>
#include <vector>

#include "tests/support/kafka.hpp"
#include "tests/support/postgres.hpp"
#include "tests/support/program.hpp"

namespace crossfade::chaos {

enum class victim { proxy, cdc, broker, legacy, modern };
inline constexpr std::array all_victims{victim::proxy, victim::cdc, victim::broker, victim::legacy, victim::modern};
std::string_view to_string(victim which);

// The application's own path: whoever dies there takes sessions along. The others may not be felt at all.
inline bool serves_clients(victim which) {
    return which == victim::proxy || which == victim::legacy;
}

// Everything for real: two PostgreSQL clusters with pgbench's tables, a Kafka broker, crossfade-proxy and
// crossfade-cdc; the stream is set up by `crossfade init` and the tables have been copied by `crossfade backfill`.
class landscape {
  public:
    landscape(unsigned scale, const std::string& extra_schema);

    void kill(victim which);
    void revive(victim which);

    std::string client_dsn() const;  // through the proxy
    std::uint16_t client_port() const { return listen_; }
    // The configuration file's text with these flags in it.
    std::string configuration(const std::string& flags = {}) const;

    // What keeps the sides from being equal, row for row; empty: nothing.
    std::string difference() const;
    // Waits for difference() to become empty; the last one otherwise.
    std::string settle(std::chrono::milliseconds timeout) const;
    // Drift, dead letters and stopped streams, as text; empty: none.
    std::string complaints() const;

    std::string logs() const;

    support::postgres_cluster legacy;
    support::postgres_cluster modern;
    support::kafka_broker broker;

  private:
    std::uint16_t listen_;
    std::uint16_t proxy_admin_;
    std::uint16_t cdc_admin_;
    std::vector<std::string> tables_;

  public:
    support::crossfade_program proxy;
    support::crossfade_program cdc;
};

}  // namespace crossfade::chaos
