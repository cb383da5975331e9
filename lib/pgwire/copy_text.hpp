#pragma once

#include <string>
#include <string_view>

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

}  // namespace crossfade::pgwire
