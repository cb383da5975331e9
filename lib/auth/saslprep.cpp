#include "lib/auth/saslprep.hpp"

#include <stringprep.h>

#include <algorithm>
#include <cstdlib>
#include <memory>
#include <vector>

namespace crossfade::auth {
namespace {

// RFC 4013 without its normalisation. PostgreSQL looks for what is refused in front of that, the RFC behind it.
const std::vector<Stringprep_profile>& but_for_the_form() {
    static const auto steps = [] {
        std::vector<Stringprep_profile> made;
        for (const auto* each = ::stringprep_saslprep; each->operation != 0; ++each)
            if (each->operation != STRINGPREP_NFKC) made.push_back(*each);
        made.push_back({});
        return made;
    }();
    return steps;
}

}  // namespace

std::string saslprep(std::string_view password) {
    const auto is_ascii = [](char each) { return static_cast<unsigned char>(each) < 0x80; };
    std::string as_it_is{password};
    // libidn ends at a NUL, which no password of PostgreSQL's has.
    if (std::ranges::all_of(password, is_ascii) || as_it_is.find('\0') != std::string::npos) return as_it_is;
    // Nothing is mapped to more than it is.
    std::vector<char> mapped(as_it_is.c_str(), as_it_is.c_str() + as_it_is.size() + 1);
    if (::stringprep(mapped.data(), mapped.size(), STRINGPREP_NO_UNASSIGNED, but_for_the_form().data()) !=
        STRINGPREP_OK)
        return as_it_is;
    const std::unique_ptr<char, decltype(&std::free)> normalised{::stringprep_utf8_nfkc_normalize(mapped.data(), -1),
                                                                 &std::free};
    return normalised && *normalised != '\0' ? std::string{normalised.get()} : as_it_is;
}

}  // namespace crossfade::auth
