#pragma once

#include <gtest/gtest.h>

#include <memory>

#include "tests/chaos/landscape.hpp"

namespace crossfade {

// Everything for real, one stream for each test, with both sides on a version of PostgreSQL: the parameter.
class ddl_world : public testing::TestWithParam<int> {
  protected:
    explicit ddl_world(const char* schema) : schema_(schema) {}

    void SetUp() override {
        if (!support::kafka_broker::available()) GTEST_SKIP() << "no Kafka: script/bootstrap --kafka";
        const auto bin = GetParam() == 18 ? support::postgres_18_bin_dir() : support::postgres_bin_dir();
        if (!support::postgres_cluster::available(bin)) GTEST_SKIP() << "no PostgreSQL 18: script/bootstrap";
        chaos::landscape_options options{.schema = schema_};
        options.legacy.bin_dir = options.modern.bin_dir = bin;
        world_ = std::make_unique<chaos::landscape>(options);
    }

    // What was said of tables, and became of it.
    support::postgres_cluster::table seen() {
        return world_->modern.exec(
            "SELECT command, array_to_string(tables, ','), outcome FROM crossfade.ddl ORDER BY id");
    }

    const char* schema_;
    std::unique_ptr<chaos::landscape> world_;
};

}  // namespace crossfade
