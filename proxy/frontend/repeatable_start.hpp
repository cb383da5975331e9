#pragma once

#include <cstddef>
#include <string>
#include <string_view>

namespace crossfade::proxy::frontend {

// The messages by which a transaction has begun, for as long as they could be said again on another connection: BEGIN,
// SET LOCAL and the like. What they prepared under a name isn't among them, as a rollback leaves that, nor what was
// only read.
class repeatable_start {
  public:
    static constexpr std::size_t most_statements = 8;
    static constexpr std::size_t most_bytes = std::size_t{8} << 10;

    // Whole messages of the client's that have gone on.
    void add(std::string_view messages);
    // Likewise, a Query or a Bind of what only reads: it needn't be said again where each statement sees what is
    // committed by then.
    void pass_over(std::string_view message);
    // It can't be repeated any more.
    void spoil();
    void clear() { *this = {}; }

    bool usable() const { return !spoiled_ && readies_ > 0; }
    bool has_read() const { return has_read_; }
    std::string messages() const;
    // As many times is ReadyForQuery to come for those.
    unsigned readies() const { return readies_ + (unnamed_.empty() ? 0 : 1); }
    std::size_t kept_bytes() const { return messages_.capacity() + unnamed_.capacity(); }

  private:
    bool spoiled_ = false;
    bool has_read_ = false;
    bool passes_over_ = false;  // the portal without a name
    std::string messages_;
    std::string unnamed_;  // the last Parse without a name, if nothing of `messages_` is bound to it
    unsigned readies_ = 0;
    std::size_t statements_ = 0;
};

}  // namespace crossfade::proxy::frontend
