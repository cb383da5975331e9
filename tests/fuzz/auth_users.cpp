#include <algorithm>

#include "lib/auth/user_list.hpp"
#include "tests/fuzz/input.hpp"

using namespace crossfade;

// Any text is a list of users, or is refused at one of its lines.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    const auto text = fuzz::input(data, size).rest();
    const auto list = auth::parse_user_list(text);
    if (!list) {
        fuzz::require(list.error().line >= 1 && list.error().line <= 1 + std::count(text.begin(), text.end(), '\n'));
        fuzz::require(!list.error().what.empty());
        return 0;
    }
    fuzz::require(list->size() <= static_cast<std::size_t>(1 + std::count(text.begin(), text.end(), '\n')));
    fuzz::require(*list == auth::parse_user_list(text).value());
    fuzz::require(list->digest() == auth::parse_user_list(text)->digest());
    (void)list->find(text.substr(0, 63));
    return 0;
}
