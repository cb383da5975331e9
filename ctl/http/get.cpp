#include "ctl/http/get.hpp"

#include <boost/asio/connect.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/core/tcp_stream.hpp>
#include <boost/beast/http.hpp>

namespace crossfade::ctl::http {

namespace asio = boost::asio;
namespace beast = boost::beast;

// Beast's blocking calls know no deadline, its asynchronous ones do: one context, run here until all is done.
boost::system::result<reply> get(const settings::endpoint& at, const std::string& path,
                                 std::chrono::milliseconds patience) {
    asio::io_context context;
    asio::ip::tcp::resolver resolver(context);
    boost::system::error_code failed;
    // An admin address that listens everywhere is reached here.
    const std::string host = at.host == "0.0.0.0" || at.host == "*" || at.host.empty() ? "127.0.0.1" : at.host;
    const auto found = resolver.resolve(host, std::to_string(at.port), failed);
    if (failed) return failed;

    beast::tcp_stream stream(context);
    stream.expires_after(patience);
    beast::http::request<beast::http::empty_body> request(beast::http::verb::get, path, 11);
    request.set(beast::http::field::host, to_string(at));
    request.set(beast::http::field::connection, "close");
    beast::http::response_parser<beast::http::string_body> answer;
    answer.body_limit(std::uint64_t{16} << 20);
    beast::flat_buffer buffer;

    stream.async_connect(found, [&](auto connect_error, const auto&) {
        if ((failed = connect_error)) return;
        beast::http::async_write(stream, request, [&](auto write_error, std::size_t) {
            if ((failed = write_error)) return;
            beast::http::async_read(stream, buffer, answer, [&](auto read_error, std::size_t) { failed = read_error; });
        });
    });
    context.run();
    if (failed) return failed;
    return reply{.status = answer.get().result_int(), .body = answer.get().body()};
}

}  // namespace crossfade::ctl::http
