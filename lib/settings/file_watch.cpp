#include "lib/settings/file_watch.hpp"

#include <sys/stat.h>

#include <condition_variable>
#include <functional>
#include <mutex>
#include <string_view>
#include <utility>

#include "lib/settings/secrets.hpp"

namespace crossfade::settings {
namespace {

std::int64_t nanoseconds(const timespec& of) {
    return std::int64_t{of.tv_sec} * 1'000'000'000 + of.tv_nsec;
}

// Zero for a file that can't be read: a change to that is not worth a reload, which could only refuse it.
std::uint64_t digest_of(const std::string& path) {
    constexpr std::size_t most = 4 * 1024 * 1024;
    const auto content = read_file(path, most);
    return content ? std::hash<std::string>{}(*content) | 1 : 0;
}

}  // namespace

std::optional<fingerprint> fingerprint_of(const std::string& path) {
    struct stat seen {};
    if (::stat(path.c_str(), &seen) != 0) return std::nullopt;
    return fingerprint{seen.st_dev, seen.st_ino, static_cast<std::uint64_t>(seen.st_size), nanoseconds(seen.st_mtim),
                       nanoseconds(seen.st_ctim)};
}

change_detector::change_detector(std::optional<fingerprint> at_first, std::uint64_t digest)
    : read_(at_first), latest_(at_first), digest_(digest) {}

bool change_detector::look(const std::optional<fingerprint>& now) {
    const bool settled = now == latest_;
    latest_ = now;
    return settled && now && now != read_;
}

bool change_detector::read(std::uint64_t digest) {
    read_ = latest_;
    if (digest == digest_ || digest == 0) return false;
    digest_ = digest;
    return true;
}

file_watch::file_watch(std::string path, std::chrono::milliseconds interval)
    : path_(std::move(path)), interval_(interval), detector_(fingerprint_of(path_), digest_of(path_)) {}

file_watch::~file_watch() {
    stop();
}

void file_watch::start(std::function<void()> on_change) {
    thread_ = std::jthread(
        [this, on_change = std::move(on_change)](const std::stop_token& stopping) { run(stopping, on_change); });
}

void file_watch::stop() {
    thread_.request_stop();
    if (thread_.joinable()) thread_.join();
}

void file_watch::run(const std::stop_token& stopping, const std::function<void()>& on_change) {
    std::mutex alone;
    std::condition_variable_any stopped;
    std::unique_lock lock(alone);
    while (!stopping.stop_requested()) {
        stopped.wait_for(lock, stopping, interval_, [] { return false; });
        if (stopping.stop_requested()) return;
        if (detector_.look(fingerprint_of(path_)) && detector_.read(digest_of(path_))) on_change();
    }
}

}  // namespace crossfade::settings
