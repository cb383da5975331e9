#include "tests/support/temp_dir.hpp"

#include <cstdlib>
#include <fstream>
#include <iostream>
#include <stdexcept>
#include <string>

namespace crossfade::support {

namespace fs = std::filesystem;

namespace {

fs::path root() {
    constexpr std::size_t longest = 40;
    const char* configured = std::getenv("TMPDIR");
    if (configured != nullptr && *configured == '/' && std::string_view{configured}.size() <= longest)
        return configured;
    return "/tmp";
}

}  // namespace

temp_dir::temp_dir() {
    std::string name = (root() / "cf.XXXXXX").string();
    if (::mkdtemp(name.data()) == nullptr) throw std::runtime_error("no temporary directory in " + root().string());
    path_ = name;
    fs::permissions(path_, fs::perms{0755});
}

temp_dir::~temp_dir() {
    if (std::getenv("CROSSFADE_KEEP_TMP") != nullptr) {
        std::cerr << "kept: " << path_ << '\n';
        return;
    }
    std::error_code ignored;  // a child that is just ending may still write; what stays is in /tmp
    fs::remove_all(path_, ignored);
}

fs::path temp_dir::write(const std::string& name, std::string_view content) const {
    const fs::path target = path_ / name;
    const fs::path draft = path_ / (name + ".new");
    std::ofstream out{draft, std::ios::binary | std::ios::trunc};
    out << content;
    out.close();
    if (!out) throw std::runtime_error("can't write " + draft.string());
    fs::rename(draft, target);
    return target;
}

}  // namespace crossfade::support
