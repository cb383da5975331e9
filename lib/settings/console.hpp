#pragma once

#include <chrono>
#include <string>
#include <vector>

namespace crossfade::settings {

// The proxy's admin console (docs/console.md).
struct console {
    std::string database = "crossfade";  // who asks for this database gets the console
    std::vector<std::string> admins;     // users who may do everything
    std::vector<std::string> viewers;    // users who may SHOW
    bool trust_local = false;            // no password over a Unix socket or from a loopback address
    unsigned max_sessions = 8;
    unsigned max_rows = 10000;                      // of one SHOW
    std::chrono::milliseconds pause_wait{10000};    // how long PAUSE waits for transactions to end
    std::chrono::milliseconds query_timeout{5000};  // for what SHOW asks a database

    // Without users there is no console, and its database is a database like any other.
    bool enabled() const { return !admins.empty() || !viewers.empty(); }

    friend bool operator==(const console&, const console&) = default;
};

}  // namespace crossfade::settings
