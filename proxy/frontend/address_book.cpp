#include "proxy/frontend/address_book.hpp"

#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/this_coro.hpp>
#include <boost/asio/thread_pool.hpp>
#include <map>
#include <mutex>
#include <optional>
#include <utility>

namespace crossfade::proxy::frontend {
namespace {

using clock = std::chrono::steady_clock;

// Of one who waits. The look-up's thread reaches him by it for as long as he is there.
struct wait_slip {
    std::mutex mutex;
    asio::steady_timer* timer = nullptr;  // nobody waits any more
    std::optional<address_book::addresses> found;
};

class waiting_place {
  public:
    waiting_place(wait_slip& slip, asio::steady_timer& timer) : slip_(slip) { slip_.timer = &timer; }
    ~waiting_place() {
        const std::lock_guard lock{slip_.mutex};
        slip_.timer = nullptr;
    }
    waiting_place(const waiting_place&) = delete;
    waiting_place& operator=(const waiting_place&) = delete;

  private:
    wait_slip& slip_;
};

void hand_over(const std::shared_ptr<wait_slip>& to, const address_book::addresses& found) {
    const std::lock_guard lock{to->mutex};
    if (to->timer == nullptr) return;
    to->found = found;
    // On his own loop, where the timer is used.
    asio::post(to->timer->get_executor(), [to] {
        const std::lock_guard still{to->mutex};
        if (to->timer != nullptr) to->timer->cancel();
    });
}

}  // namespace

class address_book::page {
  public:
    page(std::string host, const look_up& by) : host_(std::move(host)), by_(by) {}
    ~page() { asking_.join(); }
    page(const page&) = delete;
    page& operator=(const page&) = delete;

    void ask(std::shared_ptr<wait_slip> slip) {
        asio::post(asking_, [this, slip = std::move(slip), wanted = clock::now()] {
            {
                const std::lock_guard lock{slip->mutex};
                if (slip->timer == nullptr) return;
            }
            if (!last_ || begun_ < wanted) {
                begun_ = clock::now();
                last_ = by_(host_);
            }
            hand_over(slip, *last_);
        });
    }

  private:
    const std::string host_;
    const look_up& by_;
    // The thread's.
    clock::time_point begun_;
    std::optional<addresses> last_;

    asio::thread_pool asking_{1};
};

struct address_book::book {
    look_up by;
    std::mutex mutex;
    std::map<std::string, page> pages;  // two: hosts come from the configuration, at start
};

address_book::address_book(look_up by) : book_(std::make_unique<book>()) {
    book_->by = std::move(by);
}

address_book::~address_book() = default;

address_book::page& address_book::page_of(const std::string& host) {
    const std::lock_guard lock{book_->mutex};
    return book_->pages.try_emplace(host, host, book_->by).first->second;
}

asio::awaitable<address_book::addresses> address_book::find(std::string host, clock::time_point until) {
    asio::steady_timer timer{co_await asio::this_coro::executor, until};
    const auto slip = std::make_shared<wait_slip>();
    const waiting_place here{*slip, timer};
    page_of(host).ask(slip);
    const auto [cancelled] = co_await timer.async_wait(use_result);
    const std::lock_guard lock{slip->mutex};
    if (slip->found) co_return *std::move(slip->found);
    co_return error_code{cancelled ? asio::error::operation_aborted : asio::error::timed_out};
}

address_book::addresses address_book::system_look_up(const std::string& host) {
    asio::io_context blocking;
    asio::ip::tcp::resolver resolver{blocking};
    error_code failed;
    const auto found = resolver.resolve(host, "", failed);
    if (failed) return failed;
    std::vector<asio::ip::address> all;
    for (const auto& entry : found) all.push_back(entry.endpoint().address());
    return all;
}

}  // namespace crossfade::proxy::frontend
