// The proxy cancels by itself what takes longer than proxy.query_timeout.
#include <gtest/gtest.h>

#include <future>
#include <optional>

#include "tests/scripted/proxy/messages.hpp"
#include "tests/scripted/proxy/proxy_between.hpp"

namespace crossfade::proxy::test {
namespace {

using namespace std::chrono_literals;
using namespace pgwire;

// Before a database that may be asked for TLS.
class a_statement_that_takes_too_long : public testing::Test {
  protected:
    // The connection by which it is cancelled, on which the database has been asked for TLS.
    peer courier() {
        client_ = proxy_->client();
        const auto opening = build(startup_message{{}, {{"user", "ann"}, {"database", "app"}}});
        client_.send(opening);
        server_ = proxy_->legacy.accept();
        server_.expect(build(ssl_request{}));
        server_.send("N");
        server_.expect(opening);
        const auto welcome = build_authentication(authentication::ok) + build_backend_key_data({42, "key!"}) + ready();
        server_.send(welcome);
        client_.expect(welcome);
        client_.send(build_query("SELECT pg_sleep(9)"));
        server_.expect(build_query("SELECT pg_sleep(9)"));
        auto one = proxy_->legacy.accept();
        one.expect(build(ssl_request{}));
        return one;
    }

    std::optional<proxy_between> proxy_{std::in_place, [](settings::configuration& config) {
                                            config.legacy.tls.mode = settings::tls_mode::prefer;
                                            config.proxy.query_timeout = 300ms;
                                            config.proxy.connect_timeout = 500ms;
                                        }};
    peer client_{-1};
    peer server_{-1};
};

TEST_F(a_statement_that_takes_too_long, is_cancelled) {
    auto one = courier();
    one.send("N");
    one.expect(build(cancel_request{42, "key!"}));
}

TEST_F(a_statement_that_takes_too_long, is_not_cancelled_for_ever_where_the_database_does_not_answer) {
    auto one = courier();
    const auto asked = std::chrono::steady_clock::now();
    one.expect_closed();
    EXPECT_LT(std::chrono::steady_clock::now() - asked, 2s);
}

TEST_F(a_statement_that_takes_too_long, does_not_keep_a_proxy_that_is_to_end) {
    auto one = courier();
    auto ends = std::async(std::launch::async, [this] { proxy_.reset(); });
    EXPECT_EQ(ends.wait_for(3s), std::future_status::ready);
    one.reset();  // so that it does in any case
}

}  // namespace
}  // namespace crossfade::proxy::test
