#pragma once

#include <cstddef>
#include <cstdint>
#include <list>
#include <memory>
#include <string>
#include <string_view>
#include <unordered_map>

#include "lib/sql/understand.hpp"

namespace crossfade::sql {

// Bytes of what is known of a statement, about.
std::size_t size_of(const statement& it);

// What was understood of texts, by their shape (shape.hpp): programs that write numbers into their texts pay for one
// parse, too. What was used least recently goes first. For one event loop: no locks. Texts that can't be understood are
// kept too, so that a client that repeats one pays for one parse.
class statement_cache {
  public:
    struct bounds {
        std::size_t entries = 5000;
        std::size_t bytes = std::size_t{16} << 20;  // texts and what is known of them, about
        std::size_t text = std::size_t{8} << 10;    // longer ones are understood anew each time
    };
    struct counters {
        std::uint64_t hits = 0;
        std::uint64_t misses = 0;  // texts longer than bounds::text among them
        std::uint64_t evicted = 0;
    };

    explicit statement_cache(bounds kept, limits within = {});

    // As sql::understand. Never null; stays valid when the cache drops it. Does not allocate for a text that it has, or
    // one of its shape.
    std::shared_ptr<const understanding> understand(std::string_view text);

    const counters& counted() const { return counted_; }
    std::size_t entries() const { return by_shape_.size(); }
    std::size_t bytes() const { return bytes_; }

  private:
    struct entry {
        std::string shape;
        std::shared_ptr<const understanding> known;
        std::size_t bytes;
    };

    void keep(std::string_view shape, std::shared_ptr<const understanding> known);
    void drop_oldest();

    bounds kept_;
    limits within_;
    counters counted_;
    std::size_t bytes_ = 0;
    std::list<entry> recent_;  // the newest in front
    std::unordered_map<std::string_view, std::list<entry>::iterator> by_shape_;
    std::string scratch_;
};

}  // namespace crossfade::sql
