#include <gmock/gmock.h>

#include <filesystem>
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

// What a session has by it, modern can't have.
TEST(ctl_check, what_legacy_says_to_every_session_is_tried_on_modern) {
    const shop at;
    at.create_schema();
    const auto settings = [&] {
        const auto answer = at.run_json({"check"});
        for (const auto& each : answer.at("checks").as_array())
            if (each.at("id") == "settings") return boost::json::serialize(each);
        return std::string{"not asked"};
    };
    EXPECT_THAT(settings(), testing::HasSubstr(R"("verdict":"ok")"));
    at.legacy.exec(
        "CREATE TEXT SEARCH CONFIGURATION public.own (COPY = simple);"
        "ALTER ROLE crossfade IN DATABASE app SET default_text_search_config = 'public.own';"
        "ALTER DATABASE app SET TimeZone = 'Asia/Tokyo'");
    EXPECT_THAT(settings(),
                testing::AllOf(testing::HasSubstr(R"("verdict":"warn")"),
                               testing::HasSubstr("to every session: default_text_search_config public.own; a flip "
                                                  "closes who has it")));
    at.modern.exec("CREATE TEXT SEARCH CONFIGURATION public.own (COPY = simple)");
    EXPECT_THAT(settings(), testing::HasSubstr(R"("verdict":"ok")"));
    // By a search_path that ours isn't, and in a schema that we have no right to.
    at.legacy.exec("ALTER ROLE crossfade IN DATABASE app SET default_text_search_config = 'own'");
    EXPECT_THAT(settings(), testing::HasSubstr(R"("verdict":"ok")"));
    for (const auto* each : {&at.legacy, &at.modern})
        each->exec("CREATE SCHEMA search; CREATE TEXT SEARCH CONFIGURATION search.own (COPY = simple)");
    at.legacy.exec("ALTER ROLE crossfade IN DATABASE app SET default_text_search_config = 'search.own'");
    EXPECT_THAT(settings(), testing::HasSubstr(R"("verdict":"ok")"));
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

// Of one system identifier with legacy, and of its databases' OIDs: as from a snapshot of the disk.
TEST(ctl_check, a_copy_of_legacys_files_is_not_taken_for_legacy) {
    shop at;
    at.create_schema();
    at.legacy.stop();
    at.modern.stop();
    std::filesystem::remove_all(at.modern.data_dir());
    ASSERT_EQ(support::run({"cp", "-a", at.legacy.data_dir().string(), at.modern.data_dir().string()},
                           std::chrono::minutes{1})
                  .exit_code,
              0);
    at.legacy.start();
    at.modern.start();
    auto found = verdicts(at.run_json({"check"}));
    EXPECT_EQ(found["same_database"], "ok");
    EXPECT_EQ(found["schema.columns"], "ok");
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
