#include "proxy/frontend/repeatable_start.hpp"

#include <utility>

#include "lib/pgwire/message_types.hpp"
#include "lib/pgwire/query_messages.hpp"
#include "proxy/frontend/whole_message.hpp"

namespace crossfade::proxy::frontend {
namespace {

namespace said = pgwire::frontend;

bool has_no_name(std::string_view message) {
    return message.size() > header_size && message[header_size] == '\0';
}

bool binds_unnamed(std::string_view bind) {
    return bind.size() > header_size + 1 && bind[header_size + 1] == '\0';
}

}  // namespace

void repeatable_start::add(std::string_view messages) {
    while (!spoiled_ && messages.size() >= header_size) {
        const auto size = size_of(messages);
        if (size > messages.size()) return spoil();
        const auto one = messages.substr(0, size);
        messages.remove_prefix(size);
        switch (one.front()) {
            case said::parse:
                if (has_no_name(one)) unnamed_ = one;  // others are there already
                if (unnamed_.size() > most_bytes) return spoil();
                continue;
            case said::bind:
                // A portal with a name is a cursor.
                if (!has_no_name(one)) return spoil();
                passes_over_ = false;
                if (binds_unnamed(one)) messages_ += std::exchange(unnamed_, {});
                break;
            case said::execute:
                // Of what was over before the transaction has begun, or is passed over.
                if (messages_.empty() || passes_over_) continue;
                ++statements_;
                break;
            case said::sync:
                if (messages_.empty()) continue;
                ++readies_;
                break;
            case said::query:
                unnamed_.clear();
                ++statements_;
                ++readies_;
                break;
            case said::describe:
            case said::flush:
                continue;
            default:
                return spoil();
        }
        messages_ += one;
        if (statements_ > most_statements || messages_.size() > most_bytes) return spoil();
    }
}

void repeatable_start::pass_over(std::string_view message) {
    has_read_ = true;
    if (message.empty()) return;
    if (message.front() == said::query) unnamed_.clear();
    if (message.front() != said::bind) return;
    passes_over_ = true;
    if (!has_no_name(message)) spoil();
}

void repeatable_start::spoil() {
    clear();
    spoiled_ = true;
}

std::string repeatable_start::messages() const {
    return unnamed_.empty() ? messages_ : messages_ + unnamed_ + pgwire::build_sync();
}

}  // namespace crossfade::proxy::frontend
