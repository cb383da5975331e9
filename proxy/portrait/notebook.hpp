#pragma once

#include <cstddef>
#include <memory>
#include <set>
#include <string>
#include <string_view>

#include "lib/sql/statement_cache.hpp"

namespace crossfade::proxy::portrait {

// The names of the application's settings, of all sessions of an event loop together: who is asked for one that he
// doesn't have says so, and it costs a session nothing. Only ever grows, up to its bounds.
class setting_names {
  public:
    static constexpr std::size_t most = 1000;
    static constexpr std::size_t longest = 128;

    // In lower case. False: it isn't kept, being too long or strange or one too many.
    bool add(std::string_view name);
    const std::set<std::string, std::less<>>& all() const { return names_; }
    // Those of now, for other threads; shared by all who ask before there is another one.
    std::shared_ptr<const std::set<std::string>> shared();

  private:
    std::set<std::string, std::less<>> names_;
    std::shared_ptr<const std::set<std::string>> shared_;
};

// What the sessions of an event loop share that listen. For one thread.
struct notebook {
    explicit notebook(sql::statement_cache::bounds kept) : statements(kept) {}

    sql::statement_cache statements;
    setting_names names;
};

}  // namespace crossfade::proxy::portrait
