#pragma once

#include <stdlib.h>

#include <filesystem>
#include <fstream>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "lib/settings/load.hpp"

namespace crossfade::settings {

// What a file must contain, in lines 1 to 4; a test's own lines begin with the fifth.
inline const std::string required =
    "legacy: { dsn: 'postgresql://app@127.0.0.1:5432/app' }\n"
    "modern: { dsn: 'postgresql://app@127.0.0.1:5433/app' }\n"
    "kafka: { brokers: '127.0.0.1:9092' }\n"
    "stream: { name: app, tables: ['public.*'] }\n";

inline environment variables(std::map<std::string, std::string> of) {
    return [of = std::move(of)](std::string_view name) -> std::optional<std::string> {
        const auto found = of.find(std::string(name));
        if (found == of.end()) return std::nullopt;
        return found->second;
    };
}

// The messages that a text is refused with; empty when it is taken.
inline std::vector<std::string> messages(const std::string& text, const environment& env = variables({})) {
    std::vector<std::string> all;
    if (const auto read = parse(text, "f.yaml", env); !read)
        for (const auto& each : read.error().problems) all.push_back(to_string(each));
    return all;
}

// A folder of a test's own, removed with what is in it.
class scratch_folder {
  public:
    scratch_folder() {
        std::string name = (std::filesystem::temp_directory_path() / "crossfade-settings-XXXXXX").string();
        if (::mkdtemp(name.data()) == nullptr) throw std::runtime_error("mkdtemp failed");
        path_ = name;
    }
    scratch_folder(const scratch_folder&) = delete;
    scratch_folder& operator=(const scratch_folder&) = delete;
    ~scratch_folder() {
        std::error_code ignored;  // what is left in /tmp does no harm
        std::filesystem::remove_all(path_, ignored);
    }

    std::string operator/(const std::string& name) const { return (path_ / name).string(); }
    std::string write(const std::string& name, const std::string& content) const {
        const auto path = path_ / name;
        std::filesystem::create_directories(path.parent_path());
        std::ofstream(path, std::ios::binary | std::ios::trunc) << content;
        return path.string();
    }

  private:
    std::filesystem::path path_;
};

}  // namespace crossfade::settings
