#pragma once

#include <gmock/gmock.h>

#include <boost/json.hpp>
#include <cmath>
#include <map>

#include "lib/events/codec.hpp"
#include "lib/kafka/consumer.hpp"
#include "lib/kafka/partition.hpp"
#include "tests/chaos/landscape.hpp"
#include "tests/support/eventually.hpp"
#include "tests/support/http.hpp"

namespace crossfade {

// A stream that is ordered by key: its partitions shared by two crossfade-cdc.
//
// Tables whose rows are tied by more than their key have REPLICA IDENTITY FULL: each is one partition's as a whole.
inline constexpr const char* tables_by_key = R"sql(
    CREATE TABLE stock (id int PRIMARY KEY, note text);
    CREATE TABLE seat (id int PRIMARY KEY, code text UNIQUE);
    CREATE TABLE slot_of_time (id int PRIMARY KEY, during int4range, EXCLUDE USING gist (during WITH &&));
    CREATE TABLE email (id int PRIMARY KEY, address text);
    ALTER TABLE seat REPLICA IDENTITY FULL;
    ALTER TABLE slot_of_time REPLICA IDENTITY FULL;
    CREATE TABLE parent (id int PRIMARY KEY);
    CREATE TABLE child (id int PRIMARY KEY, parent int NOT NULL REFERENCES parent ON DELETE CASCADE ON UPDATE CASCADE);
    CREATE TABLE keyless (v int);
)sql";

class by_key : public testing::Test {
  protected:
    static constexpr unsigned partitions = 4;
    const std::string topic = "crossfade.app.changes";

    void SetUp() override {
        if (!support::kafka_broker::available()) GTEST_SKIP() << "no Kafka: script/bootstrap --kafka";
        world_.emplace(chaos::landscape_options{.schema = tables_by_key, .partitions = partitions});
    }

    std::string legacy(const std::string& sql) { return world_->legacy.exec(sql).empty() ? "" : "rows"; }
    void insert(int from, int to) {
        legacy("INSERT INTO stock SELECT i, 'n' FROM generate_series(" + std::to_string(from) + ", " +
               std::to_string(to) + ") i");
    }
    void expect_equal() {
        EXPECT_EQ(world_->settle(std::chrono::seconds{60}), "") << world_->logs();
        EXPECT_EQ(world_->complaints(), "") << world_->logs();
    }
    double metric(const std::string& name) {
        double sum = 0;
        for (auto* each : {&world_->cdc, &world_->second()}) {
            const auto value = support::sample_value(support::http_get(each->admin_port(), "/metrics").body, name);
            if (!std::isnan(value)) sum += value;
        }
        return sum;
    }
    std::size_t followed_by(const support::crossfade_program& program) {
        try {
            const auto said = boost::json::parse(support::http_get(program.admin_port(), "/api/v1/status").body);
            std::size_t count = 0;
            for (const auto& each : said.at("stream").at("partitions").as_array())
                count += each.at("state").as_string() == "applying" ? 1 : 0;
            return count;
        } catch (const std::exception&) {
            return 0;
        }
    }
    bool shared(std::size_t first, std::size_t second) {
        return support::eventually(std::chrono::seconds{60}, [&] {
            return followed_by(world_->cdc) == first && followed_by(world_->second()) == second;
        });
    }
    kafka::partition_reader reader(int partition) {
        return kafka::partition_reader::open(world_->broker.config(), topic, partition, "crossfade-test").value();
    }

    // Of stock's row of that key.
    static int partition_of(const std::string& id) {
        return kafka::partition_of("public.stock" + std::string(1, '\0') + std::to_string(id.size()) + ':' + id,
                                   partitions);
    }
    // The first `count` keys of stock whose rows are that partition's.
    static std::vector<std::string> keys_in(int partition, std::size_t count) {
        std::vector<std::string> rows;
        for (int id = 1; rows.size() < count; ++id)
            if (partition_of(std::to_string(id)) == partition) rows.push_back(std::to_string(id));
        return rows;
    }

    // In the partition, of those that are there, by what they are.
    std::map<std::string, int> barriers_in(int partition) {
        auto from = reader(partition);
        const auto marks = from.query_watermarks(std::chrono::seconds{10}).value();
        from.seek(marks.low, std::chrono::seconds{10}).value();
        events::relation_decoder relations;
        std::map<std::string, int> found;
        for (auto next = marks.low; next < marks.high;) {
            for (const auto& message : from.read(1000, std::chrono::seconds{1}).value()) {
                next = message.offset() + 1;
                const auto event = events::decode(message.payload(), relations).value();
                if (!event.barrier) continue;
                ++found[std::holds_alternative<model::row_change>(event.body) ? "row"
                        : std::holds_alternative<model::truncate>(event.body) ? "truncate"
                                                                              : "message"];
            }
        }
        return found;
    }

    std::optional<chaos::landscape> world_;
};

}  // namespace crossfade
