#pragma once

#include <mutex>
#include <string>
#include <string_view>
#include <vector>

#include "lib/auth/scram_verifier.hpp"

namespace crossfade::auth {

// The keys of passwords that were used lately. A server asks for the same salt and iterations each time, and a thousand
// sessions of one user need not do that work a thousand times on an event loop.
//
// Memory is fixed, some 100 KiB: each password has one place, and gives it up to the next one that falls on it.
// Thread-safe; the work itself is done outside the mutex.
class scram_key_cache {
  public:
    explicit scram_key_cache(std::size_t places = 1024);

    // As scram_keys_of.
    scram_keys keys_of(std::string_view password, std::string_view salt, unsigned iterations);

    std::size_t bytes() const { return places_.size() * sizeof(place); }

  private:
    struct place {
        key made_of{};  // password, salt and iterations under a secret of this object's
        scram_keys keys{};
    };
    key identity(std::string_view password, std::string_view salt, unsigned iterations) const;

    std::string secret_;
    std::mutex looking_;
    std::vector<place> places_;
};

}  // namespace crossfade::auth
