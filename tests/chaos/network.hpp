#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "tests/support/kafka.hpp"
#include "tests/support/toxiproxy.hpp"

namespace crossfade::chaos {

// Each way that leads from one of our programs to a server. The Kafka broker has a listener for each of the programs,
// and tells its clients the link's port, so that none finds a way round it.
enum class link {
    clients,      // sessions of the application: crossfade-proxy to legacy
    replication,  // capture, heartbeats, and crossfade-cdc's look at legacy
    publish,      // capture to Kafka
    consume,      // crossfade-cdc to Kafka
    apply,        // crossfade-cdc to modern
    mirror,       // crossfade-proxy to modern
};
inline constexpr std::array all_links{link::clients, link::replication, link::publish,
                                      link::consume, link::apply,       link::mirror};
std::string_view to_string(link which);

struct network_fault {
    std::string_view name;
    std::vector<support::toxic> toxics = {};  // none: the link is cut
    bool lets_nothing_through = false;
    bool ends_connections = false;
};
// What toxiproxy has, each in both directions unless it says so.
const std::vector<network_fault>& all_network_faults();

class network {
  public:
    network(std::uint16_t legacy, std::uint16_t modern);

    std::uint16_t port(link which) const { return ports_[static_cast<std::size_t>(which)]; }
    const std::vector<support::kafka_listener>& listeners() const { return listeners_; }

    void strike(link where, const network_fault& with);
    void heal();

  private:
    support::toxiproxy proxy_;
    std::vector<std::pair<link, bool>> ill_;  // and whether its connections can go on
    std::array<std::uint16_t, all_links.size()> ports_;
    std::vector<support::kafka_listener> listeners_;
};

}  // namespace crossfade::chaos
