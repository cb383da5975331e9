#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "proxy/portrait/portrait.hpp"

namespace crossfade::proxy::portrait {

// The messages that make of `onto`, a session that has logged in with the same start-up message, one as `wanted`
// is, which has no obstacles. What it has beyond that is taken back. All in one transaction: where one fails, `onto`
// stays as it was. Whether it came out right, differences() of a new portrait tells: a database may read the same text
// another way.
std::string recreate(const session_portrait& wanted, const session_portrait& onto);

// Those for the statement without a name alone.
std::string recreate_unnamed(const session_portrait& wanted);

// Reads the answers. More reports than fit in some 64 KiB aren't PostgreSQL's.
class recreation {
  public:
    struct done {
        // What the session now reports of its settings, as ParameterStatus bodies in the order in which they came: the
        // client knows those of its former session.
        std::vector<std::string> reported;
    };
    struct refused {
        std::string sqlstate;
    };
    struct misbehaved {};
    using outcome = std::variant<done, refused, misbehaved>;

    // The next message; how it ended, once the last has come.
    std::optional<outcome> take(char type, std::string_view body);

  private:
    done so_far_;
    std::size_t room_ = std::size_t{64} << 10;
    bool malformed_ = false;
    std::string error_;
};

}  // namespace crossfade::proxy::portrait
