#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace crossfade::ctl::output {

enum class align { left, right };

struct heading {
    std::string text;
    align to = align::left;
};

// An aligned table for people: a heading, a rule, and rows. The last column is never padded, so that long texts wrap
// as the terminal likes. Widths count characters, not bytes.
class table {
  public:
    explicit table(std::vector<heading> headings) : headings_(std::move(headings)) {}

    // Takes one cell a heading; what is missing is empty.
    void add(std::vector<std::string> cells);
    bool empty() const { return rows_.empty(); }
    std::string render() const;

  private:
    std::vector<heading> headings_;
    std::vector<std::vector<std::string>> rows_;
};

std::string bytes_text(std::uint64_t bytes);  // "0 B", "1.5 MB"
std::string count_text(std::uint64_t count);  // "12,345"
std::string seconds_text(double seconds);     // "0.4 s", "3 min 20 s", "2 h 5 min"
std::string joined(const std::vector<std::string>& parts, std::string_view separator = ", ");

}  // namespace crossfade::ctl::output
