#include "tests/support/made_once.hpp"

#include <fcntl.h>
#include <sys/file.h>
#include <unistd.h>

#include <cerrno>
#include <system_error>

#include "tests/support/programs.hpp"

namespace crossfade::support {

namespace {

// Of a file, among processes.
class file_lock {
  public:
    explicit file_lock(const std::string& path) : file_(::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600)) {
        if (file_ < 0 || ::flock(file_, LOCK_EX) != 0)
            throw std::system_error(errno, std::generic_category(), "lock of " + path);
    }
    ~file_lock() { ::close(file_); }
    file_lock(const file_lock&) = delete;
    file_lock& operator=(const file_lock&) = delete;

  private:
    int file_;
};

}  // namespace

std::filesystem::path made_once(const std::string& what,
                                const std::function<void(const std::filesystem::path&)>& make) {
    const auto folder = program_path("").parent_path().parent_path() / "made_once";
    std::filesystem::create_directories(folder);
    const auto path = folder / std::to_string(std::hash<std::string>{}(what));
    const file_lock mine{path.string() + ".lock"};
    if (std::filesystem::exists(path)) return path;
    const auto coming = path.string() + ".coming";
    std::filesystem::remove_all(coming);
    make(coming);
    std::filesystem::rename(coming, path);
    return path;
}

}  // namespace crossfade::support
