#include "lib/pgwire/diagnostics.hpp"

#include "lib/pgwire/bytes.hpp"
#include "lib/pgwire/message_types.hpp"

namespace crossfade::pgwire {
namespace {

std::string build(char type, const diagnostics& what) {
    std::string body;
    for (const auto& [code, value] : what.fields) {
        body.push_back(code);
        put_cstring(body, value);
    }
    body.push_back('\0');
    return framed(type, body);
}

}  // namespace

std::string_view diagnostics::field(char code) const {
    for (const auto& [at, value] : fields)
        if (at == code) return value;
    return {};
}

std::optional<diagnostics> parse_diagnostics(std::string_view body) {
    byte_reader reader{body};
    diagnostics parsed;
    while (const auto code = reader.u8()) {
        parsed.fields.emplace_back(static_cast<char>(code), reader.cstring());
        if (reader.failed()) return std::nullopt;
    }
    if (!reader.finished()) return std::nullopt;
    return parsed;
}

std::string sqlstate_of(std::string_view body) {
    const auto said = parse_diagnostics(body);
    return said && !said->sqlstate().empty() ? std::string{said->sqlstate().substr(0, 5)} : "?????";
}

std::string build_fatal(std::string_view sqlstate, std::string_view message, std::string_view hint) {
    diagnostics what{{{'S', "FATAL"}, {'V', "FATAL"}, {'C', std::string{sqlstate}}, {'M', std::string{message}}}};
    if (!hint.empty()) what.fields.emplace_back('H', hint);
    return build_error_response(what);
}

std::string build_error_response(const diagnostics& what) {
    return build(backend::error_response, what);
}
std::string build_notice_response(const diagnostics& what) {
    return build(backend::notice_response, what);
}

}  // namespace crossfade::pgwire
