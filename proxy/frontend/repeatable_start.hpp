#pragma once

#include <cstddef>
#include <string>
#include <string_view>

namespace crossfade::proxy::frontend {

// The messages by which a transaction has begun, for as long as they could be said again on another connection: BEGIN,
// SET LOCAL and the like. What they prepared isn't among them, as a rollback leaves that.
class repeatable_start {
  public:
    static constexpr std::size_t most_statements = 8;
    static constexpr std::size_t most_bytes = std::size_t{8} << 10;

    // Whole messages of the client's that have gone on.
    void add(std::string_view messages);
    // It can't be repeated any more.
    void spoil();
    void clear() { *this = {}; }

    bool usable() const { return !spoiled_; }
    const std::string& messages() const { return messages_; }
    // As many times is ReadyForQuery to come.
    unsigned readies() const { return readies_; }
    std::size_t kept_bytes() const { return messages_.capacity(); }

  private:
    bool spoiled_ = false;
    std::string messages_;
    unsigned readies_ = 0;
    std::size_t statements_ = 0;
};

}  // namespace crossfade::proxy::frontend
