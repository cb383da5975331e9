#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "tests/support/process.hpp"
#include "tests/support/temp_dir.hpp"

namespace crossfade::support {

// Debian's PostgreSQL 15, unless CROSSFADE_TEST_PGBIN names another one's bin directory, which the user postgres can
// read.
std::filesystem::path postgres_bin_dir();
// PostgreSQL 18, as script/bootstrap --postgres-18 brings it.
std::filesystem::path postgres_18_bin_dir();

struct postgres_options {
    std::vector<std::string> extra_settings = {};  // "track_commit_timestamp=on"
    std::filesystem::path bin_dir = postgres_bin_dir();
    bool durable = false;  // fsync and full_page_writes; a killed process loses nothing without them
};

// A PostgreSQL cluster in a directory of its own: superuser `crossfade` with trust authentication, database `app`,
// wal_level=logical, a port of its own on 127.0.0.1 that stays the same over restarts. Any number may run side by side.
class postgres_cluster {
  public:
    explicit postgres_cluster(postgres_options options = {});  // initdb; not started yet
    ~postgres_cluster();

    void start();    // returns when it takes connections; database `app` is there
    void stop();     // fast shutdown
    void kill9();    // postmaster and backends at once, as the kernel's out-of-memory killer or a power cut would
    void restart();  // stop, or what kill9 left, and start
    bool running() { return server_ && server_->running(); }

    std::uint16_t port() const { return port_; }
    std::filesystem::path socket_dir() const { return dir_.path(); }
    std::string dsn(const std::string& dbname = "app", const std::string& user = "crossfade") const;

    using table = std::vector<std::vector<std::string>>;
    // Rows of the last statement, null as "". Throws what the server says.
    table exec(const std::string& sql, const std::string& dbname = "app") const;
    std::string value(const std::string& sql, const std::string& dbname = "app") const;  // of one row, one column

    std::string log() const { return read_file(dir_.path() / "log"); }
    const std::filesystem::path& bin_dir() const { return options_.bin_dir; }
    std::filesystem::path data_dir() const { return dir_.path() / "data"; }

    static bool available(const std::filesystem::path& bin_dir = postgres_bin_dir());

  private:
    bool accepts(const std::string& dbname) const;

    postgres_options options_;
    temp_dir dir_;
    std::uint16_t port_;
    std::optional<child_process> server_;
};

}  // namespace crossfade::support
