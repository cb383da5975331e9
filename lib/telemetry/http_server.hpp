#pragma once

#include <boost/asio/awaitable.hpp>
#include <boost/asio/io_context.hpp>
#include <chrono>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <string_view>

#include "lib/settings/settings.hpp"

namespace crossfade::telemetry {

struct http_response {
    unsigned status = 200;
    std::string content_type = "text/plain; charset=utf-8";
    std::string body;
};

// Handlers run on the server's own thread and may block for a moment.
using http_handler = std::function<http_response()>;

struct http_limits {
    unsigned connections = 64;                      // one more is told 503
    std::uint32_t request_bytes = 16 * 1024;        // of the header, and of the body
    std::chrono::milliseconds request_time{10000};  // from the first byte waited for to the last one written
};

// The admin address: a small HTTP/1.1 server with a thread of its own, so that a busy or blocked event loop elsewhere
// can't hide from the one who looks. Bounded by `limits`.
// Unknown path: 404. Known path, other method: 405. A handler's exception: 500, and logged.
class http_server {
  public:
    explicit http_server(http_limits limits = {});
    ~http_server();  // stops
    http_server(const http_server&) = delete;
    http_server& operator=(const http_server&) = delete;

    // Before start(). `method`: "GET", "POST".
    void route(std::string method, std::string path, http_handler handler);

    // Binds and serves. Throws std::system_error with the address in its message when it can't bind.
    void start(const settings::endpoint& at);
    std::uint16_t port() const;  // the one bound, for endpoints with port 0
    void stop();

  private:
    struct impl;
    std::unique_ptr<impl> impl_;
};

}  // namespace crossfade::telemetry
