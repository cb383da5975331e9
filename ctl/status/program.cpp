#include "ctl/status/program.hpp"

#include <boost/json.hpp>

#include "ctl/http/get.hpp"

namespace crossfade::ctl::status {

program_answer ask_program(const settings::endpoint& admin) {
    using namespace std::chrono_literals;
    program_answer made;
    const auto reply = http::get(admin, "/api/v1/status", 3s);
    if (!reply) {
        made.problem = reply.error().message();
    } else if (reply->status != 200) {
        made.problem = "HTTP status " + std::to_string(reply->status);
    } else {
        boost::system::error_code malformed;
        auto parsed = boost::json::parse(reply->body, malformed);
        if (malformed || !parsed.is_object()) {
            made.problem = "no JSON object";
        } else {
            made.answer = std::move(parsed.get_object());
        }
    }
    return made;
}

}  // namespace crossfade::ctl::status
