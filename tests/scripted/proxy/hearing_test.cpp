// What the proxy hears of a session that may change hands one day, and that it hears nothing of others.
#include <gmock/gmock.h>

#include "tests/scripted/proxy/messages.hpp"
#include "tests/scripted/proxy/proxy_between.hpp"

namespace crossfade::proxy::test {
namespace {

using namespace std::chrono_literals;
using namespace pgwire;

proxy_between::change under(settings::write_strategy strategy) {
    return [strategy](auto& config) {
        settings::flags flags;
        flags.dual_write_strategy = strategy;
        config.flags = settings::flag_set{flags, {}, {}};
        config.proxy.threads = 1;
    };
}
constexpr auto legacy_only = settings::write_strategy::legacy_only;
constexpr auto legacy_primary = settings::write_strategy::legacy_primary;

void run(proxy_between::pair& on, const std::string& messages, const std::string& answer) {
    on.client.send(messages);
    on.server.expect(messages);
    on.server.send(answer);
    on.client.expect(answer);
}
void query(proxy_between::pair& on, const std::string& sql) {
    run(on, build_query(sql), complete("SET") + ready());
}
void expect_soon(proxy_between& proxy, const std::string& sample, double value) {
    EXPECT_TRUE(support::eventually(5s, [&] { return proxy.metric(sample) == value; }))
        << sample << " is " << proxy.metric(sample);
}

TEST(hearing, understands_what_is_suspicious_alone) {
    proxy_between proxy{under(legacy_primary)};
    auto pair = proxy.session();
    query(pair, "SELECT 1");
    query(pair, "SET app.tenant = 'acme'");
    query(pair, "SET app.tenant = 'acme'");
    query(pair, "SELECT set_config('app.user', 'ann', false)");
    expect_soon(proxy, "crossfade_proxy_limit_used{limit=\"setting_names\"}", 2);
    expect_soon(proxy, "crossfade_statement_cache_lookups_total{result=\"hit\"}", 1);
    expect_soon(proxy, "crossfade_statement_cache_lookups_total{result=\"miss\"}", 2);
    expect_soon(proxy, "crossfade_statement_cache_entries", 2);
    expect_soon(proxy, "crossfade_sessions_unclear", 0);
    query(pair, "SELECT set_config(name, 'x', false) FROM names");
    expect_soon(proxy, "crossfade_sessions_unclear", 1);
    pair.client.reset();
    expect_soon(proxy, "crossfade_sessions_unclear", 0);
}

TEST(hearing, keeps_the_unnamed_statement_for_as_long_as_it_is_there) {
    proxy_between proxy{under(legacy_primary)};
    auto pair = proxy.session();
    const std::string answer = reply('1') + ready();
    run(pair, build_parse("", "select '" + std::string(1000, 'x') + "'") + build_sync(), answer);
    EXPECT_TRUE(support::eventually(5s, [&] { return proxy.metric("crossfade_unnamed_statement_bytes") > 1000; }));
    query(pair, "SELECT 1");
    EXPECT_TRUE(support::eventually(5s, [&] { return proxy.metric("crossfade_unnamed_statement_bytes") < 100; }));
}

TEST(hearing, is_for_sessions_that_may_change_hands) {
    proxy_between proxy{under(legacy_only)};
    auto pair = proxy.session();
    query(pair, "SET app.tenant TO TO");
    run(pair, build_parse("", std::string(1000, 'x')) + build_sync(), reply('1') + ready());
    EXPECT_EQ(proxy.metric("crossfade_statement_cache_lookups_total{result=\"miss\"}"), 0);
    EXPECT_EQ(proxy.metric("crossfade_unnamed_statement_bytes"), 0);
    EXPECT_EQ(proxy.metric("crossfade_sessions_unclear"), 0);

    proxy.reload(under(legacy_primary));
    query(pair, "SELECT 1");
    expect_soon(proxy, "crossfade_sessions_unclear", 1);  // nobody listened before
    query(pair, "DISCARD ALL");
    expect_soon(proxy, "crossfade_sessions_unclear", 0);
    query(pair, "SET app.tenant TO TO");
    expect_soon(proxy, "crossfade_sessions_unclear", 1);

    proxy.reload(under(legacy_only));
    query(pair, "SELECT 1");
    expect_soon(proxy, "crossfade_sessions_unclear", 0);
    const auto misses = proxy.metric("crossfade_statement_cache_lookups_total{result=\"miss\"}");
    query(pair, "SET app.tenant TO TO TO");
    EXPECT_EQ(proxy.metric("crossfade_statement_cache_lookups_total{result=\"miss\"}"), misses);
}

}  // namespace
}  // namespace crossfade::proxy::test
