#pragma once

#include <gtest/gtest.h>

#include <chrono>
#include <cmath>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "lib/pgclient/connection.hpp"
#include "tests/chaos/landscape.hpp"
#include "tests/support/eventually.hpp"
#include "tests/support/http.hpp"

// Rows that the proxy writes to modern itself (docs/adr/0022), with everything for real.
namespace crossfade {

inline constexpr const char* schema = R"sql(
    CREATE TYPE mood AS ENUM ('sad', 'so so', 'happy');
    CREATE TYPE pair AS (a int, b text);
    CREATE TABLE accounts (id int PRIMARY KEY, balance bigint NOT NULL DEFAULT 0, note text);
    CREATE TABLE odd (id text, part int, PRIMARY KEY (part, id), n numeric, f double precision, at timestamptz, d date,
                      i interval, b bytea, j jsonb, t text[], u uuid, o bool, c char(5), m mood, p pair, r int4range,
                      "Mixed ""Name" text, twice text GENERATED ALWAYS AS (id || id) STORED);
    CREATE TABLE numbered (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, note text DEFAULT 'as ever');
    CREATE TABLE keys (id int PRIMARY KEY);
    CREATE TABLE late (id int PRIMARY KEY, of int REFERENCES keys DEFERRABLE INITIALLY DEFERRED);
    CREATE TABLE seats (id int PRIMARY KEY, place text UNIQUE, note text);
    CREATE TABLE excluded (id int PRIMARY KEY, note text);
)sql";

class mirror_rows : public testing::Test {
  protected:
    void SetUp() override {
        if (!support::kafka_broker::available()) GTEST_SKIP() << "no Kafka: script/bootstrap --kafka";
    }

    void begin(const std::string& timeout, const std::string& strategy = "mirror",
               const std::filesystem::path& legacy_s = support::postgres_bin_dir(), const std::string& more = {}) {
        chaos::landscape_options options{
            .schema = schema_,
            .cdc_settings = cdc_settings_,
            .proxy_settings = ", mirror_timeout: " + timeout + ", mirror_connections: " + connections_ + more,
            .strategy = strategy};
        options.legacy.bin_dir = legacy_s;
        world_ = std::make_unique<chaos::landscape>(options);
        auto opened = pgclient::connection::open(world_->client_dsn(), {});
        ASSERT_TRUE(opened) << world_->logs();
        client_.emplace(std::move(*opened));
        run("SET search_path = public");
        int id = 1'000'000;
        ASSERT_TRUE(support::eventually(std::chrono::seconds{60}, [&] {
            // Whoever lets nobody commit without modern refuses while modern and the stream may not be there yet.
            const auto done = client_->exec("INSERT INTO accounts (id) VALUES (" + std::to_string(++id) + ")");
            EXPECT_TRUE(done || done.error().sqlstate == "XF003") << pgclient::to_string(done.error());
            return mirrored() > 0 && metric("crossfade_mirror_degraded") == 0 &&
                   metric("crossfade_mirror_connections") > 1;
        })) << world_->logs();
        ASSERT_EQ(world_->settle(std::chrono::seconds{30}), "");
    }

    void run(const std::string& sql) {
        const auto done = client_->exec(sql);
        EXPECT_TRUE(done) << sql << ": " << (done ? "" : pgclient::to_string(done.error()));
    }
    double metric(const std::string& name) {
        const auto value = support::sample_value(support::http_get(world_->proxy.admin_port(), "/metrics").body, name);
        return std::isnan(value) ? 0 : value;
    }
    double mirrored() { return metric("crossfade_mirror_mirrored_total"); }
    // While crossfade-cdc stands still.
    void expect_at_once(const std::vector<std::string>& statements) {
        for (const auto& sql : statements) {
            const auto before = mirrored();
            run(sql);
            ASSERT_EQ(world_->difference(), "") << sql << '\n' << world_->logs();
            EXPECT_EQ(mirrored(), before + 1) << sql;
        }
    }
    // Rows of keys, which were left to the stream.
    void expect_tried_again(std::chrono::milliseconds timeout) {
        int id = 100;
        EXPECT_TRUE(support::eventually(timeout, [&] {
            const auto last = mirrored();
            run("INSERT INTO keys VALUES (" + std::to_string(++id) + ")");
            return mirrored() > last;
        })) << "it is tried again";
    }
    std::string receipts() { return world_->modern.value("SELECT count(*) FROM crossfade.receipts"); }

    // What is left when the stream has come by all of it.
    void expect_nothing_left() {
        EXPECT_EQ(world_->settle(std::chrono::seconds{30}), "");
        EXPECT_TRUE(support::eventually(std::chrono::seconds{10}, [&] { return receipts() == "0"; })) << receipts();
        EXPECT_EQ(world_->complaints(), "");
    }

    std::string schema_ = schema;
    std::string cdc_settings_;
    std::string connections_ = "8";
    std::unique_ptr<chaos::landscape> world_;
    std::optional<pgclient::connection> client_;
};

}  // namespace crossfade
