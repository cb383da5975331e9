#include <signal.h>

#include <array>
#include <cstdlib>
#include <random>
#include <stdexcept>

#include "lib/kafka/admin.hpp"
#include "tests/support/eventually.hpp"
#include "tests/support/kafka.hpp"
#include "tests/support/made_once.hpp"
#include "tests/support/ports.hpp"
#include "tests/support/programs.hpp"

namespace crossfade::support {

namespace fs = std::filesystem;

namespace {

std::optional<fs::path> jars() {
    const char* configured = std::getenv("CROSSFADE_KAFKA_LIBS");
    const fs::path libs = configured != nullptr ? fs::path{configured} : source_root() / "build/kafka/libs";
    std::error_code missing;
    for (const auto& entry : fs::directory_iterator{libs, missing})
        if (entry.path().filename().string().starts_with("kafka-clients")) return libs;
    return std::nullopt;
}

fs::path jars_that_are_there() {
    if (auto libs = jars()) return std::move(*libs);
    throw std::runtime_error("no Kafka jars: set CROSSFADE_KAFKA_LIBS");
}

bool java_in_path() {
    const char* path = std::getenv("PATH");
    std::string rest = path == nullptr ? "/usr/bin" : path;
    for (std::size_t from = 0; from <= rest.size();) {
        const auto to = std::min(rest.find(':', from), rest.size());
        if (fs::exists(fs::path{rest.substr(from, to - from)} / "java")) return true;
        from = to + 1;
    }
    return false;
}

// Kafka's Uuid, of a cluster or a folder: 16 random bytes in base64url without padding; 22 characters, the last of
// which holds two bits.
std::string random_id() {
    constexpr std::string_view letters = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    std::random_device random;
    std::string id = "C";  // "-" at the start would look like an option
    while (id.size() < 21) id += letters[random() % letters.size()];
    return id + "AQgw"[random() % 4];
}

// Of two lines of one name the later counts. The broker talks to itself in plain text, on a port of its own.
std::vector<std::string> secured(const kafka_security& by, const std::string& broker, const std::string& controller,
                                 const temp_dir& dir) {
    const auto keystore = dir.write("broker.pem", read_file(by.key_file) + read_file(by.cert_file));
    fs::permissions(keystore, fs::perms::owner_read | fs::perms::owner_write);
    const auto internal = "127.0.0.1:" + std::to_string(free_port());
    return {"listeners=SECURED://" + broker + ",INTERNAL://" + internal + ",CONTROLLER://" + controller,
            "advertised.listeners=SECURED://" + broker + ",INTERNAL://" + internal,
            "listener.security.protocol.map=SECURED:SASL_SSL,INTERNAL:PLAINTEXT,CONTROLLER:PLAINTEXT",
            "inter.broker.listener.name=INTERNAL",
            "sasl.enabled.mechanisms=SCRAM-SHA-256",
            "listener.name.secured.scram-sha-256.sasl.jaas.config="
            "org.apache.kafka.common.security.scram.ScramLoginModule required;",
            "ssl.keystore.type=PEM",
            "ssl.keystore.location=" + keystore.string()};
}

}  // namespace

bool kafka_broker::available() {
    return jars().has_value() && java_in_path();
}

kafka_broker::kafka_broker(std::vector<std::string> extra_properties, const std::vector<kafka_listener>& more,
                           std::optional<kafka_security> security)
    : port_(free_port()), controller_port_(free_port()) {
    const std::string broker = "127.0.0.1:" + std::to_string(port_);
    const std::string controller = "127.0.0.1:" + std::to_string(controller_port_);
    std::string listeners = "PLAINTEXT://" + broker;
    std::string advertised = listeners;
    std::string protocols = "PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT";
    for (const auto& [name, port, told] : more) {
        listeners += ',' + name + "://127.0.0.1:" + std::to_string(port);
        advertised += ',' + name + "://127.0.0.1:" + std::to_string(told);
        protocols += ',' + name + ":PLAINTEXT";
    }
    std::vector<std::string> properties{
        "process.roles=broker,controller",
        "node.id=1",
        "controller.quorum.voters=1@" + controller,
        "listeners=" + listeners + ",CONTROLLER://" + controller,
        "advertised.listeners=" + advertised,
        "listener.security.protocol.map=" + protocols,
        "controller.listener.names=CONTROLLER",
        "inter.broker.listener.name=PLAINTEXT",
        "log.dirs=" + (dir_.path() / "data").string(),
        "auto.create.topics.enable=false",
        "num.partitions=1",
        "offsets.topic.num.partitions=1",
        "offsets.topic.replication.factor=1",
        "transaction.state.log.replication.factor=1",
        "transaction.state.log.min.isr=1",
        "transaction.state.log.num.partitions=1",
        "group.initial.rebalance.delay.ms=0",
        "log.cleaner.backoff.ms=500",
        // After a kill the node comes back under its own id: it is let in when the old session has run out.
        "broker.session.timeout.ms=3000",
        "broker.heartbeat.interval.ms=500",
    };
    std::vector<std::string> with_users;
    if (security) {
        const auto instead = secured(*security, broker, controller, dir_);
        properties.insert(properties.end(), instead.begin(), instead.end());
        with_users = {"--add-scram", "SCRAM-SHA-256=[name=" + security->user + ",password=" + security->password + "]"};
        client_properties_ = {{"security.protocol", "sasl_ssl"},
                              {"sasl.mechanism", "SCRAM-SHA-256"},
                              {"sasl.username", security->user},
                              {"sasl.password", security->password},
                              {"ssl.ca.location", security->ca_file}};
    }
    properties.insert(properties.end(), extra_properties.begin(), extra_properties.end());
    std::string text;
    for (const auto& line : properties) text += line + '\n';
    dir_.write("server.properties", text);
    dir_.write("log4j.properties",
               "log4j.rootLogger=WARN, out\n"
               "log4j.appender.out=org.apache.log4j.ConsoleAppender\n"
               "log4j.appender.out.layout=org.apache.log4j.PatternLayout\n"
               "log4j.appender.out.layout.ConversionPattern=%d{ISO8601} %p %c: %m%n\n");
    if (!with_users.empty()) {
        format(with_users);
        return;
    }
    // A start of Java takes as much as all the rest of a broker's.
    const auto libs = jars_that_are_there();
    const auto known_by = libs.string() + ' ' + std::to_string(fs::last_write_time(libs).time_since_epoch().count());
    const auto formatted = made_once("kafka " + known_by, [&](const fs::path& at) {
        format({});
        fs::copy(dir_.path() / "data", at, fs::copy_options::recursive);
    });
    fs::copy(formatted, dir_.path() / "data", fs::copy_options::recursive | fs::copy_options::overwrite_existing);
    dir_.write("data/meta.properties",
               "version=1\nnode.id=1\ncluster.id=" + random_id() + "\ndirectory.id=" + random_id() + '\n');
}

void kafka_broker::format(const std::vector<std::string>& more) const {
    std::vector<std::string> arguments{"format", "-t", random_id(), "-c", (dir_.path() / "server.properties").string()};
    arguments.insert(arguments.end(), more.begin(), more.end());
    child_process formatting{java("kafka.tools.StorageTool", arguments)};
    if (formatting.wait_exit(std::chrono::seconds{60}) != 0)
        throw std::runtime_error("Kafka's storage can't be formatted\n" + log());
}

process_options kafka_broker::java(const std::string& main_class, const std::vector<std::string>& arguments) const {
    const auto libs = jars_that_are_there();
    process_options options{.argv = {"java", "-Xms128m", "-Xmx512m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1",
                                     "-Dlog4j.configuration=file:" + (dir_.path() / "log4j.properties").string(), "-cp",
                                     libs.string() + "/*", main_class},
                            .log = dir_.path() / "log"};
    options.argv.insert(options.argv.end(), arguments.begin(), arguments.end());
    // A third of what a broker's start costs is reading its classes (script/kafka/archive).
    if (const auto kept = libs.parent_path() / "kafka.jsa"; fs::exists(kept))
        options.argv.insert(options.argv.begin() + 1, "-XX:SharedArchiveFile=" + kept.string());
    return options;
}

void kafka_broker::start() {
    if (running()) return;
    server_.emplace(java("kafka.Kafka", {(dir_.path() / "server.properties").string()}));
    auto asked = config();
    asked.properties["log_level"] = "0";
    const bool up = eventually(std::chrono::seconds{90}, [&] {
        if (!running()) return true;
        const auto found = kafka::describe_cluster(asked, std::chrono::seconds{1});
        return found && found->brokers == 1;
    });
    if (!up || !running()) throw std::runtime_error("Kafka does not start\n" + log());
}

void kafka_broker::stop() {
    if (!running()) return;
    server_->signal(SIGTERM);
    if (!server_->wait_exit(std::chrono::seconds{30})) kill9();
}

void kafka_broker::kill9() {
    if (!server_) return;
    server_->signal(SIGKILL);
    server_->wait_exit(std::chrono::seconds{10});
}

void kafka_broker::restart() {
    stop();
    start();
}

void kafka_broker::create_topic(const std::string& name, int partitions) {
    const auto made = kafka::create_topic(config(), name, partitions, 1, {}, std::chrono::seconds{20});
    if (!made) throw std::runtime_error(kafka::to_string(made.error()));
}

void alter_topic(const settings::kafka& config, const std::string& topic,
                 const std::map<std::string, std::string>& to) {
    const auto client = kafka::make_client(RD_KAFKA_PRODUCER, config, {}).value();
    const kafka::queue_handle queue{rd_kafka_queue_new(client.get())};
    auto* asked = rd_kafka_ConfigResource_new(RD_KAFKA_RESOURCE_TOPIC, topic.c_str());
    for (const auto& [name, value] : to) rd_kafka_ConfigResource_set_config(asked, name.c_str(), value.c_str());
    rd_kafka_AlterConfigs(client.get(), &asked, 1, nullptr, queue.get());
    rd_kafka_ConfigResource_destroy(asked);
    const kafka::event_handle event{rd_kafka_queue_poll(queue.get(), 20000)};
    if (!event || rd_kafka_event_error(event.get()) != RD_KAFKA_RESP_ERR_NO_ERROR)
        throw std::runtime_error("the broker refused other settings of " + topic);
    std::size_t count = 0;
    const auto* const done =
        rd_kafka_AlterConfigs_result_resources(rd_kafka_event_AlterConfigs_result(event.get()), &count);
    for (std::size_t i = 0; i < count; ++i)
        if (rd_kafka_ConfigResource_error(done[i]) != RD_KAFKA_RESP_ERR_NO_ERROR)
            throw std::runtime_error(topic + ": " + rd_kafka_ConfigResource_error_string(done[i]));
}

void delete_topic(const settings::kafka& config, const std::string& topic) {
    const auto client = kafka::make_client(RD_KAFKA_PRODUCER, config, {}).value();
    const kafka::queue_handle queue{rd_kafka_queue_new(client.get())};
    auto* asked = rd_kafka_DeleteTopic_new(topic.c_str());
    rd_kafka_DeleteTopics(client.get(), &asked, 1, nullptr, queue.get());
    rd_kafka_DeleteTopic_destroy(asked);
    const kafka::event_handle event{rd_kafka_queue_poll(queue.get(), 20000)};
    const bool gone = event && rd_kafka_event_error(event.get()) == RD_KAFKA_RESP_ERR_NO_ERROR &&
                      eventually(std::chrono::seconds{20}, [&] {
                          const auto described = kafka::describe_topic(config, topic, std::chrono::seconds{10});
                          return described && described->partitions == 0;
                      });
    if (!gone) throw std::runtime_error("the broker does not delete " + topic);
}

}  // namespace crossfade::support
