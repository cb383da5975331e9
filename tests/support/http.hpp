#pragma once

#include <chrono>
#include <cstdint>
#include <map>
#include <string>

namespace crossfade::support {

struct http_reply {
    unsigned status = 0;                         // 0: nobody answered
    std::map<std::string, std::string> headers;  // names in lower case
    std::string body;
};

// One request to 127.0.0.1 on a connection of its own.
http_reply http_request(std::uint16_t port, const std::string& method, const std::string& path,
                        const std::string& body = {}, std::chrono::milliseconds timeout = std::chrono::seconds{10});
http_reply http_get(std::uint16_t port, const std::string& path);
http_reply http_post(std::uint16_t port, const std::string& path, const std::string& body = {});

// The value of the first sample in an exposition whose name and labels begin with `sample`, e.g.
// "crossfade_sessions " or "crossfade_drift_rows{tenant=\"acme\"". NaN where there is none.
double sample_value(const std::string& exposition, const std::string& sample);

// A loopback connection for what http_request can't say; closed at the end.
class loopback_socket {
  public:
    explicit loopback_socket(std::uint16_t port);  // throws when nobody listens
    ~loopback_socket();
    loopback_socket(const loopback_socket&) = delete;
    loopback_socket& operator=(const loopback_socket&) = delete;

    bool send(const std::string& bytes);
    // All that comes until the peer closes or `timeout` is over.
    std::string read_all(std::chrono::milliseconds timeout);
    bool closed_within(std::chrono::milliseconds timeout);

  private:
    int fd_ = -1;
};

}  // namespace crossfade::support
