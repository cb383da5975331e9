#include "tests/support/data_dir.hpp"

#include <pwd.h>
#include <unistd.h>

#include <boost/crc.hpp>
#include <cstdint>
#include <cstring>
#include <fstream>
#include <random>
#include <stdexcept>
#include <string>

#include "tests/support/made_once.hpp"
#include "tests/support/process.hpp"
#include "tests/support/temp_dir.hpp"

namespace crossfade::support {

namespace {

using crc32c = boost::crc_optimal<32, 0x1EDC6F41, 0xFFFFFFFF, 0xFFFFFFFF, true, true>;

// xlp_sysid, behind the short header of the first page of a segment (access/xlog_internal.h).
constexpr std::streamoff identifier_in_wal = 24;

void finish(const process_options& how) {
    child_process done{how};
    if (done.wait_exit(std::chrono::seconds{60}) != 0)
        throw std::runtime_error(how.argv.front() + " failed\n" + read_file(how.log));
}

void overwrite(const std::filesystem::path& file, std::streamoff at, const void* bytes, std::size_t size) {
    std::fstream open{file, std::ios::in | std::ios::out | std::ios::binary};
    open.seekp(at);
    open.write(static_cast<const char*>(bytes), static_cast<std::streamsize>(size));
    if (!open.flush()) throw std::runtime_error("can't write " + file.string());
}

// Of the control file's first member. Where its CRC is depends on the version: behind all that it is of.
void identify(const std::filesystem::path& data_dir) {
    std::random_device random;
    const std::uint64_t identifier = (std::uint64_t{random()} << 31U) | (random() & 0x7FFFFFFFU);
    const auto control = data_dir / "global/pg_control";
    auto content = read_file(control);
    crc32c sum;
    std::size_t end = 0;
    for (std::uint32_t found = 0; end + sizeof found <= content.size(); end += sizeof found) {
        std::memcpy(&found, content.data() + end, sizeof found);
        if (end >= sizeof identifier && found == sum.checksum()) break;
        sum.process_bytes(content.data() + end, sizeof found);
    }
    if (end + sizeof(std::uint32_t) > content.size()) throw std::runtime_error("no CRC in " + control.string());
    std::memcpy(content.data(), &identifier, sizeof identifier);
    sum.reset();
    sum.process_bytes(content.data(), end);
    const std::uint32_t crc = sum.checksum();
    overwrite(control, 0, &identifier, sizeof identifier);
    overwrite(control, static_cast<std::streamoff>(end), &crc, sizeof crc);
    for (const auto& segment : std::filesystem::directory_iterator{data_dir / "pg_wal"})
        if (segment.is_regular_file()) overwrite(segment.path(), identifier_in_wal, &identifier, sizeof identifier);
}

// In a folder that whoever runs the server may enter.
void make_original(const std::filesystem::path& bin_dir, const std::filesystem::path& at) {
    const temp_dir made;
    give_to_server(made.path());
    const auto data = made.path() / "data";
    const auto log = made.path() / "log";
    finish({.argv = {(bin_dir / "initdb").string(), "-D", data.string(), "-U", "crossfade", "-A", "trust", "-E", "UTF8",
                     "--locale=C", "-N", "--no-instructions"},
            .log = log,
            .user = run_as::postgres});
    finish({.argv = {"/bin/sh", "-c", R"(echo 'CREATE DATABASE app' | "$0" --single -F -D "$1" postgres)",
                     (bin_dir / "postgres").string(), data.string()},
            .log = log,
            .user = run_as::postgres});
    finish({.argv = {"cp", "-a", data.string(), at.string()}, .log = log});
}

}  // namespace

void give_to_server(const std::filesystem::path& folder) {
    if (::geteuid() != 0) return;
    const passwd* owner = ::getpwnam("postgres");
    if (owner == nullptr || ::chown(folder.c_str(), owner->pw_uid, owner->pw_gid) != 0)
        throw std::runtime_error("running as root, and there is no user postgres to run a server as");
}

void make_data_dir(const std::filesystem::path& bin_dir, const std::filesystem::path& at) {
    const auto server = bin_dir / "postgres";
    const auto known_by = server.string() + ' ' + std::to_string(std::filesystem::file_size(server)) + ' ' +
                          std::to_string(std::filesystem::last_write_time(server).time_since_epoch().count());
    const auto original = made_once("postgres " + known_by, [&](const auto& path) { make_original(bin_dir, path); });
    finish({.argv = {"cp", "-a", "--reflink=auto", original.string(), at.string()}, .log = at.string() + ".log"});
    identify(at);
}

}  // namespace crossfade::support
