// A COMMIT that is held: as soon as it is known to be carried out, and until it has ended the transaction.
#include "tests/unit/proxy/an_escort.hpp"

namespace crossfade::proxy::frontend {
namespace {

// It was held, and then cancelled: the client may go back to a savepoint, or go on behind it.
TEST_F(an_escort, keeps_what_there_is_of_a_transaction_that_its_commit_has_not_ended) {
    const std::string by_messages = pgwire::build_parse("", "COMMIT") + pgwire::build_bind("", "", {}) +
                                    pgwire::build_execute("", 0) + pgwire::build_sync();
    for (const auto& commit : {pgwire::build_query("COMMIT"), by_messages}) {
        begin();
        insert("1");
        did("SAVEPOINT a", "SAVEPOINT");
        insert("2");
        EXPECT_EQ(say(commit), "");
        ASSERT_EQ(escort_.next(), errand::write);
        EXPECT_EQ(escort_.rows().rows.size(), 2U);
        go_on();
        EXPECT_EQ(say(""), commit);
        hear(error("") + ready('E'));
        ASSERT_EQ(escort_.next(), errand::take_back) << "what is on modern may be undone";
        escort_.sent_ahead(false);
        did("ROLLBACK TO a", "ROLLBACK");
        insert("3");
        EXPECT_EQ(say(commit), "");
        ASSERT_EQ(escort_.next(), errand::write);
        std::string ids;
        for (const auto& each : escort_.rows().rows) ids += *each.values[0];
        EXPECT_EQ(ids, "13");
        go_on();
        say("");
        EXPECT_TRUE(escort_.commits(complete("COMMIT") + ready('I')));
        escort_.committed(true);
        hear((commit == by_messages ? parsed + bound : "") + complete("COMMIT") + ready('I'));
    }
    EXPECT_EQ(books_.mirrored, 2);
    EXPECT_TRUE(books_.streamed.empty());
}

TEST_F(an_escort, does_not_commit_what_was_written_for_another_commit) {
    const auto commit = pgwire::build_query("COMMIT");
    begin();
    did("SAVEPOINT a", "SAVEPOINT");
    insert();
    EXPECT_EQ(say(commit), "");
    ASSERT_EQ(escort_.next(), errand::write);
    go_on();
    EXPECT_EQ(say(""), commit);
    hear(error("") + ready('E'));
    ASSERT_EQ(escort_.next(), errand::take_back);
    escort_.sent_ahead(false);
    did("ROLLBACK TO a", "ROLLBACK");
    EXPECT_EQ(say(commit), commit) << "of nothing";
    EXPECT_FALSE(escort_.commits(complete("COMMIT") + ready('I')));
    EXPECT_TRUE(escort_.wrote_nothing(complete("COMMIT") + ready('I')));
    hear(complete("COMMIT") + ready('I'));
}

// As drivers prepare it: nobody says yet that it is to be carried out.
TEST_F(an_escort, holds_no_commit_that_is_only_prepared) {
    const auto parse = pgwire::build_parse("c", "COMMIT") + pgwire::build_describe(pgwire::named::statement, "c") +
                       pgwire::build_sync();
    const auto bind = pgwire::build_bind("p", "c", {});
    const auto execute = pgwire::build_execute("p", 0) + pgwire::build_sync();
    begin();
    insert();
    EXPECT_EQ(say(parse), parse);
    hear(parsed + framed('n', {}) + ready('T'));
    EXPECT_EQ(say(bind + pgwire::build_sync()), bind + pgwire::build_sync());
    hear(bound + ready('T'));
    EXPECT_EQ(escort_.next(), errand::none);
    insert("2");
    EXPECT_EQ(say(execute), "");
    ASSERT_EQ(escort_.next(), errand::write);
    EXPECT_EQ(escort_.rows().rows.size(), 2U);
    go_on();
    EXPECT_EQ(say(""), execute);
    EXPECT_TRUE(escort_.commits(complete("COMMIT") + ready('I')));
}

// In one go, and described first, which takes no answer of its own.
TEST_F(an_escort, holds_a_commit_as_soon_as_it_is_known_to_be_carried_out) {
    const auto parse = pgwire::build_parse("c", "COMMIT") + pgwire::build_describe(pgwire::named::statement, "c");
    const auto run = pgwire::build_bind("", "c", {}) + pgwire::build_describe(pgwire::named::portal, "") +
                     pgwire::build_execute("", 0) + pgwire::build_sync();
    for (const auto& commit : {parse + run, run}) {
        begin();
        insert();
        EXPECT_EQ(say(commit), "");
        ASSERT_EQ(escort_.next(), errand::write) << "without a flush";
        go_on();
        EXPECT_EQ(say(""), commit);
        escort_.committed(true);
        hear((commit == run ? "" : parsed + framed('n', {})) + bound + framed('n', {}) + complete("COMMIT") +
             ready('I'));
    }
    EXPECT_EQ(books_.mirrored, 2);
}

TEST_F(an_escort, holds_a_commit_that_was_bound_before_there_were_rows) {
    const auto execute = pgwire::build_execute("p", 0) + pgwire::build_sync();
    begin();
    say(pgwire::build_parse("c", "COMMIT") + pgwire::build_bind("p", "c", {}) + pgwire::build_sync());
    hear(parsed + bound + ready('T'));
    insert();
    EXPECT_EQ(say(execute), "");
    ASSERT_EQ(escort_.next(), errand::write);
    go_on();
    EXPECT_EQ(say(""), execute);
    EXPECT_TRUE(escort_.commits(complete("COMMIT") + ready('I')));
}

}  // namespace
}  // namespace crossfade::proxy::frontend
