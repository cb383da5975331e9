// The chain of crossfade.audit: who may add to it, and what is noticed of those who do more than that.
#include "lib/store/audit.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <thread>

#include "lib/pgclient/connection.hpp"
#include "tests/integration/ctl/shop.hpp"

namespace crossfade::ctl {
namespace {

using store::audit_entry;
using testing::HasSubstr;

class audit : public testing::Test {
  protected:
    static void SetUpTestSuite() { at_ = std::make_unique<shop>(); }
    static void TearDownTestSuite() { at_.reset(); }
    void SetUp() override {
        for (const auto* each : {&at_->legacy, &at_->modern})
            each->exec("SET client_min_messages = warning; DROP SCHEMA IF EXISTS crossfade CASCADE; " +
                       std::string{store::audit_sql()});
    }

    static pgclient::connection connect() { return pgclient::connection::open(at_->modern.dsn(), {}).value(); }
    static audit_entry numbered(int number) {
        return {.stream = "app",
                .by_whom = "me",
                .program = "test",
                .action = "step",
                .scope = std::to_string(number),
                .reason = "",
                .before_json = "",
                .after_json = R"({"b": [1, 2.50], "a": null})",
                .outcome = "done"};
    }
    static void append(int entries) {
        auto db = connect();
        for (int i = 1; i <= entries; ++i) store::append_audit(db, numbered(i)).value();
    }
    static std::string sqlstate(const std::string& sql) {
        auto db = connect();
        const auto got = db.exec(sql);
        return got ? "" : got.error().sqlstate;
    }
    static boost::json::object modern_of(const boost::json::object& verdict) {
        return verdict.at("sides").as_array().at(1).as_object();
    }
    static std::string faults() {
        const auto found = modern_of(at_->run_json({"audit", "verify"}));
        std::string all;
        for (const auto& each : found.at("faults").as_array()) all += std::string{each.as_string()} + '\n';
        return all;
    }
    // As nobody but the table's owner can.
    static void tamper(const std::string& sql) {
        at_->modern.exec("ALTER TABLE crossfade.audit DISABLE TRIGGER ALL; " + sql +
                         "; ALTER TABLE crossfade.audit ENABLE ALWAYS TRIGGER crossfade_audit");
    }

    static inline std::unique_ptr<shop> at_;
};

TEST_F(audit, is_one_chain_however_many_append) {
    constexpr int writers = 8;
    constexpr int each_of_them = 50;
    std::vector<std::thread> crew;
    for (int w = 0; w < writers; ++w)
        crew.emplace_back([w] {
            auto db = connect();
            for (int i = 0; i < each_of_them; ++i) {
                // Those that come to nothing leave no hole, and nobody follows them.
                const bool kept = i % 5 != 0;
                db.exec("BEGIN").value();
                store::append_audit(db, numbered(w * 1000 + i)).value();
                db.exec(kept ? "COMMIT" : "ROLLBACK").value();
            }
        });
    for (auto& each : crew) each.join();

    const auto verdict = at_->run_json({"audit", "verify"});
    EXPECT_TRUE(verdict.at("whole").as_bool()) << boost::json::serialize(verdict);
    EXPECT_EQ(modern_of(verdict).at("entries"), writers * each_of_them * 4 / 5);
    EXPECT_EQ(at_->modern.value("SELECT count(DISTINCT prev_hash) || ' ' || max(id) FROM crossfade.audit"), "320 320");
}

TEST_F(audit, is_the_same_whatever_the_session_is_set_to) {
    auto db = connect();
    db.exec(
          "SET timezone = 'Asia/Kathmandu'; SET datestyle = 'German'; SET bytea_output = escape;"
          "SET standard_conforming_strings = off; SET search_path = public, pg_catalog;"
          "CREATE FUNCTION public.sha256(bytea) RETURNS bytea LANGUAGE sql AS 'SELECT ''''::bytea'")
        .value();
    auto odd = numbered(1);
    odd.by_whom = R"(O'Brien\n")";
    odd.before_json = R"({"path": "C:\\new", "quote": "it's"})";
    odd.reason = "“Umzug”\twie besprochen\nZeile \xFF";
    const auto hash = store::append_audit(db, odd).value();
    EXPECT_EQ(at_->modern.value("SELECT by_whom FROM crossfade.audit"), R"(O'Brien\n")");
    EXPECT_EQ(at_->modern.value("SELECT before ->> 'path' FROM crossfade.audit"), R"(C:\new)");
    EXPECT_EQ(at_->modern.value("SELECT reason FROM crossfade.audit"), "“Umzug”\twie besprochen\nZeile \xEF\xBF\xBD");
    EXPECT_EQ(at_->modern.value("SELECT by_role FROM crossfade.audit"), "crossfade");
    EXPECT_EQ(faults(), "");
    EXPECT_EQ(at_->modern.value("SELECT encode(hash, 'hex') FROM crossfade.audit"), hash.text(0, 0));
    at_->modern.exec("DROP FUNCTION public.sha256");
}

TEST_F(audit, commits_with_what_it_tells_of_and_with_nothing_else) {
    auto db = connect();
    db.exec("BEGIN").value();
    store::append_audit(db, numbered(1)).value();
    db.exec("ROLLBACK").value();
    EXPECT_EQ(at_->modern.value("SELECT count(*) FROM crossfade.audit"), "0");
    // Its snapshot might be older than the last entry.
    db.exec("BEGIN ISOLATION LEVEL REPEATABLE READ").value();
    EXPECT_EQ(store::append_audit(db, numbered(1)).error().sqlstate, "25001");
}

TEST_F(audit, is_never_changed) {
    append(3);
    for (const std::string how : {"", "SET session_replication_role = replica; "})
        for (const std::string what :
             {"UPDATE crossfade.audit SET reason = 'another' WHERE id = 2", "DELETE FROM crossfade.audit",
              "TRUNCATE crossfade.audit", "UPDATE crossfade.audit SET reason = '' WHERE false",
              "INSERT INTO crossfade.audit SELECT * FROM crossfade.audit ON CONFLICT (id) DO UPDATE SET at = now()"})
            EXPECT_EQ(sqlstate(how + what), "XF007") << how << what;
    EXPECT_EQ(faults(), "");
    // Nor added to by who may not: the function alone is what a role is given.
    at_->modern.exec("CREATE ROLE clerk; GRANT USAGE ON SCHEMA crossfade TO clerk");
    const auto as_clerk = "SET ROLE clerk; " + store::append_audit_sql(numbered(4));
    EXPECT_EQ(sqlstate(as_clerk), "42501");
    at_->modern.exec("GRANT EXECUTE ON FUNCTION crossfade.audit_append TO clerk");
    EXPECT_EQ(sqlstate(as_clerk), "");
    EXPECT_EQ(sqlstate("SET ROLE clerk; INSERT INTO crossfade.audit SELECT * FROM crossfade.audit"), "42501");
    EXPECT_EQ(faults(), "");
    at_->modern.exec("DROP OWNED BY clerk; DROP ROLE clerk");
}

TEST_F(audit, is_made_once_and_its_guard_put_back) {
    append(2);
    at_->modern.exec("ALTER TABLE crossfade.audit DISABLE TRIGGER ALL");
    EXPECT_THAT(faults(), HasSubstr("is not in force"));
    at_->modern.exec("SET client_min_messages = warning; " + std::string{store::audit_sql()});
    EXPECT_EQ(faults(), "");
    EXPECT_EQ(at_->modern.value("SELECT count(*) FROM crossfade.audit"), "2");
    EXPECT_EQ(sqlstate("DELETE FROM crossfade.audit"), "XF007");
}

struct forgery {
    const char* name;
    const char* sql;
    const char* said;
    int first_misfit;
};
class audit_forged : public audit, public testing::WithParamInterface<forgery> {};

TEST_P(audit_forged, is_named) {
    append(5);
    EXPECT_EQ(at_->run({"audit", "verify"}).exit_code, 0);
    tamper(GetParam().sql);
    const auto told = at_->run({"audit", "verify"});
    EXPECT_EQ(told.exit_code, 1);
    EXPECT_THAT(told.output, HasSubstr(GetParam().said));
    EXPECT_EQ(modern_of(at_->run_json({"audit", "verify"})).at("first_misfit"), GetParam().first_misfit);
}

INSTANTIATE_TEST_SUITE_P(
    all, audit_forged,
    testing::Values(
        forgery{"who", "UPDATE crossfade.audit SET by_whom = 'you' WHERE id = 3", "entry 3 is not what it was", 3},
        forgery{"role", "UPDATE crossfade.audit SET by_role = 'you' WHERE id = 1", "entry 1 is not what it was", 1},
        forgery{"when", "UPDATE crossfade.audit SET at = at - interval '1 us' WHERE id = 5",
                "entry 5 is not what it was", 5},
        forgery{"what", "UPDATE crossfade.audit SET after = jsonb_set(after, '{b,0}', '2') WHERE id = 3",
                "entry 3 is not what it was", 3},
        forgery{"nothing_said", "UPDATE crossfade.audit SET before = 'null' WHERE id = 2", "entry 2 is not what it was",
                2},
        forgery{"from_one_column_to_the_next",
                "UPDATE crossfade.audit SET program = program || action, action = '' WHERE id = 2",
                "entry 2 is not what it was", 2},
        forgery{"hash", "UPDATE crossfade.audit SET hash = sha256('x') WHERE id = 4", "entry 4 is not what it was", 4},
        forgery{"removed", "DELETE FROM crossfade.audit WHERE id = 3",
                "entries are missing between entry 2 and entry 4; entry 4 does not follow entry 2", 4},
        forgery{"first_removed", "DELETE FROM crossfade.audit WHERE id = 1",
                "entries are missing between the beginning and entry 2", 2},
        forgery{"removed_and_renumbered",
                "DELETE FROM crossfade.audit WHERE id = 3; UPDATE crossfade.audit SET id = id - 1 WHERE id = 4;"
                "UPDATE crossfade.audit SET id = id - 1 WHERE id = 5",
                "entry 3 is not what it was", 3},
        forgery{"swapped",
                "UPDATE crossfade.audit SET id = -id WHERE id IN (2, 3);"
                "UPDATE crossfade.audit SET id = 5 + id WHERE id < 0",
                "entry 2 is not what it was", 2},
        // With hashes of its own, and nothing wrong with it but what comes behind it.
        forgery{"written_anew",
                "CREATE TEMP TABLE rest AS SELECT * FROM crossfade.audit WHERE id > 3;"
                "DELETE FROM crossfade.audit WHERE id > 2;"
                "SELECT crossfade.audit_append('app', 'you', 'test', 'step', '3', '', NULL, NULL, 'done');"
                "INSERT INTO crossfade.audit SELECT * FROM rest",
                "entry 4 does not follow entry 3", 4}),
    [](const auto& of) { return of.param.name; });

TEST_F(audit, that_has_lost_its_end_is_known_by_a_head_that_was_kept) {
    append(3);
    const auto head = [] { return std::string{modern_of(at_->run_json({"audit", "verify"})).at("head").as_string()}; };
    const auto early = head();
    append(2);
    const auto late = head();
    ASSERT_NE(early, late);
    EXPECT_EQ(at_->run({"audit", "verify", "--expect-head", early, "--expect-head", late}).exit_code, 0);

    tamper("DELETE FROM crossfade.audit WHERE id > 3");
    EXPECT_EQ(at_->run({"audit", "verify"}).exit_code, 0) << "a chain alone can't tell";
    EXPECT_EQ(at_->run({"audit", "verify", "--expect-head", early}).exit_code, 0);
    const auto told = at_->run({"audit", "verify", "--expect-head", early, "--expect-head", late});
    EXPECT_EQ(told.exit_code, 1);
    EXPECT_THAT(told.output, HasSubstr("NOT FOUND: no entry has the hash " + late));
    EXPECT_EQ(at_->run({"audit", "verify", "--expect-head", "abc"}).exit_code, 2);

    // All of it.
    tamper("DELETE FROM crossfade.audit");
    EXPECT_EQ(head(), "");
    EXPECT_EQ(at_->run({"audit", "verify", "--expect-head", early}).exit_code, 1);
}

TEST_F(audit, of_a_side_that_is_away_is_said_to_be_missing) {
    append(1);
    at_->legacy.exec("DROP SCHEMA crossfade CASCADE");
    const auto without = at_->run({"audit", "verify"});
    EXPECT_EQ(without.exit_code, 0) << without.errors;
    EXPECT_THAT(without.errors, HasSubstr("there is no audit log on legacy"));
    at_->legacy.stop();
    EXPECT_EQ(at_->run({"audit", "verify"}).exit_code, 3);
    const auto listed = at_->run({"audit", "log"});
    EXPECT_EQ(listed.exit_code, 3);
    EXPECT_THAT(listed.output, HasSubstr("step"));
    at_->legacy.start();
    at_->modern.exec("DROP SCHEMA crossfade CASCADE");
    EXPECT_EQ(at_->run({"audit", "log"}).exit_code, 1);
}

}  // namespace
}  // namespace crossfade::ctl
