#pragma once

#include <filesystem>
#include <string_view>

namespace crossfade::support {

// A fresh directory with a short path (a Unix socket's whole path has 107 bytes), which the postgres user may enter.
// Removed at the end, unless CROSSFADE_KEEP_TMP is set: then it is left and named on stderr.
class temp_dir {
  public:
    temp_dir();
    ~temp_dir();
    temp_dir(const temp_dir&) = delete;
    temp_dir& operator=(const temp_dir&) = delete;

    const std::filesystem::path& path() const { return path_; }

    // Writes a file in it, whole: readers see the old content or the new one.
    std::filesystem::path write(const std::string& name, std::string_view content) const;

  private:
    std::filesystem::path path_;
};

}  // namespace crossfade::support
