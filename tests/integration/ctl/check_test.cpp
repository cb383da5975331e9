#include <gtest/gtest.h>

#include <map>

#include "tests/integration/ctl/shop.hpp"

namespace crossfade::ctl {
namespace {

std::map<std::string, std::string> verdicts(const boost::json::object& answer) {
    std::map<std::string, std::string> by_id;
    for (const auto& each : answer.at("checks").as_array())
        by_id[each.at("id").as_string().c_str()] = each.at("verdict").as_string().c_str();
    return by_id;
}

TEST(ctl_check, names_every_fault_of_a_broken_set_up) {
    const shop at({"wal_level=replica", "max_replication_slots=1"});
    at.legacy.exec(std::string{shop::schema} +
                   "CREATE UNLOGGED TABLE scratch (id int PRIMARY KEY); CREATE TABLE alone (id int PRIMARY KEY);"
                   "CREATE ROLE weak LOGIN; ALTER TABLE orders ENABLE ROW LEVEL SECURITY;"
                   "SELECT lo_create(0)");
    at.modern.exec(std::string{shop::schema} +
                   "CREATE TABLE scratch (id bigint PRIMARY KEY); ALTER TABLE parts ADD owner int NOT NULL;"
                   "CREATE FUNCTION noop() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NEW; END';"
                   "CREATE TRIGGER loud BEFORE INSERT ON customers FOR EACH ROW EXECUTE FUNCTION noop();"
                   "ALTER TABLE customers ENABLE ALWAYS TRIGGER loud");
    at.write_config("weak");
    const auto found = verdicts(at.run_json({"check"}));
    const std::map<std::string, std::string> expected{{"legacy.wal_level", "fail"},
                                                      {"legacy.replication_slots", "fail"},
                                                      {"legacy.replication_privilege", "fail"},
                                                      {"legacy.publication_privilege", "fail"},
                                                      {"legacy.select_privilege", "fail"},
                                                      {"legacy.replica_identity", "fail"},
                                                      {"legacy.unlogged", "fail"},
                                                      {"legacy.large_objects", "warn"},
                                                      {"legacy.row_security", "fail"},
                                                      {"legacy.wal_budget", "warn"},
                                                      {"legacy.slot", "warn"},
                                                      {"legacy.publication", "warn"},
                                                      {"modern.triggers", "fail"},
                                                      {"modern.store", "warn"},
                                                      {"modern.track_commit_timestamp", "warn"},
                                                      {"schema.tables", "fail"},
                                                      {"schema.columns", "fail"},
                                                      {"schema.rights", "warn"}};
    for (const auto& [id, verdict] : expected)
        EXPECT_EQ(found.contains(id) ? found.at(id) : "not asked", verdict) << id;
    EXPECT_EQ(at.run({"check"}).exit_code, 1);
}

TEST(ctl_check, one_database_given_twice_is_refused) {
    const shop at;
    at.create_schema();
    // By another way, so that the two do not look alike.
    auto same = support::read_file(at.config_path());
    same.replace(same.find(at.modern.dsn()), at.modern.dsn().size(),
                 "host=" + at.legacy.socket_dir().string() + " port=" + std::to_string(at.legacy.port()) +
                     " user=crossfade dbname=app");
    std::ofstream(at.config_path()) << same;
    EXPECT_EQ(verdicts(at.run_json({"check"}))["same_database"], "fail");
}

TEST(ctl_check, what_does_not_answer_is_named) {
    shop at;
    at.create_schema();
    at.kafka.set_down(true);
    at.modern.stop();
    const auto answer = at.run({"--json", "check"});
    EXPECT_EQ(answer.exit_code, 3);
    auto found = verdicts(boost::json::parse(answer.output).as_object());
    EXPECT_EQ(found["modern.reachable"], "fail");
    EXPECT_EQ(found["kafka.reachable"], "fail");
    EXPECT_EQ(found["legacy.wal_level"], "ok");

    const auto status = at.run({"status"});
    EXPECT_EQ(status.exit_code, 3);
    EXPECT_NE(status.output.find("NOT ALL ANSWERED: proxy, cdc, modern"), std::string::npos) << status.output;
}

}  // namespace
}  // namespace crossfade::ctl
