#pragma once

#include <boost/asio/ip/address.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/system/result.hpp>
#include <chrono>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "proxy/frontend/sockets.hpp"

namespace crossfade::proxy::frontend {

// The addresses of the databases' names, asked for anew each time, as names are what a failover moves. The system's
// look-up (getaddrinfo) blocks and can't be cancelled, so each name has a thread of its own: who waits for one isn't
// held up by another, and can leave. Of those who wait for a name one look-up is for all. Thread-safe.
class address_book {
  public:
    using addresses = boost::system::result<std::vector<asio::ip::address>>;
    using look_up = std::function<addresses(const std::string& host)>;

    explicit address_book(look_up by = system_look_up);
    ~address_book();  // waits for look-ups that are under way, up to the system's own timeout
    address_book(const address_book&) = delete;
    address_book& operator=(const address_book&) = delete;

    // Fails with asio::error::timed_out at `until`, with operation_aborted when the wait is cancelled, or with what the
    // look-up failed with.
    asio::awaitable<addresses> find(std::string host, std::chrono::steady_clock::time_point until);

    static addresses system_look_up(const std::string& host);

  private:
    class page;
    page& page_of(const std::string& host);

    struct book;
    std::unique_ptr<book> book_;
};

}  // namespace crossfade::proxy::frontend
