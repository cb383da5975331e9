#pragma once

#include <string>

#include "tests/scripted/proxy/peer.hpp"
#include "tests/support/ports.hpp"
#include "tests/support/program.hpp"

namespace crossfade::proxy::test {

// crossfade-proxy as a process of its own, without capture, before a database that says what the test wants.
struct proxy_before_fake {
    // `more`: further keys of the section proxy.
    explicit proxy_before_fake(const std::string& more) : program{"crossfade-proxy", yaml(more), admin} {
        program.start();
    }

    peer connect() const { return peer::connect(port); }

    fake_database database;
    std::uint16_t port = support::free_port();
    std::uint16_t admin = support::free_port();
    support::crossfade_program program;

  private:
    std::string yaml(const std::string& more) const {
        const std::string dsn = "host=127.0.0.1 sslmode=disable port=" + std::to_string(database.port()) + " dbname=";
        return "legacy: { dsn: \"" + dsn + "app\" }\nmodern: { dsn: \"" + dsn +
               "modern\" }\nkafka: { brokers: \"127.0.0.1:9\" }\nstream: { name: app, tables: [\"public.*\"] }\n" +
               "proxy: { listen: \"127.0.0.1:" + std::to_string(port) +
               "\", admin: \"127.0.0.1:" + std::to_string(admin) + "\", capture: false, " + more + " }\n";
    }
};

}  // namespace crossfade::proxy::test
