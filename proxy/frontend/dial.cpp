#include "proxy/frontend/dial.hpp"

#include <boost/asio/experimental/awaitable_operators.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/local/stream_protocol.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/this_coro.hpp>
#include <chrono>
#include <string>
#include <vector>

namespace crossfade::proxy::frontend {
namespace {

using namespace asio::experimental::awaitable_operators;
using boost::system::result;
using generic_endpoint = asio::generic::stream_protocol::endpoint;

asio::awaitable<result<std::vector<generic_endpoint>>> addresses_of(const settings::endpoint& of, address_book& names,
                                                                    std::chrono::steady_clock::time_point until) {
    std::vector<generic_endpoint> addresses;
    if (of.host.starts_with('/')) {
        const auto path = of.host + "/.s.PGSQL." + std::to_string(of.port);
        if (path.size() >= sizeof(sockaddr_un::sun_path)) co_return error_code{asio::error::name_too_long};
        addresses.emplace_back(asio::local::stream_protocol::endpoint(path));
        co_return addresses;
    }
    error_code not_numeric;
    const auto address = asio::ip::make_address(of.host, not_numeric);
    if (!not_numeric) {
        addresses.emplace_back(asio::ip::tcp::endpoint(address, of.port));
        co_return addresses;
    }
    const auto found = co_await names.find(of.host, until);
    if (!found) co_return found.error();
    for (const auto& each : *found) addresses.emplace_back(asio::ip::tcp::endpoint(each, of.port));
    co_return addresses;
}

asio::awaitable<result<stream_socket>> connect_any(settings::endpoint to, settings::snapshot in_force,
                                                   address_book& names, std::chrono::steady_clock::time_point until) {
    const auto addresses = co_await addresses_of(to, names, until);
    if (!addresses) co_return addresses.error();
    error_code last = asio::error::host_not_found;
    auto to_come = static_cast<int>(addresses->size());
    for (const auto& address : *addresses) {
        stream_socket socket{co_await asio::this_coro::executor};
        // One that swallows what is sent to it leaves the others their share of the time.
        const auto now = std::chrono::steady_clock::now();
        asio::steady_timer its_time{socket.get_executor(), now + (until - now) / to_come--};
        const auto first = co_await (socket.async_connect(address, use_result) || its_time.async_wait(use_result));
        const auto failed = first.index() == 0 ? std::get<0>(std::get<0>(first)) : error_code{asio::error::timed_out};
        if (!failed) {
            prepare(socket, in_force->config.proxy);
            co_return std::move(socket);
        }
        last = failed;
        if (failed == asio::error::operation_aborted) break;
    }
    co_return last;
}

}  // namespace

asio::awaitable<result<stream_socket>> dial(settings::endpoint to, settings::snapshot in_force, address_book& names) {
    const auto until = std::chrono::steady_clock::now() + in_force->config.proxy.connect_timeout;
    asio::steady_timer timer{co_await asio::this_coro::executor, until};
    auto first = co_await (connect_any(std::move(to), in_force, names, until) || timer.async_wait(use_result));
    if (first.index() == 1) co_return error_code{asio::error::timed_out};
    co_return std::move(std::get<0>(first));
}

}  // namespace crossfade::proxy::frontend
