#include "proxy/capture/stream_publisher.hpp"

namespace crossfade::proxy::capture {

struct stream_publisher::impl {
    settings::snapshot at_start;
};

std::string_view to_string(publisher_state state) {
    switch (state) {
        case publisher_state::waiting:
            return "waiting";
        case publisher_state::standby:
            return "standby";
        case publisher_state::publishing:
            return "publishing";
        case publisher_state::stopped:
            return "stopped";
        case publisher_state::off:
            break;
    }
    return "off";
}

stream_publisher::stream_publisher(settings::snapshot at_start, prometheus::Registry&)
    : impl_(std::make_unique<impl>(impl{std::move(at_start)})) {}
stream_publisher::~stream_publisher() {
    stop();
}
void stream_publisher::start() {}
void stream_publisher::stop() {}
publisher_status stream_publisher::status() const {
    return {};
}

}  // namespace crossfade::proxy::capture
