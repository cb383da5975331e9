#include "lib/telemetry/metrics.hpp"

#include <gmock/gmock.h>
#include <prometheus/counter.h>

#include "lib/telemetry/version.hpp"
#include "tests/support/http.hpp"

namespace crossfade::telemetry {
namespace {

TEST(exposition, has_every_family_of_the_registry) {
    prometheus::Registry registry;
    add_build_info(registry, "crossfade-proxy");
    prometheus::BuildCounter().Name("crossfade_things_total").Help("Things.").Register(registry).Add({}).Increment(3);

    const auto text = exposition(registry);
    EXPECT_THAT(text, testing::HasSubstr("# TYPE crossfade_things_total counter"));
    EXPECT_EQ(support::sample_value(text, "crossfade_things_total "), 3);
    EXPECT_EQ(support::sample_value(
                  text, "crossfade_build_info{program=\"crossfade-proxy\",version=\"" + std::string{version} + "\"}"),
              1);
}

}  // namespace
}  // namespace crossfade::telemetry
