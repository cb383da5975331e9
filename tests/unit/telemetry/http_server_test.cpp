#include "lib/telemetry/http_server.hpp"

#include <gmock/gmock.h>

#include <list>
#include <stdexcept>
#include <system_error>

#include "tests/support/eventually.hpp"
#include "tests/support/http.hpp"

namespace crossfade::telemetry {
namespace {

using namespace std::chrono_literals;
using support::loopback_socket;
using testing::HasSubstr;
using testing::StartsWith;

constexpr http_limits small_limits{.connections = 3, .request_bytes = 2048, .request_time = 300ms};

class admin_server : public testing::Test {
  protected:
    void serve(http_limits limits = {}) {
        server_ = std::make_unique<http_server>(limits);
        server_->route("GET", "/metrics", [] { return http_response{200, "text/plain; version=0.0.4", "up 1\n"}; });
        server_->route("GET", "/readyz", [] { return http_response{503, "text/plain", "waiting\n"}; });
        server_->route("POST", "/-/reload", [] { return http_response{422, "application/json", "{}"}; });
        server_->route("GET", "/broken", []() -> http_response { throw std::runtime_error("no way"); });
        server_->start({"127.0.0.1", 0});
    }

    // What one connection gets for these bytes, until the server closes.
    std::string answer_to(const std::string& bytes) {
        loopback_socket socket{server_->port()};
        socket.send(bytes);
        return socket.read_all(5s);
    }

    std::unique_ptr<http_server> server_;
};

TEST_F(admin_server, answers_by_method_and_path) {
    serve();
    const struct {
        std::string method, path;
        unsigned status;
        std::string body;
    } requests[] = {
        {"GET", "/metrics", 200, "up 1\n"},
        {"GET", "/metrics?from=prometheus", 200, "up 1\n"},
        {"GET", "/readyz", 503, "waiting\n"},
        {"POST", "/-/reload", 422, "{}"},
        {"GET", "/nothing", 404, "Not Found\n"},
        {"GET", "/metrics/", 404, "Not Found\n"},
        {"POST", "/metrics", 405, "Method Not Allowed\n"},
        {"GET", "/-/reload", 405, "Method Not Allowed\n"},
        {"GET", "/broken", 500, "Internal Server Error\n"},
        {"GET", "/metrics", 200, "up 1\n"},
    };
    for (const auto& [method, path, status, body] : requests) {
        const auto reply = support::http_request(server_->port(), method, path);
        EXPECT_EQ(reply.status, status) << method << ' ' << path;
        EXPECT_EQ(reply.body, body) << method << ' ' << path;
    }
    const auto refused = support::http_post(server_->port(), "/metrics");
    EXPECT_EQ(refused.headers.at("allow"), "GET");
    EXPECT_EQ(support::http_get(server_->port(), "/metrics").headers.at("content-type"), "text/plain; version=0.0.4");
}

TEST_F(admin_server, keeps_a_connection_for_the_next_request) {
    serve();
    const auto got = answer_to(
        "GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n"
        "GET /nothing HTTP/1.1\r\nHost: x\r\n\r\n"
        "GET /metrics HTTP/1.0\r\n\r\n");
    EXPECT_THAT(got, StartsWith("HTTP/1.1 200 OK"));
    EXPECT_THAT(got, HasSubstr("HTTP/1.1 404 Not Found"));
    EXPECT_THAT(got, HasSubstr("HTTP/1.0 200 OK"));
}

TEST_F(admin_server, refuses_what_is_too_large_or_no_http) {
    serve(small_limits);
    const std::string large(4096, 'x');
    EXPECT_THAT(answer_to("GET /metrics HTTP/1.1\r\nX: " + large + "\r\n\r\n"), StartsWith("HTTP/1.1 431"));
    EXPECT_THAT(answer_to("GET /" + large), StartsWith("HTTP/1.1 431"));
    EXPECT_THAT(answer_to("POST /-/reload HTTP/1.1\r\nContent-Length: 4096\r\n\r\n" + large),
                StartsWith("HTTP/1.1 413"));
    EXPECT_THAT(answer_to("\x16\x03\x01 is TLS\r\n\r\n"), StartsWith("HTTP/1.1 400"));
    EXPECT_EQ(support::http_get(server_->port(), "/metrics").status, 200U);
}

TEST_F(admin_server, closes_on_a_client_that_is_too_slow) {
    serve(small_limits);
    loopback_socket silent{server_->port()};
    loopback_socket slow{server_->port()};
    slow.send("GET /metrics HTTP/1.1\r\nHo");
    EXPECT_TRUE(silent.closed_within(5s));
    EXPECT_TRUE(slow.closed_within(5s));
}

TEST_F(admin_server, tells_503_beyond_its_connections_and_recovers) {
    auto limits = small_limits;
    limits.request_time = 60s;
    serve(limits);
    std::list<loopback_socket> held;
    for (unsigned i = 0; i < limits.connections; ++i) held.emplace_back(server_->port());
    EXPECT_TRUE(support::eventually(5s, [&] { return support::http_get(server_->port(), "/metrics").status == 503; }));
    held.clear();
    EXPECT_TRUE(support::eventually(5s, [&] { return support::http_get(server_->port(), "/metrics").status == 200; }));
}

TEST_F(admin_server, stops_with_connections_open_and_starts_again) {
    serve();
    loopback_socket held{server_->port()};
    held.send("GET /metrics");
    const auto port = server_->port();
    server_->stop();
    EXPECT_TRUE(held.closed_within(5s));
    EXPECT_EQ(support::http_get(port, "/metrics").status, 0U);
    server_->start({"127.0.0.1", port});
    EXPECT_EQ(support::http_get(port, "/metrics").status, 200U);
}

TEST_F(admin_server, names_the_address_that_it_can_not_bind) {
    serve();
    http_server second;
    try {
        second.start({"127.0.0.1", server_->port()});
        FAIL() << "bound twice";
    } catch (const std::system_error& error) {
        EXPECT_EQ(error.code(), std::errc::address_in_use);
        EXPECT_THAT(error.what(), HasSubstr("127.0.0.1:" + std::to_string(server_->port())));
    }
}

}  // namespace
}  // namespace crossfade::telemetry
