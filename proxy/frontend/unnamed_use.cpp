#include "proxy/frontend/unnamed_use.hpp"

#include "lib/pgwire/bytes.hpp"
#include "lib/pgwire/message_types.hpp"
#include "proxy/frontend/whole_message.hpp"

namespace crossfade::proxy::frontend {
namespace {

namespace said = pgwire::frontend;

bool names_nothing(pgwire::byte_reader& body) {
    const auto name = body.cstring();
    return !body.failed() && name.empty();
}

bool is_about_unnamed(pgwire::byte_reader body) {
    return body.u8() == 'S' && names_nothing(body);
}

}  // namespace

bool replaces_unnamed(std::string_view messages) {
    if (messages.empty()) return false;
    return messages.front() == said::query ||
           (messages.front() == said::parse && messages.size() > header_size && messages[header_size] == '\0');
}

bool uses_unnamed(std::string_view messages) {
    while (messages.size() >= header_size) {
        const auto size = size_of(messages);
        if (size < header_size || replaces_unnamed(messages)) return false;
        pgwire::byte_reader body{messages.substr(header_size, size - header_size)};
        switch (messages.front()) {
            case said::bind:
                body.cstring();  // the portal
                if (names_nothing(body)) return true;
                break;
            case said::describe:
                if (is_about_unnamed(body)) return true;
                break;
            case said::close:
                if (is_about_unnamed(body)) return false;
                break;
            default:
                break;
        }
        if (size > messages.size()) return false;
        messages.remove_prefix(size);
    }
    return false;
}

}  // namespace crossfade::proxy::frontend
