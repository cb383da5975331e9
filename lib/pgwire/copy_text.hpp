#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace crossfade::pgwire {

// Lines of COPY's text format with its default delimiter and null:
// https://www.postgresql.org/docs/15/sql-copy.html#id-1.9.3.55.9.2
class copy_text {
  public:
    void add(std::string_view value);
    void add_null();
    void end_line();

    std::size_t size() const { return text_.size(); }
    std::string take();  // all lines; starts anew

  private:
    void separate();

    std::string text_;
    bool line_begun_ = false;
};

// The values of one line as a server writes it, with or without its end; nullopt is null.
std::vector<std::optional<std::string>> copy_text_values(std::string_view line);

}  // namespace crossfade::pgwire
