#include "lib/telemetry/http_server.hpp"

#include <pthread.h>
#include <spdlog/spdlog.h>

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/core/tcp_stream.hpp>
#include <boost/beast/http.hpp>
#include <chrono>
#include <optional>
#include <system_error>
#include <thread>

namespace crossfade::telemetry {

namespace asio = boost::asio;
namespace beast = boost::beast;
namespace http = boost::beast::http;
using tcp = asio::ip::tcp;

namespace {

constexpr auto use_result = asio::as_tuple(asio::use_awaitable);
constexpr unsigned max_refusals = 64;  // connections that are just being told 503
constexpr std::chrono::milliseconds accept_pause{100};

using request = http::request<http::string_body>;
using response = http::response<http::string_body>;

response make_response(http_response from, unsigned http_version, bool keep_alive) {
    response made{static_cast<http::status>(from.status), http_version};
    made.set(http::field::content_type, from.content_type);
    made.set(http::field::cache_control, "no-store");
    made.keep_alive(keep_alive);
    made.body() = std::move(from.body);
    made.prepare_payload();
    return made;
}

http_response plain(http::status status) {
    return {static_cast<unsigned>(status), "text/plain; charset=utf-8",
            std::string{http::obsolete_reason(status)} + '\n'};
}

// What a request that can't be read is told; nothing where the client is gone or was too slow.
std::optional<http::status> refusal_of(const boost::system::error_code& error) {
    if (error == http::error::body_limit) return http::status::payload_too_large;
    if (error == http::error::header_limit || error == http::error::buffer_overflow)
        return http::status::request_header_fields_too_large;
    if (error == http::error::end_of_stream || error == http::error::partial_message) return std::nullopt;
    if (error.category() == make_error_code(http::error::bad_method).category()) return http::status::bad_request;
    return std::nullopt;
}

// Counts a connection for as long as its coroutine lives.
class slot {
  public:
    explicit slot(unsigned& taken) : taken_(&taken) { ++taken; }
    slot(slot&& other) noexcept : taken_(std::exchange(other.taken_, nullptr)) {}
    ~slot() {
        if (taken_ != nullptr) --*taken_;
    }

  private:
    unsigned* taken_;
};

}  // namespace

struct http_server::impl {
    http_limits limits;
    std::map<std::string, std::map<std::string, http_handler>> routes;  // path, method
    unsigned connections = 0;
    unsigned refusals = 0;
    // After what the coroutines refer to: destroying the context destroys their frames.
    std::optional<asio::io_context> context;
    std::optional<tcp::acceptor> acceptor;
    std::thread thread;

    response answer(const request& asked) const;
    asio::awaitable<void> serve(beast::tcp_stream stream, slot held);
    asio::awaitable<void> refuse(beast::tcp_stream stream, slot held);
    asio::awaitable<void> accept();
    void spawn(asio::awaitable<void> task);
};

response http_server::impl::answer(const request& asked) const {
    const auto respond = [&](http_response with) {
        return make_response(std::move(with), asked.version(), asked.keep_alive());
    };
    const std::string_view target{asked.target().data(), asked.target().size()};
    const std::string path{target.substr(0, target.find('?'))};
    const auto known = routes.find(path);
    if (known == routes.end()) return respond(plain(http::status::not_found));

    const std::string method{asked.method_string()};
    const auto handler = known->second.find(method);
    if (handler == known->second.end()) {
        auto refused = respond(plain(http::status::method_not_allowed));
        std::string allowed;
        for (const auto& [name, unused] : known->second) allowed += (allowed.empty() ? "" : ", ") + name;
        refused.set(http::field::allow, allowed);
        return refused;
    }
    try {
        return respond(handler->second());
    } catch (const std::exception& error) {
        spdlog::error("{} {} failed: {}", method, path, error.what());
        return respond(plain(http::status::internal_server_error));
    }
}

asio::awaitable<void> http_server::impl::serve(beast::tcp_stream stream, slot) {
    beast::flat_buffer buffer{limits.request_bytes * 2};
    for (;;) {
        stream.expires_after(limits.request_time);
        http::request_parser<http::string_body> parser;
        parser.header_limit(limits.request_bytes);
        parser.body_limit(limits.request_bytes);
        const auto [read_error, unused] = co_await http::async_read(stream, buffer, parser, use_result);
        if (read_error) {
            const auto told = refusal_of(read_error);
            if (!told) co_return;
            const auto refused = make_response(plain(*told), 11, false);
            // The client may still be writing; what it doesn't hear, it finds out by the close.
            co_await http::async_write(stream, refused, use_result);
            break;
        }
        const response answered = answer(parser.get());
        const auto [write_error, written] = co_await http::async_write(stream, answered, use_result);
        if (write_error) co_return;
        if (!answered.keep_alive()) break;
    }
    boost::system::error_code ignored;  // it is being closed either way
    stream.socket().shutdown(tcp::socket::shutdown_send, ignored);
}

asio::awaitable<void> http_server::impl::refuse(beast::tcp_stream stream, slot) {
    stream.expires_after(std::chrono::seconds{1});
    const auto refused = make_response(plain(http::status::service_unavailable), 11, false);
    const auto [error, written] = co_await http::async_write(stream, refused, use_result);
    if (error) co_return;
    boost::system::error_code ignored;
    stream.socket().shutdown(tcp::socket::shutdown_send, ignored);
    // Closing over an unread request makes the kernel send RST, which can overtake the answer.
    std::array<char, 1024> rest{};
    co_await stream.async_read_some(asio::buffer(rest), use_result);
}

asio::awaitable<void> http_server::impl::accept() {
    asio::steady_timer pause{*context};
    for (;;) {
        auto [error, socket] = co_await acceptor->async_accept(use_result);
        if (error == asio::error::operation_aborted) co_return;
        if (error) {
            // Out of descriptors, mostly: going on at once would spin.
            spdlog::warn("the admin address can't accept: {}", error.message());
            pause.expires_after(accept_pause);
            co_await pause.async_wait(use_result);
            continue;
        }
        beast::tcp_stream stream{std::move(socket)};
        if (connections < limits.connections)
            spawn(serve(std::move(stream), slot{connections}));
        else if (refusals < max_refusals)
            spawn(refuse(std::move(stream), slot{refusals}));
    }
}

void http_server::impl::spawn(asio::awaitable<void> task) {
    asio::co_spawn(*context, std::move(task), [](const std::exception_ptr& thrown) {
        if (!thrown) return;
        try {
            std::rethrow_exception(thrown);
        } catch (const std::exception& error) {
            spdlog::error("the admin address lost a connection: {}", error.what());
        }
    });
}

http_server::http_server(http_limits limits) : impl_(std::make_unique<impl>()) {
    impl_->limits = limits;
}

http_server::~http_server() {
    stop();
}

void http_server::route(std::string method, std::string path, http_handler handler) {
    impl_->routes[std::move(path)][std::move(method)] = std::move(handler);
}

void http_server::start(const settings::endpoint& at) {
    const std::string address = at.host + ':' + std::to_string(at.port);
    const auto check = [&](const boost::system::error_code& error) {
        if (!error) return;
        stop();
        throw std::system_error(error, "admin address " + address);
    };
    impl_->context.emplace(1);
    boost::system::error_code error;
    tcp::resolver resolver{*impl_->context};
    const auto found = resolver.resolve(at.host, std::to_string(at.port), tcp::resolver::passive, error);
    check(error);
    const tcp::endpoint bound = found.begin()->endpoint();
    impl_->acceptor.emplace(*impl_->context);
    impl_->acceptor->open(bound.protocol(), error);
    check(error);
    impl_->acceptor->set_option(tcp::acceptor::reuse_address(true), error);
    check(error);
    impl_->acceptor->bind(bound, error);
    check(error);
    impl_->acceptor->listen(asio::socket_base::max_listen_connections, error);
    check(error);

    impl_->spawn(impl_->accept());
    impl_->thread = std::thread{[context = &*impl_->context] {
        pthread_setname_np(pthread_self(), "admin-http");
        context->run();
    }};
}

std::uint16_t http_server::port() const {
    return impl_->acceptor ? impl_->acceptor->local_endpoint().port() : 0;
}

void http_server::stop() {
    if (impl_->context) impl_->context->stop();
    if (impl_->thread.joinable()) impl_->thread.join();
    // With nobody running it, destroying the context ends the connections that are left.
    impl_->acceptor.reset();
    impl_->context.reset();
}

}  // namespace crossfade::telemetry
