#pragma once

#include <algorithm>
#include <boost/json.hpp>
#include <fstream>
#include <memory>
#include <string>
#include <vector>

#include "tests/support/kafka.hpp"
#include "tests/support/ports.hpp"
#include "tests/support/postgres.hpp"
#include "tests/support/process.hpp"
#include "tests/support/programs.hpp"
#include "tests/support/temp_dir.hpp"

namespace crossfade::ctl {

// Two clusters with a small shop's tables, a Kafka in memory, and the command under test.
class shop {
  public:
    // partitions: of a stream that is ordered by key; 0: it is ordered by transaction.
    explicit shop(std::vector<std::string> legacy_settings = {}, int partitions = 0)
        : legacy({.extra_settings = std::move(legacy_settings)}) {
        legacy.start();
        modern.start();
        kafka.create_topic("crossfade.app.changes", std::max(partitions, 1));
        kafka.create_topic("crossfade.app.deadletters", 1);
        write_config("crossfade", partitions);
    }

    static constexpr const char* schema = R"(
        CREATE TYPE mood AS ENUM ('sad', 'ok');
        CREATE TABLE customers (id int GENERATED ALWAYS AS IDENTITY PRIMARY KEY, name text NOT NULL, feels mood,
                                shout text GENERATED ALWAYS AS (upper(name)) STORED);
        CREATE TABLE orders (id bigserial PRIMARY KEY, customer int REFERENCES customers, at timestamptz DEFAULT now(),
                             total numeric(10, 2), tags text[], more jsonb);
        CREATE TABLE audit (what text, at timestamptz);
        CREATE TABLE parts (id int PRIMARY KEY, name text) PARTITION BY RANGE (id);
        CREATE TABLE parts_low PARTITION OF parts FOR VALUES FROM (0) TO (100);
        CREATE TABLE parts_high PARTITION OF parts FOR VALUES FROM (100) TO (10000);)";

    static constexpr const char* rows = R"(
        INSERT INTO customers (name, feels) SELECT 'n' || g, CASE WHEN g % 2 = 0 THEN 'ok'::mood END
          FROM generate_series(1, 200) g;
        INSERT INTO orders (customer, total, tags, more)
          SELECT 1 + g % 200, g / 7.0, ARRAY['a', NULL, 'ü' || g], jsonb_build_object('g', g)
          FROM generate_series(1, 3000) g;
        INSERT INTO public.audit SELECT 'entry ' || g % 7, '2026-01-01' FROM generate_series(1, 300) g;
        INSERT INTO parts SELECT g, 'part ' || g FROM generate_series(1, 300) g;)";

    void create_schema() const {
        legacy.exec(schema);
        modern.exec(schema);
    }

    support::finished run(std::vector<std::string> arguments) const {
        arguments.insert(arguments.begin(), {support::program_path("crossfade").string(), "--config", config_path()});
        return support::run(arguments, std::chrono::seconds{60});
    }
    boost::json::object run_json(std::vector<std::string> arguments) const {
        arguments.insert(arguments.begin(), "--json");
        return boost::json::parse(run(std::move(arguments)).output).as_object();
    }
    std::string config_path() const { return (dir_.path() / "crossfade.yaml").string(); }

    void write_config(const std::string& legacy_user = "crossfade", int partitions = 0,
                      const std::string& modern_user = "crossfade") const {
        const std::string ordering =
            partitions == 0 ? "" : ", ordering: key, partitions: " + std::to_string(partitions);
        std::ofstream(config_path()) << "legacy: { dsn: \"" << legacy.dsn("app", legacy_user) << "\" }\n"
                                     << "modern: { dsn: \"" << modern.dsn("app", modern_user) << "\" }\n"
                                     << "kafka: { brokers: \"" << kafka.brokers() << "\" }\n"
                                     << "stream: { name: app, tables: [\"public.*\"]" << ordering << " }\n"
                                     << "proxy: { listen: \"127.0.0.1:" << support::free_port()
                                     << "\", admin: \"127.0.0.1:" << support::free_port() << "\" }\n"
                                     << "cdc: { admin: \"127.0.0.1:" << support::free_port() << "\" }\n"
                                     << "flags: { dual_write_strategy: legacy-primary }\n";
    }

    support::postgres_cluster legacy;
    support::postgres_cluster modern;
    support::mock_kafka kafka;

  private:
    support::temp_dir dir_;
};

}  // namespace crossfade::ctl
