#include "lib/sql/builtins.hpp"

#include <algorithm>
#include <span>

namespace crossfade::sql {
namespace {

struct entry {
    std::string_view name;
    volatility how;
};

// clang-format off
#define immutable(name) entry{name, volatility::immutable},
#define stable(name) entry{name, volatility::stable},
#define volatile_(name) entry{name, volatility::volatile_},
constexpr entry functions[] = {
#include "lib/sql/builtin_functions.inc"
};
constexpr entry operators[] = {
#include "lib/sql/builtin_operators.inc"
};
#undef immutable
#undef stable
#undef volatile_
// clang-format on

static_assert(std::ranges::is_sorted(functions, {}, &entry::name));
static_assert(std::ranges::is_sorted(operators, {}, &entry::name));

volatility find(std::span<const entry> sorted, std::string_view name) {
    const auto found = std::ranges::lower_bound(sorted, name, {}, &entry::name);
    return found != sorted.end() && found->name == name ? found->how : volatility::unknown;
}

}  // namespace

volatility function_volatility(std::string_view name) {
    return find(functions, name);
}

volatility operator_volatility(std::string_view name) {
    return find(operators, name);
}

}  // namespace crossfade::sql
