#pragma once

#include <gtest/gtest.h>

#include <optional>
#include <string>

#include "lib/settings/load.hpp"
#include "lib/store/authority.hpp"
#include "lib/store/schema.hpp"
#include "tests/support/postgres.hpp"

namespace crossfade::test {

// Two databases that say who the authority is, and nothing else: no tables, nobody who carries a stream.
class two_rows : public testing::Test {
  protected:
    explicit two_rows(const support::postgres_options& modern = {}) : modern_{modern} {}

    void SetUp() override {
        for (auto* each : {&legacy_, &modern_}) {
            each->start();
            each->exec(std::string{store::schema_sql()});
            each->exec(std::string{store::authority_sql()});
            each->exec("INSERT INTO crossfade.authority (stream, epoch, authority) VALUES ('app', 1, 'legacy')");
        }
        const auto yaml = "legacy: { dsn: \"" + legacy_.dsn() + "\" }\nmodern: { dsn: \"" + modern_.dsn() +
                          "\" }\nkafka: { brokers: \"127.0.0.1:9\" }\n"
                          "stream: { name: app, tables: [\"public.*\"], both_ways: true }\n"
                          "flags: { dual_write_strategy: legacy-primary }\n";
        auto read = settings::parse(yaml, "test.yaml", [](std::string_view) { return std::nullopt; });
        ASSERT_TRUE(read);
        config_.emplace(std::move(*read));
    }
    const settings::configuration& config() const { return *config_; }

    support::postgres_cluster legacy_;
    support::postgres_cluster modern_;

  private:
    std::optional<settings::configuration> config_;
};

}  // namespace crossfade::test
