#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <optional>
#include <stop_token>
#include <string>
#include <thread>

namespace crossfade::settings {

// What tells one state of a file from the next without reading it: the file that the path leads to (a swapped symbolic
// link or a rename over it is another inode), its size and its times.
struct fingerprint {
    std::uint64_t device = 0;
    std::uint64_t inode = 0;
    std::uint64_t size = 0;
    std::int64_t modified_ns = 0;
    std::int64_t changed_ns = 0;

    friend bool operator==(const fingerprint&, const fingerprint&) = default;
};
// Follows symbolic links; nullopt when there is no file (an editor may take it away for a moment).
std::optional<fingerprint> fingerprint_of(const std::string& path);

// Decides when a file is worth reading again. A state counts when two looks in a row found it, so that a file being
// written isn't read halfway; then the content's digest says whether it is another. Pure: the looks are the caller's.
class change_detector {
  public:
    change_detector(std::optional<fingerprint> at_first, std::uint64_t digest);

    // One look. True: this state has settled and may be a change; call read() with its digest.
    bool look(const std::optional<fingerprint>& now);
    // True when the content differs from what was seen last.
    bool read(std::uint64_t digest);

  private:
    std::optional<fingerprint> read_;    // the state whose content is known
    std::optional<fingerprint> latest_;  // the last look's
    std::uint64_t digest_ = 0;
};

// Calls back when the content of a file changes: by a write, by a rename over it, by the swap of a symbolic link
// anywhere on the way (Kubernetes swaps ..data). Polls by one stat an interval, which costs microseconds and, unlike
// inotify, needs no watch on every folder on the way and works on network file systems. A change is noticed within two
// intervals.
//
// Make it before the file is first loaded: what changes after that is noticed once start() has run.
class file_watch {
  public:
    explicit file_watch(std::string path, std::chrono::milliseconds interval = std::chrono::milliseconds(500));
    ~file_watch();  // stops; waits for a callback that runs
    file_watch(const file_watch&) = delete;
    file_watch& operator=(const file_watch&) = delete;

    // `on_change` runs in the watch's own thread and must not throw.
    void start(std::function<void()> on_change);
    void stop();

  private:
    void run(const std::stop_token& stopping, const std::function<void()>& on_change);

    std::string path_;
    std::chrono::milliseconds interval_;
    change_detector detector_;
    std::jthread thread_;
};

}  // namespace crossfade::settings
