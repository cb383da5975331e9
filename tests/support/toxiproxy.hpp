#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "tests/support/process.hpp"
#include "tests/support/temp_dir.hpp"

namespace crossfade::support {

// Which way the bytes go that a toxic is for: upstream is from who connected.
enum class direction { upstream, downstream };

// One of toxiproxy's own: type "latency", attributes {"latency": 50, "jitter": 30}; its documentation has them all.
struct toxic {
    std::string type;
    direction of;
    std::string attributes = "{}";  // JSON
};

// Shopify's toxiproxy, a process of its own: TCP links on the loopback that can be made ill, each by itself. Throws
// what it refuses.
class toxiproxy {
  public:
    static bool available();  // script/bootstrap --toxiproxy has been run

    toxiproxy();  // returns when it answers

    // From 127.0.0.1:listen to 127.0.0.1:upstream, which need not be there yet.
    void add_link(const std::string& name, std::uint16_t listen, std::uint16_t upstream);
    void add(const std::string& link, const toxic& what);  // to the connections that there are, and to new ones
    void cut(const std::string& link);                     // breaks its connections and refuses others
    // Takes the toxics away; the connections go on. Not for one that ends connections or throws bytes away:
    // toxiproxy 2.8 mistakes what is left of such a connection for a living one at the next toxic, and crashes.
    void heal(const std::string& link);
    void renew(const std::string& link);  // a new one on the same ports, without toxics and connections

  private:
    struct made {
        std::uint16_t listen;
        std::uint16_t upstream;
        std::vector<std::string> toxics;
    };
    void ask(const std::string& method, const std::string& path, const std::string& body = {}) const;
    void create(const std::string& name) const;

    std::map<std::string, made> links_;
    temp_dir dir_;
    std::uint16_t port_;
    child_process server_;
};

}  // namespace crossfade::support
