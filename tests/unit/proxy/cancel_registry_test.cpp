#include "proxy/frontend/cancel_registry.hpp"

#include <gtest/gtest.h>

namespace crossfade::proxy::frontend {
namespace {

using settings::side;
using match = cancel_registry::match;

TEST(cancel_registry, leads_a_client_s_key_to_where_its_session_is) {
    cancel_registry all;
    auto one = all.add({7, "key7"}, side::legacy);
    one.lead_to({99, "another key"}, side::modern);
    EXPECT_EQ(one.backend_pid(), 99U);
    EXPECT_EQ(one.request().pid, 7U);
    const auto found = all.find({7, "key7"});
    EXPECT_EQ(found.found, match::one);
    EXPECT_EQ(found.server, side::modern);
    EXPECT_EQ(found.request.pid, 99U);
    EXPECT_EQ(found.request.secret_key, "another key");
    EXPECT_EQ(all.find({99, "another key"}).found, match::none) << "which nobody was told";

    one.lead_to({8, "back"}, side::legacy);
    EXPECT_EQ(all.find({7, "key7"}).server, side::legacy);
    EXPECT_EQ(all.find({7, "key7"}).request.pid, 8U);
}

TEST(cancel_registry, knows_no_more_than_there_are) {
    cancel_registry all;
    {
        const auto one = all.add({7, "key7"}, side::legacy);
        EXPECT_EQ(all.find({7, "key7"}).request.secret_key, "key7");
        const auto other = all.add({7, "key7"}, side::modern);
        EXPECT_EQ(all.find({7, "key7"}).found, match::several);
    }
    EXPECT_EQ(all.find({7, "key7"}).found, match::none);
}

}  // namespace
}  // namespace crossfade::proxy::frontend
