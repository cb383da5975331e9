#pragma once

#include <string>
#include <string_view>

namespace crossfade::pgwire {

// Writes an array's text form, one dimension: https://www.postgresql.org/docs/15/arrays.html#ARRAYS-IO
class array_literal {
  public:
    explicit array_literal(char delimiter = ',') : delimiter_(delimiter) {}

    void add(std::string_view element);
    void add_null();
    std::string take();  // the whole literal; starts anew

  private:
    void separate();

    char delimiter_;
    std::string text_ = "{";
};

}  // namespace crossfade::pgwire
