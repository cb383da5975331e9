#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <string_view>

namespace crossfade::pgwire {

enum class framing_fault {
    none,
    bad_length,  // the length word doesn't count itself
    too_long,    // beyond the bound
};

// Finds the messages in a stream of bytes without copying any, so that a relay forwards whole chunks.
//
// Each chunk begins where the last one's `consumed` ended: the few bytes of a header, or of a body's wanted beginning,
// that were not all there come again in front of the next chunk. Nothing of a message is consumed before it has been
// visited, and nothing of a faulty one at all.
class message_scanner {
  public:
    // The longest body (length word not counted) that is let through.
    explicit message_scanner(std::uint32_t max_body) : max_body_(max_body) {}

    void set_max_body(std::uint32_t max_body) { max_body_ = max_body; }

    struct outcome {
        std::size_t consumed = 0;
        framing_fault fault = framing_fault::none;
    };

    // `visitor.wanted(type)`: how many bytes of the body's beginning it needs to see, a few hundred at most.
    // `visitor.message(type, body_length, body_beginning)`: called once a message, in order; the beginning is shorter
    // than wanted only if the body is.
    template <class Visitor>
    outcome scan(std::string_view chunk, Visitor&& visitor) {
        std::size_t at = 0;
        for (;;) {
            const auto skipped = std::min<std::size_t>(body_left_, chunk.size() - at);
            at += skipped;
            body_left_ -= static_cast<std::uint32_t>(skipped);
            if (chunk.size() - at < header_size) return {at, framing_fault::none};

            const auto length = length_at(chunk.data() + at + 1);
            if (length < 4) return {at, framing_fault::bad_length};
            const auto body = length - 4;
            if (body > max_body_) return {at, framing_fault::too_long};

            const char type = chunk[at];
            const auto wanted = std::min<std::size_t>(visitor.wanted(type), body);
            if (chunk.size() - at - header_size < wanted) return {at, framing_fault::none};
            visitor.message(type, body, chunk.substr(at + header_size, wanted));
            at += header_size;
            body_left_ = body;
        }
    }

    // Whether what has been consumed ends where a message ends.
    bool at_boundary() const { return body_left_ == 0; }
    // Bytes that the last of those messages still lacks: the next chunk begins with them.
    std::uint32_t body_left() const { return body_left_; }

  private:
    static constexpr std::size_t header_size = 5;

    static std::uint32_t length_at(const char* bytes) {
        const auto byte = [bytes](int index) { return std::uint32_t{static_cast<unsigned char>(bytes[index])}; };
        return byte(0) << 24 | byte(1) << 16 | byte(2) << 8 | byte(3);
    }

    std::uint32_t max_body_;
    std::uint32_t body_left_ = 0;
};

}  // namespace crossfade::pgwire
