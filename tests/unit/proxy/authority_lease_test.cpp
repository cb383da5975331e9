#include "proxy/frontend/authority_lease.hpp"

#include <gtest/gtest.h>

#include "tests/support/eventually.hpp"

namespace crossfade::proxy::frontend {
namespace {

using namespace std::chrono_literals;
using clock = authority_lease::clock;

TEST(authority_lease, keeps_nobody_waiting_where_nobody_gives_it) {
    authority_lease lease;
    EXPECT_FALSE(lease.keeps_waiting());
    EXPECT_FALSE(lease.patience_is_over());
}

TEST(authority_lease, keeps_waiting_from_its_end_until_it_is_renewed) {
    authority_lease lease;
    EXPECT_FALSE(lease.renew(clock::now() + 1h));
    EXPECT_FALSE(lease.keeps_waiting());
    EXPECT_FALSE(lease.renew(clock::now() - 1ms)) << "nobody has asked meanwhile";
    EXPECT_TRUE(lease.keeps_waiting());
    EXPECT_TRUE(lease.renew(clock::now() + 1h)) << "somebody waits";
    EXPECT_FALSE(lease.keeps_waiting());
}

TEST(authority_lease, keeps_nobody_waiting_for_long) {
    authority_lease lease;
    lease.renew(clock::now() - 1h);
    EXPECT_TRUE(lease.keeps_waiting());
    EXPECT_FALSE(lease.patience_is_over());
    EXPECT_TRUE(support::eventually(10s, [&] { return !lease.keeps_waiting(); }));
    EXPECT_TRUE(lease.patience_is_over());
    // The next to come isn't kept waiting either.
    EXPECT_FALSE(lease.keeps_waiting());
}

}  // namespace
}  // namespace crossfade::proxy::frontend
