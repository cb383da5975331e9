// `crossfade flags show` beside a proxy of a stream both ways, where the databases say who is in charge.
#include <gmock/gmock.h>

#include "lib/store/authority.hpp"
#include "tests/support/eventually.hpp"
#include "tests/support/ports.hpp"
#include "tests/support/postgres.hpp"
#include "tests/support/program.hpp"
#include "tests/support/programs.hpp"

namespace crossfade::ctl {
namespace {

using testing::AllOf;
using testing::HasSubstr;
using testing::Not;

class flags_both_ways : public testing::Test {
  protected:
    void SetUp() override {
        if (!support::postgres_cluster::available()) GTEST_SKIP() << "no PostgreSQL server here";
        server_.start();
        server_.exec("CREATE DATABASE app2", "postgres");
        for (const auto* each : {"app", "app2"}) {
            server_.exec(std::string{store::authority_sql()}, each);
            server_.exec("INSERT INTO crossfade.authority (stream, epoch, authority) VALUES ('app', 1, 'legacy')",
                         each);
        }
        const auto admin = support::free_port();
        yaml_ = "legacy: { dsn: \"" + server_.dsn("app") + "\" }\nmodern: { dsn: \"" + server_.dsn("app2") +
                "\" }\nkafka: { brokers: \"127.0.0.1:9\" }\n"
                "stream: { name: app, tables: [\"public.*\"], both_ways: true }\n"
                "tenants: { session: user }\nproxy: { listen: \"127.0.0.1:" +
                std::to_string(support::free_port()) + "\", admin: \"127.0.0.1:" + std::to_string(admin) +
                "\", capture: false }\n";
        proxy_ = std::make_unique<support::crossfade_program>("crossfade-proxy", yaml_, admin);
        proxy_->start();
        ASSERT_TRUE(proxy_->wait_ready()) << proxy_->log();
    }

    // As a flip does it.
    void decide(const std::string& authority, const std::string& apart) {
        for (const auto* each : {"app", "app2"})
            server_.exec("UPDATE crossfade.authority SET epoch = epoch + 1, authority = '" + authority +
                             "', apart = '" + apart + "'; SELECT pg_notify('crossfade.authority', 'app')",
                         each);
    }
    support::finished show(const std::string& more = "") const {
        const auto file = dir_.write("crossfade.yaml", yaml_ + more);
        return support::run({support::program_path("crossfade").string(), "--config", file.string(), "flags", "show"});
    }
    // The proxy hears of a flip by itself.
    support::finished shows_no_difference() const {
        support::finished last;
        support::eventually(std::chrono::seconds{10}, [&] { return (last = show()).exit_code == 0; });
        return last;
    }

    support::postgres_cluster server_;
    std::string yaml_;
    std::unique_ptr<support::crossfade_program> proxy_;
    const support::temp_dir dir_;
};

TEST_F(flags_both_ways, are_in_force_after_a_flip_that_the_file_says_nothing_of) {
    EXPECT_THAT(shows_no_difference().output, HasSubstr("the databases have in charge: legacy\nin force: "));
    decide("modern", "[]");
    auto shown = shows_no_difference();
    EXPECT_EQ(shown.exit_code, 0) << shown.output << proxy_->log();
    EXPECT_THAT(shown.output, HasSubstr("the databases have in charge: modern\nin force: "));
    decide("legacy", R"([{"group": "", "tenant": "acme", "authority": "modern"}])");
    shown = shows_no_difference();
    EXPECT_EQ(shown.exit_code, 0) << shown.output << proxy_->log();
    EXPECT_THAT(shown.output, HasSubstr("the databases have in charge: legacy, modern of tenant acme\nin force: "));

    // What the proxy hasn't taken is still one, and all that is named.
    shown = show("flags: { migration_drift_tolerance: 0.001 }\n");
    EXPECT_EQ(shown.exit_code, 1) << shown.output;
    EXPECT_THAT(
        shown.output,
        AllOf(HasSubstr("differs: migration_drift_tolerance: file and databases 0.001, proxy 0.0005"),
              HasSubstr("differs: tenant acme migration_drift_tolerance: file and databases 0.001, proxy 0.0005"),
              HasSubstr("NOT in force: "), Not(HasSubstr("dual_write_strategy: file"))));

    // Nobody says what the proxy should have.
    server_.stop();
    shown = show();
    EXPECT_EQ(shown.exit_code, 3) << shown.output;
    EXPECT_THAT(shown.output,
                AllOf(HasSubstr("legacy does not say who is in charge: "), HasSubstr("modern does not say"),
                      HasSubstr("the databases would say"), Not(HasSubstr("NOT in force"))));
}

}  // namespace
}  // namespace crossfade::ctl
