#pragma once

#include <prometheus/gauge.h>
#include <prometheus/registry.h>

#include <chrono>
#include <string>

#include "lib/pgclient/connection.hpp"

// What the parts of the mirror have alike.
namespace crossfade::proxy::mirror {

// Of its connections: who is slow or away is to be noticed before a client's patience ends.
inline pgclient::open_options as_mirror(std::string application_name = "crossfade-mirror") {
    pgclient::open_options options;
    options.application_name = std::move(application_name);
    options.connect_timeout = std::chrono::seconds{2};
    options.silence = std::chrono::seconds{3};
    return options;
}

inline prometheus::Gauge& gauge(prometheus::Registry& in, const char* name, const char* help) {
    return prometheus::BuildGauge().Name(name).Help(help).Register(in).Add({});
}

}  // namespace crossfade::proxy::mirror
