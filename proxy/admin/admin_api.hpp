#pragma once

#include <prometheus/registry.h>

#include <chrono>

#include "lib/settings/reload.hpp"
#include "lib/telemetry/http_server.hpp"
#include "proxy/admin/configuration_reload.hpp"
#include "proxy/capture/stream_publisher.hpp"
#include "proxy/frontend/front.hpp"

namespace crossfade::proxy::admin {

// Answers on the admin address: /metrics, /healthz, /readyz, /api/v1/status and POST /-/reload. All it refers to, and
// itself, must outlive the server that it adds its routes to. `publisher` is null where this proxy doesn't publish.
class admin_api {
  public:
    admin_api(prometheus::Registry& registry, configuration_reload& reload, frontend::front& front,
              const capture::stream_publisher* publisher);

    void add_routes(telemetry::http_server& to);

  private:
    telemetry::http_response metrics();
    telemetry::http_response ready() const;
    telemetry::http_response status() const;

    prometheus::Registry& registry_;
    configuration_reload& reload_;
    frontend::front& front_;
    const capture::stream_publisher* publisher_;
    std::chrono::steady_clock::time_point started_ = std::chrono::steady_clock::now();
};

}  // namespace crossfade::proxy::admin
