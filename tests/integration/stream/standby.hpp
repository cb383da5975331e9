#pragma once

#include <chrono>
#include <filesystem>
#include <fstream>
#include <string>
#include <vector>

#include "lib/pgclient/connection.hpp"
#include "tests/support/postgres.hpp"
#include "tests/support/process.hpp"

namespace crossfade {

// The files of a cluster that runs, or doesn't, in place of those of another one that doesn't.
inline void copy_files(const std::filesystem::path& from, const std::filesystem::path& to) {
    std::filesystem::remove_all(to);
    // A file may vanish meanwhile.
    static_cast<void>(support::run({"cp", "-a", from.string(), to.string()}, std::chrono::minutes{1}));
    for (const char* of_the_other : {"postmaster.pid", "postmaster.opts"}) std::filesystem::remove(to / of_the_other);
}

inline void write_as_postgres(const std::filesystem::path& file, const std::string& content) {
    std::ofstream{file} << content;
    static_cast<void>(support::run({"chown", "--reference", file.parent_path().string(), file.string()}));
}

// A physical standby of a cluster that runs, made as pg_basebackup makes one. With what PostgreSQL 17 needs to take
// logical slots over, where `of` is one.
class standby {
  public:
    explicit standby(support::postgres_cluster& of) : server(options(of)) {
        of.exec("SELECT pg_create_physical_replication_slot('standby', true)");
        auto source = pgclient::connection::open(of.dsn(), {}).value();
        source.exec("SELECT pg_catalog.pg_backup_start('standby', true)").value();
        copy_files(of.data_dir(), server.data_dir());
        const auto stopped = source.exec("SELECT labelfile FROM pg_catalog.pg_backup_stop(false)").value();
        std::filesystem::remove_all(server.data_dir() / "pg_replslot");
        std::filesystem::create_directory(server.data_dir() / "pg_replslot");
        static_cast<void>(support::run(
            {"chown", "--reference", server.data_dir().string(), (server.data_dir() / "pg_replslot").string()}));
        write_as_postgres(server.data_dir() / "backup_label", std::string{stopped.text(0, 0)});
        write_as_postgres(server.data_dir() / "standby.signal", "");
        server.start();
    }

    // Whether it has the logical slot, as one that outlives a promotion.
    bool has(const std::string& slot) const {
        return !server
                    .exec("SELECT FROM pg_replication_slots WHERE slot_name = '" + slot +
                          "' AND to_jsonb(pg_replication_slots) ->> 'synced' = 'true' AND NOT temporary")
                    .empty();
    }
    void promote() const { server.exec("SELECT pg_promote(true, 60)"); }

  private:
    static support::postgres_options options(const support::postgres_cluster& of) {
        std::vector<std::string> settings{
            "primary_conninfo=host=127.0.0.1 port=" + std::to_string(of.port()) + " user=crossfade dbname=app",
            "primary_slot_name=standby", "hot_standby_feedback=on", "wal_receiver_status_interval=1s"};
        if (of.bin_dir() == support::postgres_18_bin_dir()) settings.emplace_back("sync_replication_slots=on");
        return {.extra_settings = std::move(settings), .bin_dir = of.bin_dir()};
    }

  public:
    support::postgres_cluster server;
};

}  // namespace crossfade
