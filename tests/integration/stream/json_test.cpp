// The topic in Debezium's shape, read as docs/events.md says.
#include <gmock/gmock.h>

#include <array>
#include <boost/json.hpp>
#include <map>

#include "lib/kafka/consumer.hpp"
#include "tests/chaos/landscape.hpp"
#include "tests/integration/stream/standby.hpp"
#include "tests/integration/stream/status_of.hpp"
#include "tests/support/eventually.hpp"

namespace crossfade {
namespace {

using namespace std::chrono_literals;
namespace json = boost::json;

std::string text_of(const json::value& of) {
    return of.is_string() ? std::string{of.as_string()} : json::serialize(of);
}

// Somebody else's copy of table stock, made of the topic alone.
class copy_of_stock {
  public:
    explicit copy_of_stock(const settings::kafka& config)
        : reader_(kafka::partition_reader::open(config, "crossfade.app.json", 0, "somebody").value()) {
        reader_.seek(0, 10s).value();
    }

    void read() {
        const auto some = reader_.read(1000, 100ms);
        if (!some) return;
        for (const auto& message : *some) take(message.key(), json::parse(message.payload()).as_object());
    }

    const std::map<std::string, std::vector<std::string>>& rows() const { return rows_; }
    std::size_t repeats() const { return repeats_; }
    std::size_t begun_anew() const { return begun_anew_; }
    const std::map<std::string, int>& operations() const { return operations_; }

  private:
    using place = std::array<std::int64_t, 4>;

    void take(std::string_view key, const json::object& value) {
        const auto& source = value.at("source").as_object();
        const auto operation = text_of(value.at("op"));
        const place at{source.at("timeline").as_int64(), source.at("lsn").as_int64(), source.at("ordinal").as_int64(),
                       source.at("part").as_int64()};
        if (operation == "m" && text_of(value.at("message").at("prefix")) == "crossfade.resync") {
            newest_ = at;
            ++begun_anew_;
            return rows_.clear();
        }
        if (at <= newest_) {
            ++repeats_;
            return;
        }
        newest_ = at;
        ++operations_[operation];
        if (operation == "m" || text_of(source.at("table")) != "stock") return;
        if (operation == "t") return rows_.clear();
        const auto id = text_of(json::parse(key).at("id"));
        if (operation == "d") {
            rows_.erase(id);
            return;
        }
        auto& row = rows_[id];
        row.resize(4);
        std::size_t column = 0;
        for (const auto& [ignored, cell] : value.at("after").as_object()) {
            auto text = text_of(cell);
            if (text != "__debezium_unavailable_value") row[column] = std::move(text);
            ++column;
        }
    }

    kafka::partition_reader reader_;
    place newest_{};
    std::map<std::string, std::vector<std::string>> rows_;
    std::map<std::string, int> operations_;
    std::size_t repeats_ = 0;
    std::size_t begun_anew_ = 0;
};

// Nobody publishes afterwards.
void publish_json(chaos::landscape& world, const std::string& settings) {
    auto yaml = world.configuration();
    const std::string name = "stream: { name: app";
    yaml.replace(yaml.find(name), name.size(), name + ", " + settings);
    world.proxy.stop();
    world.proxy.configure(yaml);
}

TEST(json_events, tell_another_reader_everything_once_repeats_are_dropped) {
    if (!support::kafka_broker::available()) GTEST_SKIP() << "no Kafka: script/bootstrap --kafka";
    chaos::landscape world{{.schema =
                                "CREATE TABLE stock (id bigint PRIMARY KEY, note text, amount numeric, sold boolean);"
                                "ALTER TABLE stock ALTER note SET STORAGE EXTERNAL;"}};
    publish_json(world, "json_events: true");

    // Without its topic it waits and says so; init makes what is missing.
    world.proxy.start();
    EXPECT_TRUE(support::eventually(30s, [&] {
        return world.proxy.log().find("Kafka has no topic crossfade.app.json; way out: run `crossfade init`") !=
               std::string::npos;
    })) << world.proxy.log();
    const auto made = world.crossfade({"init"});
    EXPECT_THAT(made.output, testing::HasSubstr("crossfade.app.json"));
    EXPECT_EQ(made.exit_code, 0) << made.output << made.errors;
    const auto checked = world.crossfade({"check"});
    EXPECT_THAT(checked.output, testing::HasSubstr("crossfade.app.json, 1 partition"));

    // Killed between Kafka's acknowledgement and the slot's confirmation, so that events come twice.
    world.proxy.stop();
    world.proxy.start({{"CROSSFADE_FAILPOINT", "capture.acknowledged:2"}});
    world.legacy.exec(
        "INSERT INTO stock SELECT id, repeat('x', 3000), id / 4.0, false FROM generate_series(1, 100) id;"
        "INSERT INTO stock VALUES (9007199254740993, 'größe \"1\"', 'NaN', NULL)");
    for (int id = 1; world.proxy.running() && id < 3000; ++id)
        world.legacy.exec("UPDATE stock SET sold = true, amount = " + std::to_string(id) +
                          " WHERE id = " + std::to_string(id % 50 + 1));
    ASSERT_TRUE(support::eventually(30s, [&] { return !world.proxy.running(); }));
    world.proxy.start();
    world.legacy.exec(
        "UPDATE stock SET id = id + 1000 WHERE id < 10; DELETE FROM stock WHERE id BETWEEN 20 AND 30;"
        "UPDATE stock SET note = 'changed' WHERE id = 40");

    const auto there = [&] {
        std::map<std::string, std::vector<std::string>> rows;
        for (const auto& row : world.legacy.exec(
                 "SELECT id::text, note, amount::text, coalesce(sold::text, 'null') FROM stock ORDER BY id"))
            rows[row[0]] = row;
        return rows;
    };
    copy_of_stock copy{world.broker.config()};
    auto expected = there();
    // A changed key comes as delete and create: what the WAL doesn't have of a TOASTed value is not known.
    for (int id = 1001; id < 1010; ++id) expected.at(std::to_string(id))[1].clear();
    EXPECT_TRUE(support::eventually(60s, [&] {
        copy.read();
        return copy.rows() == expected;
    })) << world.logs();
    EXPECT_GT(copy.repeats(), 0U);
    EXPECT_EQ(copy.operations().at("c"), 101 + 9);
    EXPECT_EQ(copy.operations().at("d"), 11 + 9);

    world.legacy.exec("TRUNCATE stock");
    EXPECT_TRUE(support::eventually(60s, [&] {
        copy.read();
        return copy.rows().empty();
    }));
    EXPECT_EQ(copy.operations().at("t"), 1);
    // What crossfade-cdc reads is the same as ever.
    EXPECT_EQ(world.settle(60s), "");
    EXPECT_EQ(world.complaints(), "");
}

// A copy of legacy's disk is put back: the same places come a second time, with other rows.
TEST(json_events, begin_anew_with_a_resync) {
    if (!support::kafka_broker::available()) GTEST_SKIP() << "no Kafka: script/bootstrap --kafka";
    chaos::landscape world{
        {.schema = "CREATE TABLE stock (id bigint PRIMARY KEY, note text, amount numeric, sold boolean);",
         .legacy = {.durable = true}}};
    publish_json(world, "json_events: true");
    ASSERT_EQ(world.crossfade({"init"}).exit_code, 0);
    world.proxy.start();
    copy_of_stock copy{world.broker.config()};
    const auto write = [&](int from, int to, const std::string& note) {
        world.legacy.exec("INSERT INTO stock SELECT id, '" + note + "' FROM generate_series(" + std::to_string(from) +
                          ", " + std::to_string(to) + ") id");
    };
    const auto has = [&](std::size_t rows) {
        return support::eventually(60s, [&] {
            copy.read();
            return copy.rows().size() == rows;
        });
    };
    write(1, 50, "kept");
    ASSERT_TRUE(has(50)) << world.logs();
    world.legacy.stop();
    const support::temp_dir backup;
    copy_files(world.legacy.data_dir(), backup.path() / "data");
    world.legacy.start();
    write(51, 20000, "lost");
    ASSERT_TRUE(has(20000)) << world.logs();
    world.legacy.stop();
    copy_files(backup.path() / "data", world.legacy.data_dir());
    world.legacy.start();
    ASSERT_TRUE(support::eventually(60s, [&] { return status_of(world.proxy, "state") == "stopped"; })) << world.logs();

    const auto done = world.crossfade({"backfill", "--resync"});
    ASSERT_EQ(done.exit_code, 0) << done.output << done.errors;
    write(51, 60, "found");
    world.legacy.exec("UPDATE stock SET note = 'changed' WHERE id = 1");
    // Of those that were kept it has what comes once more, from the slot's place.
    const auto note_of = [&](const std::string& id) {
        const auto found = copy.rows().find(id);
        return found == copy.rows().end() ? "" : found->second[1];
    };
    EXPECT_TRUE(support::eventually(60s, [&] {
        copy.read();
        return note_of("1") == "changed";
    })) << world.logs();
    EXPECT_EQ(copy.begun_anew(), 1U);
    for (int id = 51; id <= 60; ++id) EXPECT_EQ(note_of(std::to_string(id)), "found");
    EXPECT_LE(copy.rows().size(), 60U) << "no row is left that legacy has lost";
    EXPECT_EQ(world.settle(60s), "") << world.logs();
}

// The newest of each key, as a reader has it that begins when most is gone.
class compacted_copy {
  public:
    explicit compacted_copy(const settings::kafka& config)
        : reader_(kafka::partition_reader::open(config, "crossfade.app.json", 0, "somebody").value()) {}

    // All that is there now, from the beginning.
    void read() {
        rows_.clear();
        messages_ = 0;
        const auto marks = reader_.query_watermarks(10s).value();
        reader_.seek(marks.low, 10s).value();
        written_ = marks.high;
        for (std::int64_t next = marks.low; next < marks.high;) {
            const auto some = reader_.read(1000, 1s);
            // What was at the end may be gone.
            if (!some || some->empty()) break;
            for (const auto& message : *some) {
                next = message.offset() + 1;
                ++messages_;
                take(std::string{message.key()}, message.payload());
            }
        }
    }

    const std::map<std::string, std::string>& rows() const { return rows_; }
    std::int64_t messages() const { return messages_; }
    std::int64_t written() const { return written_; }

  private:
    void take(const std::string& key, std::string_view value) {
        if (value.empty()) {
            rows_.erase(key);
            return;
        }
        const auto event = json::parse(value).as_object();
        if (text_of(event.at("op")) == "d") {
            rows_.erase(key);
        } else {
            rows_[key] = text_of(event.at("after").at("note"));
        }
    }

    kafka::partition_reader reader_;
    std::map<std::string, std::string> rows_;
    std::int64_t messages_ = 0;
    std::int64_t written_ = 0;
};

TEST(json_events, may_be_compacted_by_kafka) {
    if (!support::kafka_broker::available()) GTEST_SKIP() << "no Kafka: script/bootstrap --kafka";
    chaos::landscape world{{.schema = "CREATE TABLE stock (id int PRIMARY KEY, note text);"
                                      "CREATE TABLE twin (id int PRIMARY KEY, note text);"}};
    publish_json(world, "json_events: true, json_cleanup: compact");
    EXPECT_THAT(world.crossfade({"init"}).output, testing::HasSubstr("created, compacted"));
    EXPECT_THAT(world.crossfade({"check"}).output, testing::HasSubstr("cleanup.policy=compact"));
    support::alter_topic(world.broker.config(), "crossfade.app.json",
                         {{"cleanup.policy", "compact"},
                          {"segment.ms", "500"},
                          {"min.cleanable.dirty.ratio", "0.01"},
                          {"delete.retention.ms", "100"},
                          {"max.compaction.lag.ms", "1000"}});
    world.proxy.start();
    for (const char* table : {"stock", "twin"}) {
        world.legacy.exec("INSERT INTO public." + std::string{table} + " SELECT n, '" + table +
                          "' FROM generate_series(1, 40) n");
        for (int round = 0; round < 15; ++round)
            world.legacy.exec("UPDATE public." + std::string{table} + " SET note = note || '" +
                              std::to_string(round % 10) + "'");
        world.legacy.exec("DELETE FROM public." + std::string{table} + " WHERE id > 20");
    }
    world.legacy.exec("UPDATE public.twin SET id = id + 100 WHERE id <= 5");

    std::map<std::string, std::string> expected;
    for (const char* table : {"stock", "twin"})
        for (const auto& row : world.legacy.exec("SELECT id, note FROM public." + std::string{table}))
            expected[R"({"id":)" + row[0] + R"(,"__dbz__physicalTableIdentifier":"crossfade.app.public.)" + table +
                     "\"}"] = row[1];
    compacted_copy copy{world.broker.config()};
    EXPECT_TRUE(support::eventually(90s,
                                    [&] {
                                        // The newest segment is never compacted.
                                        world.legacy.exec("UPDATE public.stock SET note = note WHERE id = 1");
                                        copy.read();
                                        return copy.rows() == expected && copy.messages() < copy.written() / 3;
                                    }))
        << copy.messages() << " of " << copy.written() << world.logs();
    EXPECT_EQ(copy.rows(), expected);
    // What crossfade-cdc reads is the same as ever.
    EXPECT_EQ(world.settle(60s), "");
    EXPECT_EQ(world.complaints(), "");
}

}  // namespace
}  // namespace crossfade
