#include "proxy/frontend/refusal.hpp"

#include <algorithm>

#include "lib/pgwire/diagnostics.hpp"
#include "lib/pgwire/message_types.hpp"
#include "lib/pgwire/session_status.hpp"
#include "proxy/frontend/whole_message.hpp"

namespace crossfade::proxy::frontend {

refusal::outcome refusal::drop(std::string_view chunk) {
    namespace said = pgwire::frontend;
    outcome so_far;
    auto& at = so_far.dropped;
    for (;;) {
        const auto skipped = std::min(left_, chunk.size() - at);
        at += skipped;
        left_ -= skipped;
        if (left_ > 0) return so_far;
        if (ends_) {
            so_far.told += pgwire::build_ready_for_query(pgwire::transaction_status::idle);
            so_far.over = true;
            return so_far;
        }
        if (chunk.size() - at < header_size) return so_far;
        const char type = chunk[at];
        const auto length = pgwire::byte_reader{chunk.substr(at + 1)}.u32();
        // What is no statement, or no message, is for the session to look at.
        if (type == said::terminate || length < 4 || (type == said::sync && !told_)) {
            so_far.over = true;
            return so_far;
        }
        if (!told_)
            so_far.told += pgwire::build_error_response({{{'S', "ERROR"},
                                                          {'V', "ERROR"},
                                                          {'C', std::string{pgwire::sqlstate::query_canceled}},
                                                          {'M', "canceling statement due to user request"}}});
        told_ = true;
        ends_ = type == said::sync || type == said::query || type == said::function_call;
        left_ = std::size_t{length} + 1;
    }
}

}  // namespace crossfade::proxy::frontend
