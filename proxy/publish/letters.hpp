#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace crossfade::proxy::publish {

// Messages that wait to be given to the producer, in their order and in one piece of memory: their parts are written
// where they will lie, so that no message has an allocation of its own. Who bounds what is unacknowledged bounds this.
class letters {
  public:
    enum class destination { events, json };
    // What a message consists of, by its lengths. Its parts are written in this order.
    struct parts {
        std::size_t position = 0;
        std::size_t table = 0;
        std::size_t key = 0;
        std::size_t payload = 0;
    };
    struct letter {
        destination to = destination::events;
        std::int32_t partition = 0;
        std::uint64_t sequence = 0;
        // Until the queue is written to or this letter is gone.
        std::string_view position;
        std::string_view table;  // of JSON alone
        std::string_view key;
        std::string_view payload;
    };

    // To write a letter's part to; nothing that is there is to be touched. cut() ends the part and gives its length,
    // push() the letter.
    std::string& bytes() { return bytes_; }
    std::size_t cut();
    void push(destination to, std::int32_t partition, std::uint64_t sequence, const parts& made);

    std::size_t size() const { return entries_.size() - first_; }
    letter front() const;
    void pop();

  private:
    struct entry {
        destination to = destination::events;
        std::int32_t partition = 0;
        std::uint64_t sequence = 0;
        parts lengths;
    };
    // Memory that is kept when all are gone, and in front of what is left until it is moved there.
    static constexpr std::size_t kept = std::size_t{2} << 20;

    std::string bytes_;
    std::size_t begin_ = 0;  // of the first letter's
    std::size_t cut_ = 0;    // where the part begins that is being written
    std::vector<entry> entries_;
    std::size_t first_ = 0;
};

}  // namespace crossfade::proxy::publish
