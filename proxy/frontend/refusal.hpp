#pragma once

#include <cstddef>
#include <string>
#include <string_view>

namespace crossfade::proxy::frontend {

// A statement that was cancelled before it reached a database: its messages are dropped, and the client is told what a
// database would have told it ("Canceling Requests in Progress" and "Pipelining" in protocol.html): the error at once,
// ReadyForQuery behind the statement's end, which is its own message or the batch's Sync.
class refusal {
  public:
    struct outcome {
        std::size_t dropped = 0;  // of the chunk; what is left comes again in front of the next one
        std::string told;         // to the client
        bool over = false;        // what follows is another statement, or none
    };
    // `chunk` begins where a message does, or where the last one's dropped bytes ended.
    outcome drop(std::string_view chunk);

  private:
    std::size_t left_ = 0;  // of a message that has begun
    bool told_ = false;
    bool ends_ = false;  // with that message
};

}  // namespace crossfade::proxy::frontend
