#include "proxy/frontend/repeatable_start.hpp"

#include "lib/pgwire/message_types.hpp"
#include "proxy/frontend/whole_message.hpp"

namespace crossfade::proxy::frontend {

void repeatable_start::add(std::string_view messages) {
    namespace said = pgwire::frontend;
    while (!spoiled_ && messages.size() >= header_size) {
        const auto size = size_of(messages);
        if (size > messages.size()) return spoil();
        const auto one = messages.substr(0, size);
        messages.remove_prefix(size);
        const char type = one.front();
        const auto of_the_unnamed = [&] { return size > header_size && one[header_size] == '\0'; };
        switch (type) {
            case said::parse:
                if (!of_the_unnamed()) continue;  // it is there already
                break;
            case said::bind:
                // A portal with a name is a cursor.
                if (!of_the_unnamed()) return spoil();
                break;
            case said::execute:
            case said::sync:
                // Of what was over before: the transaction begins behind it.
                if (messages_.empty()) continue;
                break;
            case said::query:
                break;
            case said::describe:
            case said::flush:
                continue;
            default:
                return spoil();
        }
        if (type == said::query || type == said::sync) ++readies_;
        if (type == said::query || type == said::execute) ++statements_;
        if (statements_ > most_statements || messages_.size() + size > most_bytes) return spoil();
        messages_ += one;
    }
}

void repeatable_start::spoil() {
    clear();
    spoiled_ = true;
}

}  // namespace crossfade::proxy::frontend
