#pragma once

#include <string_view>

namespace crossfade::proxy::portrait {

// Whether a client's text may do what a portrait doesn't show: set something of the application's own, call currval or
// lastval, or run code in a DO. A cheap look that errs on the side of yes; lib/sql says more. Several
// statements may stand in a simple query's text, one in a Parse.
enum class stands_in { query, parse };
bool is_suspicious(std::string_view text, stands_in message);

// The same for a text that comes in pieces and is never whole.
class long_text {
  public:
    explicit long_text(stands_in message) : message_(message) {}
    // The next piece; the first one begins the text. True once any of it was suspicious.
    bool take(std::string_view piece);

  private:
    // Longer than any word that is looked for with what must stand around it.
    static constexpr std::size_t overlap = 32;

    stands_in message_;
    bool suspicious_ = false;
    bool begun_ = false;
    char before_[overlap] = {};
    std::size_t kept_ = 0;
};

}  // namespace crossfade::proxy::portrait
