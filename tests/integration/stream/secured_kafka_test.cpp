// A broker that asks for TLS and a log-in, by kafka.properties and kafka.properties_files alone.
#include <gmock/gmock.h>

#include "tests/support/certificates.hpp"
#include "tests/support/eventually.hpp"
#include "tests/support/kafka.hpp"
#include "tests/support/ports.hpp"
#include "tests/support/postgres.hpp"
#include "tests/support/program.hpp"
#include "tests/support/programs.hpp"

namespace crossfade {
namespace {

using namespace std::chrono_literals;
using testing::AllOf;
using testing::HasSubstr;
using testing::Not;

const std::string wrong_password = "this-is-wrong";

struct access {
    std::string protocol = "sasl_ssl";
    std::string ca_file;
    std::string password_file;
};

class secured_kafka : public testing::Test {
  protected:
    void SetUp() override {
        if (!support::kafka_broker::available()) GTEST_SKIP() << "no Kafka: script/bootstrap --kafka";
        const auto cert = authority_.issue("broker", "IP:127.0.0.1");
        broker_.emplace(std::vector<std::string>{}, std::vector<support::kafka_listener>{},
                        support::kafka_security{cert.cert, cert.key, authority_.file(), "crossfade", broker_password_});
        broker_->start();
        for (auto* side : {&legacy_, &modern_}) {
            side->start();
            side->exec("CREATE TABLE stock (id int PRIMARY KEY)");
        }
        right_ = {.ca_file = authority_.file(), .password_file = secrets_.write("right", broker_password_ + "\n")};
    }

    std::string yaml(const access& by) const {
        const auto at = [](std::uint16_t port) { return "\"127.0.0.1:" + std::to_string(port) + '"'; };
        return "legacy: { dsn: \"" + legacy_.dsn() + "\" }\nmodern: { dsn: \"" + modern_.dsn() +
               "\" }\nkafka:\n  brokers: \"" + broker_->brokers() +
               "\"\n  properties: { security.protocol: " + by.protocol +
               ", sasl.mechanism: SCRAM-SHA-256, sasl.username: crossfade, ssl.ca.location: \"" + by.ca_file +
               "\" }\n  properties_files: { sasl.password: \"" + by.password_file +
               "\" }\nstream: { name: app, tables: [\"public.*\"] }\nproxy: { listen: " + at(listen_) +
               ", admin: " + at(proxy_admin_) + " }\ncdc: { admin: " + at(cdc_admin_) + " }\n";
    }

    support::finished crossfade(const access& by, const std::string& command) const {
        const auto file = secrets_.write("crossfade.yaml", yaml(by));
        return support::run({support::program_path("crossfade").string(), "--config", file.string(), command}, 120s);
    }

    support::certificate_authority authority_{"kafka's"};
    support::certificate_authority stranger_{"nobody's"};
    support::temp_dir secrets_;
    std::string broker_password_ = "correct-horse";
    support::postgres_cluster legacy_;
    support::postgres_cluster modern_;
    std::optional<support::kafka_broker> broker_;
    std::uint16_t listen_ = support::free_port();
    std::uint16_t proxy_admin_ = support::free_port();
    std::uint16_t cdc_admin_ = support::free_port();
    access right_;
};

TEST_F(secured_kafka, carries_the_stream) {
    const auto made = crossfade(right_, "init");
    ASSERT_EQ(made.exit_code, 0) << made.output << made.errors;
    const auto copied = crossfade(right_, "backfill");
    ASSERT_EQ(copied.exit_code, 0) << copied.output << copied.errors;
    const auto checked = crossfade(right_, "check");
    EXPECT_THAT(checked.output, HasSubstr("crossfade.app.changes, 1 partition"));

    auto wrong = right_;
    wrong.password_file = secrets_.write("wrong", wrong_password);
    auto untrusting = right_;
    untrusting.ca_file = stranger_.file();
    // Both begin with what the broker refuses, say so, and work after a restart with what it takes.
    support::crossfade_program proxy{"crossfade-proxy", yaml(wrong), proxy_admin_};
    support::crossfade_program cdc{"crossfade-cdc", yaml(untrusting), cdc_admin_};
    proxy.start();
    cdc.start();
    legacy_.exec("INSERT INTO stock SELECT generate_series(1, 100)");
    EXPECT_TRUE(support::eventually(60s, [&] {
        return proxy.log().find("see sasl.mechanism, sasl.username and sasl.password in kafka.properties") !=
               std::string::npos;
    })) << proxy.log();
    EXPECT_TRUE(support::eventually(60s, [&] {
        return cdc.log().find("see security.protocol and ssl.ca.location in kafka.properties") != std::string::npos;
    })) << cdc.log();
    for (auto* program : {&proxy, &cdc}) {
        program->stop();
        program->configure(yaml(right_));
        program->start();
    }
    EXPECT_TRUE(support::eventually(60s, [&] { return modern_.value("SELECT count(*) FROM stock") == "100"; }))
        << proxy.log() << cdc.log();
    for (const auto& log : {proxy.log(), cdc.log()})
        EXPECT_THAT(log, AllOf(Not(HasSubstr(wrong_password)), Not(HasSubstr(broker_password_))));
}

TEST_F(secured_kafka, that_refuses_says_which_property_to_look_at) {
    const auto fails = [&](const access& by, const std::string& says) {
        const auto done = crossfade(by, "check");
        const auto all = done.output + done.errors;
        EXPECT_NE(done.exit_code, 0) << all;
        EXPECT_THAT(all, AllOf(HasSubstr("kafka.reachable"), HasSubstr(says)));
        EXPECT_THAT(all, AllOf(Not(HasSubstr(wrong_password)), Not(HasSubstr(broker_password_))));
    };
    auto wrong = right_;
    wrong.password_file = secrets_.write("wrong", wrong_password);
    fails(wrong, "see sasl.mechanism, sasl.username and sasl.password in kafka.properties");
    wrong = right_;
    wrong.ca_file = stranger_.file();
    fails(wrong, "see security.protocol and ssl.ca.location in kafka.properties");
    wrong = right_;
    wrong.ca_file = "/nowhere/ca.crt";
    fails(wrong, "ssl.ca.location");
    wrong = right_;
    wrong.protocol = "sasl_plaintext";
    fails(wrong, "security.protocol");
}

}  // namespace
}  // namespace crossfade
