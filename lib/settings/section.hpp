#pragma once

#include <yaml-cpp/yaml.h>

#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "lib/settings/load.hpp"

namespace crossfade::settings {

// Where a value stands, for problems.
struct place {
    int line = 0;
    std::string key;  // "groups.orders.tables"
};

struct scalar {
    std::string text;
    place at;
};

// Collects what is wrong with one file; the first thousand of it, so that a file that is no configuration at all
// doesn't make a report of its size.
class findings {
  public:
    explicit findings(std::string file) : file_(std::move(file)) {}

    void add(const place& at, std::string found, std::string allowed);
    void add_of_environment(std::string variable, std::string found, std::string allowed);
    void add(problem what);
    bool full() const { return problems_.size() > most; }

    const std::string& file() const { return file_; }
    const std::vector<problem>& problems() const { return problems_; }
    std::vector<problem> take() { return std::move(problems_); }

  private:
    static constexpr std::size_t most = 1000;

    std::string file_;
    std::vector<problem> problems_;
};

// A text of the file for a message: quoted, cut, without control characters, and left out where it could hold
// credentials.
std::string quote_found(std::string_view text);

// One mapping of the file. Made with the list of keys (keys.hpp) at hand: unknown keys, keys that stand twice and
// values of the wrong shape become findings here, so that what reads a section sees none of them.
class section {
  public:
    // `pattern` is the path with "<group>" and its kin for the names that an operator chose.
    section(const YAML::Node& node, place at, std::string pattern, findings& out);

    const place& at() const { return at_; }
    place at(std::string_view key) const;  // of the value if it is there, else of the section
    bool has(std::string_view key) const { return find(key) != nullptr; }

    // Nullopt when the key is absent, or has something else than a text (which then is a finding).
    std::optional<scalar> text(std::string_view key) const;
    std::optional<std::vector<scalar>> list(std::string_view key) const;
    // The same, where one text may stand for a list of one.
    std::optional<std::vector<scalar>> texts(std::string_view key) const;
    // A list of mappings, "access" -> (1, section), (2, section), …; the keys below each are those of "access.<rule>".
    // Nullopt as above.
    std::optional<std::vector<section>> items(std::string_view key) const;

    // Below an absent key there is an empty section.
    section below(std::string_view key) const;
    // For sections whose keys are names: all of them, "groups" -> (name, section).
    std::vector<std::pair<std::string, section>> named() const;
    std::vector<std::string> names() const;

    findings& out() const { return *out_; }

  private:
    struct entry {
        std::string key;
        YAML::Node value;
        int line = 0;
    };
    const entry* find(std::string_view key) const;
    std::string path_of(std::string_view key) const;
    void take(const YAML::Node& node);

    place at_;
    std::string pattern_;
    findings* out_;
    std::vector<entry> entries_;                             // in the file's order
    std::map<std::string, std::size_t, std::less<>> index_;  // of entries_, by key
};

}  // namespace crossfade::settings
