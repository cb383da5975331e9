#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "lib/sql/statement.hpp"

namespace crossfade::proxy::frontend {

// What a statement does to the savepoints of its transaction; nothing: the default.
struct savepoint_step {
    enum class kind : std::uint8_t { nothing, set, release, roll_back };
    kind what = kind::nothing;
    std::string name{};
};
savepoint_step savepoint_step_of(const sql::statement& it);

// How much of a transaction's rows was there at each of its savepoints.
class savepoints {
  public:
    // PostgreSQL has no limit; who sets more isn't followed.
    static constexpr std::size_t most = 1000;
    struct place {
        std::size_t rows = 0;
        std::size_t bytes = 0;
    };

    // The step was carried out at `now`. What is left of the rows; nothing where that isn't known.
    std::optional<place> follow(const savepoint_step& step, place now);
    void clear() { set_.clear(); }
    bool empty() const { return set_.empty(); }
    std::size_t kept_bytes() const { return set_.capacity() * sizeof(savepoint); }

  private:
    struct savepoint {
        std::string name;
        place at;
    };
    // Several may have one name: the newest of them.
    std::vector<savepoint>::iterator find(std::string_view name);

    std::vector<savepoint> set_;  // in the order in which they were
};

}  // namespace crossfade::proxy::frontend
