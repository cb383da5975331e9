// Rows that go to the follower before their transaction ends.
#include <functional>
#include <utility>
#include <vector>

#include "tests/unit/proxy/an_escort.hpp"

namespace crossfade::proxy::frontend {
namespace {

class an_escort_ahead : public an_escort {
  protected:
    // As many rows as are worth sending.
    void insert_many() {
        say(pgwire::build_query("INSERT INTO t SELECT generate_series(1, 16)"));
        std::string rows;
        for (std::size_t i = 0; i < escort::rows_worth_sending; ++i) rows += row({hidden(std::to_string(i) + ",")});
        hear(columns({"row"}) + rows + complete("INSERT 0 16") + ready('T'));
    }
    void send_ahead() {
        ASSERT_EQ(escort_.next(), errand::send_ahead);
        escort_.sent_ahead(true);
        EXPECT_EQ(escort_.next(), errand::none) << "there is no more";
    }
    // The errand, and that all of the rows go by the COMMIT.
    void expect_taken_back() {
        ASSERT_EQ(escort_.next(), errand::take_back);
        escort_.sent_ahead(false);
        EXPECT_EQ(escort_.next(), errand::none) << "nothing of this transaction goes ahead any more";
    }
};

TEST_F(an_escort_ahead, sends_rows_as_they_come) {
    begin();
    EXPECT_EQ(escort_.next(), errand::none);
    insert("1");
    EXPECT_EQ(escort_.next(), errand::none) << "not for one";
    insert_many();
    ASSERT_EQ(escort_.next(), errand::send_ahead);
    EXPECT_EQ(escort_.rows().rows.size(), 17U);
    EXPECT_EQ(escort_.rows().id, 90U);
    escort_.sent_ahead(true);
    for (int i = 0; i < 15; ++i) insert();
    EXPECT_EQ(escort_.next(), errand::none);
    insert();
    send_ahead();
    EXPECT_EQ(escort_.rows().rows.size(), 33U);
    EXPECT_EQ(say(pgwire::build_query("COMMIT")), "");
    ASSERT_EQ(escort_.next(), errand::write);
    EXPECT_EQ(escort_.rows().rows.size(), 33U);
    go_on();
    say("");
    hear(complete("COMMIT") + ready('I'));
    begin();
    insert_many();
    send_ahead();
}

TEST_F(an_escort_ahead, waits_for_what_is_not_answered) {
    begin();
    for (int i = 0; i < 15; ++i) insert();
    say(pgwire::build_query("INSERT INTO t VALUES (1)"));
    say(pgwire::build_query("INSERT INTO t VALUES (2)"));
    hear(columns({"row"}) + row({hidden("1,")}) + complete("INSERT 0 1") + ready('T'));
    EXPECT_EQ(escort_.rows().rows.size(), 16U);
    EXPECT_EQ(escort_.next(), errand::none);
    hear(error("") + ready('E'));
    EXPECT_EQ(escort_.next(), errand::none) << "the transaction has failed";
}

TEST_F(an_escort_ahead, does_not_send_what_nobody_takes) {
    begin();
    insert_many();
    ASSERT_EQ(escort_.next(), errand::send_ahead);
    escort_.sent_ahead(false);
    insert_many();
    EXPECT_EQ(escort_.next(), errand::none);
    EXPECT_EQ(say(pgwire::build_query("COMMIT")), "");
    EXPECT_EQ(escort_.next(), errand::write);
    EXPECT_EQ(escort_.rows().rows.size(), 32U);
}

TEST_F(an_escort_ahead, takes_back_what_may_be_undone) {
    const std::vector<std::pair<const char*, std::function<void()>>> steps{
        {"a savepoint", [this] { did("SAVEPOINT s", "SAVEPOINT"); }},
        {"an error",
         [this] {
             say(pgwire::build_query("SELECT nope"));
             hear(error("") + ready('E'));
         }},
        {"a write that can't be seen", [this] { escort_.other_write(); }},
        {"another transaction", [this] { did("COMMIT AND CHAIN", "COMMIT"); }},
        {"another transaction, and nothing of this one", [this] { did("ROLLBACK AND CHAIN", "ROLLBACK"); }},
    };
    for (const auto& [what, step] : steps) {
        SCOPED_TRACE(what);
        begin();
        insert_many();
        send_ahead();
        step();
        expect_taken_back();
        did("ROLLBACK", "ROLLBACK", 'I');
    }
}

TEST_F(an_escort_ahead, sends_no_rows_under_savepoints) {
    begin();
    did("SAVEPOINT s", "SAVEPOINT");
    insert_many();
    EXPECT_EQ(escort_.next(), errand::none);
    did("RELEASE s", "RELEASE");
    send_ahead();
}

// Nobody would commit on the follower, or undo what is there.
TEST_F(an_escort_ahead, does_nothing_for_a_session_that_has_left_the_mirror) {
    begin();
    insert_many();
    escort_.mirror(false, false);
    EXPECT_EQ(escort_.next(), errand::none);
    EXPECT_EQ(say(pgwire::build_query("COMMIT")), pgwire::build_query("COMMIT"));
    EXPECT_FALSE(escort_.holds());
}

// Whose own COMMIT is at hand when they turn out to be another's.
TEST_F(an_escort_ahead, takes_rows_back_before_it_goes_on) {
    begin();
    insert_many();
    send_ahead();
    EXPECT_EQ(say(pgwire::build_query("INSERT INTO t VALUES (2)") + pgwire::build_query("COMMIT")),
              pgwire::build_query(rewritten("INSERT INTO t VALUES (2)")));
    hear(columns({"row"}) + row({hidden("2,", "91")}) + complete("INSERT 0 1") + ready('T'));
    ASSERT_EQ(escort_.next(), errand::take_back);
    escort_.sent_ahead(false);
    EXPECT_EQ(escort_.next(), errand::proceed);
}

}  // namespace
}  // namespace crossfade::proxy::frontend
