// Tables that join the stream while modern takes the application's writes.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "lib/pgclient/connection.hpp"
#include "tests/integration/ctl/shop.hpp"

namespace crossfade::ctl {
namespace {

using testing::HasSubstr;

// With a way back that is set up; the databases are told who the authority is.
class ctl_joining : public testing::Test {
  protected:
    void SetUp() override {
        at_.create_schema();
        at_.kafka.create_topic("crossfade.app_back.changes", 1);
        at_.kafka.create_topic("crossfade.app_back.deadletters", 1);
        auto config = support::read_file(at_.config_path());
        const std::string one_way = "tables: [\"public.*\"]";
        config.replace(config.find(one_way), one_way.size(), one_way + ", both_ways: true");
        config += "tenants: { session: user, column: tenant }\n";
        std::ofstream(at_.config_path()) << config;
        const auto made = init({"--replica-identity-full"});
        ASSERT_EQ(made.exit_code, 0) << made.errors;
    }

    void hand_over(const std::string& authority, const std::string& apart = "[]") const {
        for (const auto* side : {&at_.legacy, &at_.modern})
            side->exec("UPDATE crossfade.authority SET epoch = epoch + 1, authority = '" + authority + "', apart = '" +
                       apart + '\'');
    }
    support::finished init(const std::vector<std::string>& more = {}) const {
        std::vector<std::string> arguments{"init"};
        arguments.insert(arguments.end(), more.begin(), more.end());
        return at_.run(arguments);
    }
    void create(const std::string& table) const {
        for (const auto* side : {&at_.legacy, &at_.modern})
            side->exec("CREATE TABLE public." + table + " (id int PRIMARY KEY, tenant text)");
    }
    // As each side has it of the stream that goes there: "legacy new".
    std::string marks(const std::string& table) const {
        std::string all;
        for (const auto& [name, side] : {std::pair{"legacy", &at_.legacy}, {"modern", &at_.modern}})
            for (const auto& row :
                 side->exec("SELECT state FROM crossfade.tables WHERE table_name = 'public." + table + '\''))
                all += (all.empty() ? "" : ", ") + std::string{name} + ' ' + row[0];
        return all;
    }
    bool published(const support::postgres_cluster& on, const std::string& table) const {
        return on.value("SELECT count(*) FROM pg_publication_tables WHERE tablename = '" + table + '\'') == "1";
    }

    shop at_;
};

TEST_F(ctl_joining, while_legacy_is_the_authority_is_copied_to_modern) {
    create("later");
    at_.legacy.exec("INSERT INTO public.later VALUES (1)");
    ASSERT_EQ(init().exit_code, 0);
    EXPECT_EQ(marks("later"), "modern new");
    EXPECT_TRUE(published(at_.legacy, "later") && published(at_.modern, "later"));
    const auto back = at_.run({"--back", "backfill", "--tables", "public.later"});
    EXPECT_EQ(back.exit_code, 1);
    EXPECT_THAT(back.errors, HasSubstr("none of these tables lacks rows on legacy"));
}

TEST_F(ctl_joining, with_rows_of_modern_is_to_be_copied_to_legacy_and_never_over_modern) {
    hand_over("modern");
    create("later");
    at_.modern.exec("INSERT INTO public.later VALUES (1), (2)");
    at_.legacy.exec("INSERT INTO public.later VALUES (7)");
    const auto made = init();
    ASSERT_EQ(made.exit_code, 0) << made.errors;
    EXPECT_THAT(made.output, HasSubstr("crossfade --back backfill --tables public.later"));
    EXPECT_EQ(marks("later"), "legacy new");
    EXPECT_TRUE(published(at_.legacy, "later") && published(at_.modern, "later"));
    const auto status = at_.run({"status"}).output;
    EXPECT_THAT(status, HasSubstr("(crossfade --back backfill --tables): public.later"));
    ASSERT_EQ(init().exit_code, 0);
    EXPECT_EQ(marks("later"), "legacy new");

    const auto forth = at_.run({"backfill", "--tables", "public.later"});
    EXPECT_EQ(forth.exit_code, 1);
    EXPECT_THAT(forth.errors, HasSubstr("legacy's rows would go over its own"));
    EXPECT_EQ(at_.run({"--back", "backfill", "--live"}).exit_code, 2);
    hand_over("legacy");
    const auto refused = at_.run({"--back", "backfill"});
    EXPECT_EQ(refused.exit_code, 1);
    EXPECT_THAT(refused.errors, HasSubstr("modern's rows would go over its own"));
    hand_over("modern");

    const auto copied = at_.run({"--back", "backfill"});
    ASSERT_EQ(copied.exit_code, 0) << copied.errors << copied.output;
    EXPECT_THAT(copied.output, HasSubstr("complete: 1 tables, 2 rows"));
    EXPECT_EQ(marks("later"), "legacy live");
    EXPECT_EQ(at_.legacy.value("SELECT string_agg(id::text, ' ' ORDER BY id) FROM public.later"), "1 2");
    EXPECT_EQ(at_.modern.value("SELECT string_agg(id::text, ' ' ORDER BY id) FROM public.later"), "1 2");
}

TEST_F(ctl_joining, without_rows_lacks_none) {
    hand_over("modern");
    create("empty");
    const auto made = init();
    ASSERT_EQ(made.exit_code, 0) << made.errors;
    EXPECT_EQ(marks("empty"), "");
    EXPECT_TRUE(published(at_.legacy, "empty") && published(at_.modern, "empty"));
}

// It was there before the stream was to have it.
TEST_F(ctl_joining, with_rows_of_legacy_alone_is_still_to_be_copied_to_modern) {
    hand_over("modern");
    create("old");
    at_.legacy.exec("INSERT INTO public.old VALUES (1)");
    ASSERT_EQ(init().exit_code, 0);
    EXPECT_EQ(marks("old"), "modern new");
}

TEST_F(ctl_joining, whose_tenants_are_on_both_sides_is_to_be_empty_on_modern) {
    hand_over("legacy", R"([{"group": "", "tenant": "acme", "authority": "modern"}])");
    create("shared");
    at_.modern.exec("INSERT INTO public.shared VALUES (1, 'acme')");
    const auto refused = init();
    EXPECT_EQ(refused.exit_code, 1);
    EXPECT_THAT(refused.errors, HasSubstr("some tenants' rows of public.shared are on modern"));
    EXPECT_EQ(marks("shared"), "");
    EXPECT_FALSE(published(at_.legacy, "shared") || published(at_.modern, "shared"));
    at_.modern.exec("DELETE FROM public.shared");
    ASSERT_EQ(init().exit_code, 0);
    EXPECT_EQ(marks("shared"), "modern new");
    EXPECT_TRUE(published(at_.legacy, "shared") && published(at_.modern, "shared"));
}

// Whoever writes to it while it joins would be neither in the stream nor among the rows that are looked for.
TEST_F(ctl_joining, waits_for_who_writes_to_it_on_modern_and_not_for_long) {
    hand_over("modern");
    create("busy");
    auto writer = pgclient::connection::open(at_.modern.dsn(), {}).value();
    ASSERT_TRUE(writer.exec("BEGIN; INSERT INTO public.busy VALUES (1)"));
    const auto refused = init();
    EXPECT_EQ(refused.exit_code, 1);
    EXPECT_THAT(refused.errors, HasSubstr("adding public.busy to publication crossfade_app_back"));
    EXPECT_FALSE(published(at_.modern, "busy"));
    ASSERT_TRUE(writer.exec("COMMIT"));
    ASSERT_EQ(init().exit_code, 0);
    EXPECT_EQ(marks("busy"), "legacy new");
}

class ctl_both_ways : public ctl_joining {};

// Proxies read who the authority is all the time, on both sides.
TEST_F(ctl_both_ways, init_locks_nothing_that_is_as_it_should_be) {
    std::vector<pgclient::connection> readers;
    for (const auto* side : {&at_.legacy, &at_.modern}) {
        const auto tables = side->value(
            "SELECT string_agg('crossfade.' || tablename, ', ') FROM pg_tables WHERE schemaname = 'crossfade' AND"
            " tablename <> 'meta'");
        readers.push_back(pgclient::connection::open(side->dsn(), {}).value());
        ASSERT_TRUE(readers.back().exec("BEGIN; LOCK TABLE " + tables + " IN ROW EXCLUSIVE MODE"));
    }
    const auto again = init();
    EXPECT_EQ(again.exit_code, 0) << again.errors;
}

}  // namespace
}  // namespace crossfade::ctl
