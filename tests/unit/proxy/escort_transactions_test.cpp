#include "tests/unit/proxy/an_escort.hpp"

namespace crossfade::proxy::frontend {
namespace {

TEST_F(an_escort, holds_the_commit_of_a_transaction_until_its_rows_are_written) {
    begin();
    EXPECT_EQ(say(pgwire::build_query("INSERT INTO t VALUES (1)")),
              pgwire::build_query(rewritten("INSERT INTO t VALUES (1)")));
    EXPECT_EQ(hear(columns({"row"}) + row({hidden("1,")}) + complete("INSERT 0 1") + ready('T')),
              complete("INSERT 0 1") + ready('T'));
    EXPECT_EQ(say(pgwire::build_query("DELETE FROM t WHERE id = 2 RETURNING note")),
              pgwire::build_query(rewritten("DELETE FROM t WHERE id = 2", "note")));
    EXPECT_EQ(hear(columns({"row", "note"}) + row({hidden("2,x"), "x"}) + complete("DELETE 1") + ready('T')),
              columns({"note"}) + row({"x"}) + complete("DELETE 1") + ready('T'));
    EXPECT_EQ(escort_.next(), errand::none);
    EXPECT_EQ(say(pgwire::build_query("COMMIT")), "");
    ASSERT_EQ(escort_.next(), errand::write);
    EXPECT_EQ(escort_.rows().rows.size(), 2U);
    EXPECT_FALSE(go_on());
    EXPECT_EQ(say(""), pgwire::build_query("COMMIT"));
    EXPECT_EQ(say(pgwire::build_query("SELECT 1")), "") << "until the COMMIT is answered";
    EXPECT_TRUE(escort_.commits(complete("COMMIT") + ready('I')));
    EXPECT_FALSE(escort_.commits(complete("ROLLBACK") + ready('I'))) << "it had failed";
    escort_.committed(true);
    hear(complete("COMMIT") + ready('I'));
    EXPECT_EQ(books_.mirrored, 1);
    EXPECT_EQ(say(""), pgwire::build_query("SELECT 1"));
}

// Which the rows' columns may have been read by.
TEST_F(an_escort, leaves_rows_of_a_table_to_the_stream_that_is_known_otherwise_by_now) {
    for (const bool ahead : {false, true}) {
        begin();
        insert();
        insert("2");
        if (ahead) escort_.sent_ahead(true);
        auto other = facts();
        other.columns[1].name = "other";
        know(other);
        say(pgwire::build_query("COMMIT"));
        if (ahead) {
            ASSERT_EQ(escort_.next(), errand::take_back);
            escort_.sent_ahead(false);
        }
        EXPECT_EQ(escort_.next(), errand::proceed);
        EXPECT_FALSE(go_on());
        say("");
        hear(complete("COMMIT") + ready('I'));
        know(facts());
    }
    EXPECT_EQ(books_.streamed, (std::vector{mirror::leave_reason::table, mirror::leave_reason::table}));
}

TEST_F(an_escort, holds_the_commit_in_the_middle_of_a_pipeline) {
    const auto piece = [](const char* sql) {
        return pgwire::build_parse("", sql) + pgwire::build_bind("", "", {}) + pgwire::build_execute("", 0);
    };
    const auto commit = piece("COMMIT");
    const auto insert = pgwire::build_close(pgwire::named::statement, "crossfade_0") +
                        pgwire::build_parse("crossfade_0", rewritten("INSERT INTO t VALUES (1)")) +
                        pgwire::build_bind("", "crossfade_0", {}) + pgwire::build_execute("", 0);
    EXPECT_EQ(say(piece("BEGIN") + piece("INSERT INTO t VALUES (1)") + commit + pgwire::build_sync()),
              piece("BEGIN") + insert);
    ASSERT_EQ(escort_.next(), errand::flush);
    EXPECT_EQ(escort_.next(), errand::none) << "once";
    hear(parsed + bound + complete("BEGIN") + closed + parsed + bound + row({hidden("1,")}) + complete("INSERT 0 1"));
    ASSERT_EQ(escort_.next(), errand::write);
    EXPECT_EQ(escort_.rows().rows.size(), 1U);
    EXPECT_FALSE(go_on());
    EXPECT_EQ(say(""), commit + pgwire::build_sync());
    EXPECT_EQ(hear(parsed + bound), parsed + bound);
    EXPECT_TRUE(escort_.commits(complete("COMMIT") + ready('I')));
    escort_.committed(true);
    hear(complete("COMMIT") + ready('I'));
    EXPECT_EQ(books_.mirrored, 1);
    EXPECT_FALSE(escort_.holds());
}

// Its version of a statement was made by other flags.
TEST_F(an_escort, is_done_with_what_was_prepared_before_the_session_left_the_mirror) {
    say(pgwire::build_parse("s", "INSERT INTO t VALUES (1)") + pgwire::build_sync());
    hear(parsed + closed + parsed + ready('I'));
    const std::string own = pgwire::build_bind("", "s", {}) + pgwire::build_execute("", 0) + pgwire::build_sync();
    const auto commit = pgwire::build_query("COMMIT");
    escort_.mirror(false, false);
    begin();
    EXPECT_EQ(say(own), own);
    EXPECT_EQ(hear(bound + complete("INSERT 0 1") + ready('T')), bound + complete("INSERT 0 1") + ready('T'));
    EXPECT_EQ(say(commit), commit);
    hear(complete("COMMIT") + ready('I'));
    EXPECT_FALSE(escort_.holds());

    escort_.mirror(true, false);
    begin();
    EXPECT_TRUE(say(own).starts_with(pgwire::build_bind("", "crossfade_1", {})));
    hear(bound + row({hidden("1,")}) + complete("INSERT 0 1") + ready('T'));
    EXPECT_EQ(say(commit), "");
    EXPECT_EQ(escort_.next(), errand::write);
}

TEST_F(an_escort, goes_by_the_flags_in_force_when_a_statement_is_bound) {
    say(pgwire::build_parse("s", "INSERT INTO t VALUES (1)") + pgwire::build_sync());
    hear(parsed + closed + parsed + ready('I'));
    flags_.config.flags = with_flags("dual_write_strategy: legacy-primary").flags;
    const std::string own = pgwire::build_bind("", "s", {}) + pgwire::build_execute("", 0) + pgwire::build_sync();
    EXPECT_EQ(say(own), own);
}

// The client's own statement without a name has to be there first.
TEST_F(an_escort, gives_the_statement_without_a_name_back_where_the_flags_are_others) {
    const auto parse = pgwire::build_parse("", "INSERT INTO t VALUES (1)");
    const std::string own = pgwire::build_bind("", "", {}) + pgwire::build_execute("", 0) + pgwire::build_sync();
    say(parse + own);
    hear(closed + parsed + bound + row({hidden("1,")}) + complete("INSERT 0 1"));
    ASSERT_EQ(escort_.next(), errand::write);
    go_on();
    hear(ready('I'));
    escort_.mirror(false, false);
    EXPECT_EQ(say(own), parse + own);
    EXPECT_EQ(hear(parsed + bound + complete("INSERT 0 1") + ready('I')), bound + complete("INSERT 0 1") + ready('I'));
    EXPECT_EQ(say(own), own);
}

// Its rows are asked for, and not there yet.
TEST_F(an_escort, holds_the_commit_behind_a_statement_that_is_not_answered) {
    say(pgwire::build_parse("s", "INSERT INTO t VALUES (1)") + pgwire::build_sync());
    hear(parsed + closed + parsed + ready('I'));
    const std::string insert = pgwire::build_bind("", "s", {}) + pgwire::build_execute("", 0) + pgwire::build_sync();
    const auto answer = bound + row({hidden("1,")}) + complete("INSERT 0 1") + ready('T');
    const std::string by_messages = pgwire::build_parse("", "COMMIT") + pgwire::build_bind("", "", {}) +
                                    pgwire::build_execute("", 0) + pgwire::build_sync();
    for (const auto& commit : {pgwire::build_query("COMMIT"), by_messages}) {
        begin();
        say(insert);
        EXPECT_EQ(say(commit), "");
        ASSERT_EQ(escort_.next(), errand::flush);
        hear(answer);
        ASSERT_EQ(escort_.next(), errand::write);
        EXPECT_EQ(escort_.rows().rows.size(), 1U);
        EXPECT_FALSE(go_on());
        EXPECT_EQ(say(""), commit);
        EXPECT_TRUE(escort_.commits(complete("COMMIT") + ready('I')));
        escort_.committed(true);
        hear((commit == by_messages ? parsed + bound : "") + complete("COMMIT") + ready('I'));
        EXPECT_FALSE(escort_.holds());
    }
    EXPECT_EQ(books_.mirrored, 2);
    begin();
    say(insert);
    EXPECT_EQ(say(pgwire::build_query("COMMIT")), "");
    hear(error("1") + ready('E'));
    ASSERT_EQ(escort_.next(), errand::proceed);
    go_on();
    EXPECT_EQ(say(""), pgwire::build_query("COMMIT")) << "it has failed";
    hear(complete("ROLLBACK") + ready('I'));
    EXPECT_FALSE(escort_.holds());
}

// What comes behind it was sent already.
TEST_F(an_escort, knows_what_was_written_when_something_older_is_answered) {
    say(pgwire::build_query("SELECT 1") + pgwire::build_query("UPDATE other SET a = 1"));
    escort_.other_write(mirror::leave_reason::table);
    hear(complete("SELECT 1") + ready('I'));
    EXPECT_FALSE(escort_.wrote_nothing(complete("UPDATE 1") + ready('I')));
    hear(complete("UPDATE 1") + ready('I'));
    EXPECT_EQ(books_.streamed.back(), mirror::leave_reason::table);
    say(pgwire::build_query("SELECT 1"));
    EXPECT_TRUE(escort_.wrote_nothing(complete("SELECT 1") + ready('I')));
}

// Rows tell how their transaction is going to be committed, as far as that was known then.
TEST_F(an_escort, leaves_to_the_stream_what_legacy_may_commit_without_a_flush_after_all) {
    for (const auto* way :
         {"SET LOCAL synchronous_commit TO off", "RESET synchronous_commit", "RESET ALL",
          "SELECT set_config('synchronous_commit', 'off', true)", "SELECT set_config($1, $2, true)"}) {
        begin();
        insert();
        say(pgwire::build_parse("", way) + pgwire::build_bind("", "", {}) + pgwire::build_execute("", 0) +
            pgwire::build_sync());
        hear(parsed + bound + complete("SET") + ready('T'));
        EXPECT_EQ(say(pgwire::build_query("COMMIT")), pgwire::build_query("COMMIT")) << way;
        hear(complete("COMMIT") + ready('I'));
        ASSERT_FALSE(books_.streamed.empty()) << way;
        EXPECT_EQ(books_.streamed.back(), mirror::leave_reason::settings) << way;
        books_.streamed.clear();
    }
    for (const auto* way : {"SET LOCAL work_mem TO 64", "SELECT set_config('app.user', '1', true)"}) {
        begin();
        did("SET LOCAL synchronous_commit TO on", "SET");  // of which its rows tell
        insert();
        did(way, "SET");
        EXPECT_EQ(say(pgwire::build_query("COMMIT")), "") << way;
        ASSERT_EQ(escort_.next(), errand::write);
        go_on();
        say("");
        escort_.committed(true);
        hear(complete("COMMIT") + ready('I'));
    }
    EXPECT_TRUE(books_.streamed.empty());
}

// What a client sends bit by bit, and answers that come in between.
TEST_F(an_escort, knows_portals_for_as_long_as_the_server_does) {
    const auto parse = pgwire::build_parse("s", "INSERT INTO t VALUES ($1)");
    const std::string longest(20'000, 'x');
    for (const auto& answer : {parsed + ready('I'), error("1") + ready('I')}) {
        say(parse + pgwire::build_sync());
        hear(parsed + closed + parsed + ready('I'));
        say(pgwire::build_parse("other", "SELECT 1") + pgwire::build_sync());
        say(pgwire::build_bind("p", "s", {{"1"}}));
        say(pgwire::build_bind("q", "other", {{longest}}));
        hear(answer);
        say(pgwire::build_execute("p", 0) + pgwire::build_sync());
        EXPECT_EQ(hear(bound + bound + row({hidden("1,")}) + complete("INSERT 0 1")),
                  bound + bound + complete("INSERT 0 1"));
        ASSERT_EQ(escort_.next(), errand::write);
        EXPECT_EQ(escort_.rows().rows.size(), 1U);
        go_on();
        EXPECT_EQ(hear(ready('I')), ready('I'));
    }
}

// The server swallows the Sync that comes while it waits for the COPY's data.
TEST_F(an_escort, is_not_led_astray_by_a_copy) {
    begin();
    say(pgwire::build_parse("", "COPY t FROM STDIN") + pgwire::build_bind("", "", {}) + pgwire::build_execute("", 0) +
        pgwire::build_sync());
    hear(parsed + bound + framed('G', std::string(3, '\0')));
    say(pgwire::build_copy_data("1\n") + pgwire::build_copy_done() + pgwire::build_sync());
    hear(complete("COPY 1") + ready('T'));
    ASSERT_TRUE(tracker_.quiet());
    escort_.nothing_is_due(false);
    say(pgwire::build_query("INSERT INTO t VALUES (1) RETURNING id"));
    EXPECT_EQ(hear(columns({"row", "id"}) + row({hidden("1,"), "1"}) + complete("INSERT 0 1") + ready('T')),
              columns({"id"}) + row({"1"}) + complete("INSERT 0 1") + ready('T'));
}

TEST_F(an_escort, remembers_no_write_of_a_copy_that_has_ended) {
    say(pgwire::build_parse("", "COPY t FROM STDIN") + pgwire::build_bind("", "", {}) + pgwire::build_execute("", 0) +
        pgwire::build_sync());
    escort_.other_write();
    hear(parsed + bound + framed('G', std::string(3, '\0')));
    say(pgwire::build_copy_data("1\n") + pgwire::build_copy_done() + pgwire::build_sync());
    hear(complete("COPY 1") + ready('I'));
    EXPECT_TRUE(escort_.wrote_nothing(ready('I')));
}

// Up to a Sync, which isn't to be held.
TEST_F(an_escort, holds_no_commit_that_the_server_skips) {
    begin();
    insert();
    say(pgwire::build_parse("", "SELECT nope"));
    hear(error("1"));
    EXPECT_EQ(say(pgwire::build_query("COMMIT") + pgwire::build_sync()),
              pgwire::build_query("COMMIT") + pgwire::build_sync());
    hear(ready('E'));
    EXPECT_FALSE(escort_.holds());
}

TEST_F(an_escort, knows_prepared_statements_that_were_there_before_an_error) {
    const auto insert = "INSERT INTO t VALUES ($1)";
    say(pgwire::build_parse("before", insert) + pgwire::build_sync());
    hear(parsed + closed + parsed + ready('I'));
    say(pgwire::build_parse("wrong", "SELECT nope") + pgwire::build_parse("skipped", insert) + pgwire::build_sync());
    hear(error("1") + ready('I'));
    const auto bind = [](const char* name) { return pgwire::build_bind("", name, {{"1"}}); };
    EXPECT_EQ(say(bind("before")), pgwire::build_bind("", "crossfade_1", {{"1"}}));
    EXPECT_EQ(say(bind("skipped")), bind("skipped"));
}

TEST_F(an_escort, leaves_what_it_can_not_follow_to_the_stream) {
    begin();
    insert();
    EXPECT_EQ(say(pgwire::build_query("UPDATE other SET a = 1")), pgwire::build_query("UPDATE other SET a = 1"));
    escort_.other_write();  // as the gate says of it
    hear(complete("UPDATE 1") + ready('T'));
    EXPECT_EQ(say(pgwire::build_query("COMMIT")), pgwire::build_query("COMMIT"));
    EXPECT_FALSE(escort_.commits(complete("COMMIT") + ready('I')));
    hear(complete("COMMIT") + ready('I'));
    EXPECT_EQ(books_.streamed, std::vector{mirror::leave_reason::statement});
    EXPECT_EQ(books_.mirrored, 0);
}

TEST_F(an_escort, forgets_what_is_rolled_back) {
    begin();
    insert();
    EXPECT_EQ(say(pgwire::build_query("ROLLBACK")), pgwire::build_query("ROLLBACK"));
    EXPECT_TRUE(escort_.wrote_nothing(complete("ROLLBACK") + ready('I')));
    hear(complete("ROLLBACK") + ready('I'));
    EXPECT_TRUE(books_.streamed.empty());
    say(pgwire::build_query("INSERT INTO t VALUES (2)"));
    hear(parsed + bound + row({hidden("2,", "91")}) + complete("INSERT 0 1"));
    ASSERT_EQ(escort_.next(), errand::write);
    EXPECT_EQ(escort_.rows().id, 91U);
}

TEST_F(an_escort, follows_savepoints) {
    begin();
    insert();
    did("SAVEPOINT a", "SAVEPOINT");
    insert("2");
    did("SAVEPOINT b", "SAVEPOINT");
    insert("3");
    did("RELEASE b", "RELEASE");
    insert("4");
    say(pgwire::build_query("INSERT INTO t VALUES (1)"));
    hear(error("1") + ready('E'));
    did("ROLLBACK TO a", "ROLLBACK");
    insert("5");
    // By the extended protocol, too.
    say(pgwire::build_parse("", "SAVEPOINT a") + pgwire::build_bind("", "", {}) + pgwire::build_execute("", 0) +
        pgwire::build_sync());
    hear(parsed + bound + complete("SAVEPOINT") + ready('T'));
    insert("6");
    say(pgwire::build_parse("back", "ROLLBACK TO SAVEPOINT a") + pgwire::build_bind("", "back", {}) +
        pgwire::build_execute("", 0) + pgwire::build_sync());
    hear(parsed + bound + complete("ROLLBACK") + ready('T'));
    insert("7");
    EXPECT_EQ(say(pgwire::build_query("COMMIT")), "");
    ASSERT_EQ(escort_.next(), errand::write);
    std::string ids;
    for (const auto& each : escort_.rows().rows) ids += *each.values[0];
    EXPECT_EQ(ids, "157");
    EXPECT_TRUE(books_.streamed.empty());
}

TEST_F(an_escort, has_written_nothing_where_savepoints_took_it_back) {
    begin();
    did("SAVEPOINT a", "SAVEPOINT");
    insert();
    say(pgwire::build_query("ROLLBACK TO a"));
    hear(complete("ROLLBACK") + ready('T'));
    EXPECT_EQ(say(pgwire::build_query("COMMIT")), pgwire::build_query("COMMIT"));
    EXPECT_TRUE(escort_.wrote_nothing(complete("COMMIT") + ready('I')));
}

TEST_F(an_escort, leaves_savepoints_that_it_can_not_follow_to_the_stream) {
    for (const auto& sql : {"SELECT 1; ROLLBACK TO a", "SELECT 1; RELEASE a", "ROLLBACK TO unheard_of"}) {
        begin();
        did("SAVEPOINT a", "SAVEPOINT");
        insert();
        say(pgwire::build_query(sql));
        hear(complete("ROLLBACK") + ready('T'));
        EXPECT_EQ(say(pgwire::build_query("COMMIT")), pgwire::build_query("COMMIT")) << sql;
        EXPECT_FALSE(escort_.commits(complete("COMMIT") + ready('I'))) << sql;
        hear(complete("COMMIT") + ready('I'));
        EXPECT_EQ(books_.streamed, std::vector{mirror::leave_reason::transaction}) << sql;
        books_.streamed.clear();
    }
}

TEST_F(an_escort, takes_an_unknown_statement_for_one_that_rolls_back) {
    begin();
    did("SAVEPOINT a", "SAVEPOINT");
    const std::string unknown = pgwire::build_bind("", "never heard of", {}) + pgwire::build_execute("", 0);
    insert();
    say(unknown + pgwire::build_sync());
    hear(bound + complete("ROLLBACK") + ready('T'));
    EXPECT_EQ(say(pgwire::build_query("COMMIT")), pgwire::build_query("COMMIT"));
    EXPECT_FALSE(escort_.commits(complete("COMMIT") + ready('I')));
}

// The session is never idle in between.
TEST_F(an_escort, keeps_no_rows_of_a_transaction_that_has_ended) {
    const std::vector<std::pair<std::string, std::string>> ends{
        {"ROLLBACK AND CHAIN", complete("ROLLBACK")},
        {"ROLLBACK; BEGIN", complete("ROLLBACK") + complete("BEGIN")},
        {"COMMIT AND CHAIN", complete("COMMIT")},
        {"COMMIT; BEGIN", complete("COMMIT") + complete("BEGIN")},
    };
    for (const auto& [sql, answer] : ends) {
        begin();
        insert();
        EXPECT_EQ(say(pgwire::build_query(sql)), pgwire::build_query(sql));
        hear(answer + ready('T'));
        EXPECT_EQ(say(pgwire::build_query("COMMIT")), pgwire::build_query("COMMIT")) << sql;
        EXPECT_FALSE(escort_.commits(complete("COMMIT") + ready('I'))) << sql;
        EXPECT_EQ(escort_.wrote_nothing(complete("COMMIT") + ready('I')), sql.starts_with("ROLLBACK")) << sql;
        hear(complete("COMMIT") + ready('I'));
    }
    EXPECT_EQ(books_.mirrored, 0);
    EXPECT_EQ(books_.streamed.size(), 2U);
}

TEST_F(an_escort, has_the_catalogs_read_again_behind_ddl) {
    using names = std::vector<model::table_name>;
    begin();
    did("ALTER TABLE t ADD x int", "x");
    did("CREATE TABLE s.u (id int REFERENCES v)", "x");
    EXPECT_EQ(books_.looked, 0);
    did("COMMIT", "COMMIT", 'I');
    EXPECT_EQ(books_.looked, 1);
    EXPECT_EQ(books_.doubted, (names{{"", "t"}, {"s", "u"}, {"", "v"}}));
    did("ALTER TABLE t ADD y int; REVOKE SELECT ON ALL TABLES IN SCHEMA s FROM app; ALTER TABLE t ADD z int", "x", 'I');
    EXPECT_EQ(books_.doubted, names{}) << "anything";
    for (const auto* text : {"DROP INDEX i", "CREATE FUNCTION f() RETURNS int LANGUAGE sql RETURN 1", "GRANT a TO b",
                             "CREATE TEMP TABLE w (id int)"})
        did(text, "x", 'I');
    EXPECT_EQ(books_.looked, 2) << "changes nothing of any table";
}

}  // namespace
}  // namespace crossfade::proxy::frontend
