#include "lib/settings/secrets.hpp"

#include <gmock/gmock.h>

#include "lib/settings/kafka_properties.hpp"
#include "tests/unit/settings/sample.hpp"

namespace crossfade::settings {
namespace {

TEST(secrets, come_from_the_environment) {
    const auto env = variables({{"A", "1"}, {"B_2", "${A}"}, {"EMPTY", ""}});
    const std::pair<const char*, const char*> cases[] = {
        {"", ""},           {"plain", "plain"},   {"${A}", "1"}, {"x${A}y${A}", "x1y1"},
        {"${B_2}", "${A}"}, {"[${EMPTY}]", "[]"}, {"$A", "$A"},  {"$${A}", "${A}"},
        {"a$", "a$"},       {"$$", "$$"}};
    for (const auto& [text, expected] : cases) {
        const auto read = expand(text, env);
        ASSERT_TRUE(read) << text;
        EXPECT_EQ(*read, expected);
    }
    for (const char* text : {"${", "${}", "${A", "${A B}", "${1A}", "${NOT_SET}"})
        EXPECT_FALSE(expand(text, env)) << text;
}

TEST(secrets, come_from_files) {
    const scratch_folder folder;
    folder.write("dsn", "host=a dbname=b password=hunter2\n");
    folder.write("password", "s3cret\r\n");
    folder.write("empty", "\n");
    folder.write("huge", std::string(70000, 'x'));
    const std::string rest = "modern: { dsn: 'host=b dbname=b' }\nstream: { name: app, tables: ['public.*'] }\n";

    const auto good = folder.write("good.yaml",
                                   "legacy: { dsn_file: dsn }\nkafka:\n  brokers: a:1\n  properties_files: { "
                                   "sasl.password: '" +
                                       folder / "password" + "' }\n" + rest);
    const auto read = load(good, variables({}));
    ASSERT_TRUE(read) << to_string(read.error().problems.at(0));
    EXPECT_EQ(read->legacy.dsn, "host=a dbname=b password=hunter2");
    EXPECT_EQ(read->kafka.properties.at("sasl.password"), "s3cret");

    const auto bad = folder.write("bad.yaml",
                                  "legacy: { dsn_file: empty }\nkafka:\n  brokers: a:1\n  properties: { "
                                  "sasl.username: x }\n  properties_files: { sasl.username: password, "
                                  "sasl.password: huge, group.id: password, acks: /etc }\n" +
                                      rest);
    const auto refused = load(bad, variables({}));
    ASSERT_FALSE(refused);
    std::vector<std::string> said;
    for (const auto& each : refused.error().problems) said.push_back(each.key + ": " + each.allowed);
    EXPECT_THAT(said,
                testing::ElementsAre("legacy.dsn_file: a file that is not empty",
                                     "kafka.properties_files.sasl.username: one of them",
                                     "kafka.properties_files.sasl.password: a file that can be read: more than 64 KiB",
                                     testing::HasSubstr("kafka.properties_files.group.id: everything but"),
                                     testing::HasSubstr("kafka.properties_files.acks: everything but")));
}

// Whatever is wrong with a file around it, a password in it is never said.
TEST(secrets, are_never_repeated) {
    const std::string secret = "hunter2";
    const std::string wrong[] = {
        "legacy: { dsn: 'postgresql://app:hunter2@h:x/app' }",
        "legacy: { dsn: 'password=hunter2' }",
        "legacy: { dsn: 'password=a hunter2' }",
        "legacy: { dsn: [postgresql://app:hunter2@h/app] }",
        "legacy: postgresql://app:hunter2@h/app",
        "legacy: hunter2",
        "legacy: { 'postgresql://app:hunter2@h/app' }",
        "legacy: { dsn_fil: 'postgresql://app:hunter2@h/app' }",
        "legacy: { dsn_file: 'postgresql://app:hunter2@h/app' }",
        "legacy: { dsn: 'postgresql://app:hunter2@h/app?sslmode=verify-full' }",
        "kafka: { brokers: 'app:hunter2@h:9092' }",
        "kafka: { properties: { sasl.password: [hunter2] } }",
        "kafka: { properties: { sasl.passwort: hunter2 } }",
        "kafka: { properties: { sasl.mechanisms: hunter2 } }",
        "kafka: { properties: { transactional.id: hunter2 } }",
        "kafka: { properties: { security.protocol: hunter2 } }",
        "kafka: { properties: { sasl.password: *hunter2 } }",
        "kafka: { properties: { sasl.password: ${hunter2 } }",
        "log: { level: 'password=hunter2' }",
        "log: { level: 'postgresql://h/app?user=hunter2' }",
    };
    for (const auto& text : wrong) {
        const auto all = messages(text);
        EXPECT_FALSE(all.empty()) << text;
        EXPECT_THAT(all, testing::Each(testing::Not(testing::HasSubstr(secret)))) << text;
    }
}

TEST(kafka_properties, that_carry_the_promises_are_reserved) {
    for (const char* name :
         {"bootstrap.servers", "metadata.broker.list", "enable.idempotence", "acks", "request.required.acks",
          "message.timeout.ms", "delivery.timeout.ms", "enable.gapless.guarantee", "auto.offset.reset",
          "isolation.level", "enable.auto.commit", "transactional.id", "group.id", "retries", "max.in.flight"})
        EXPECT_TRUE(reserved_property(name)) << name;
    for (const char* name : {"compression.type", "linger.ms", "sasl.password", "ssl.ca.location", "client.id"})
        EXPECT_FALSE(reserved_property(name)) << name;
}

}  // namespace
}  // namespace crossfade::settings
