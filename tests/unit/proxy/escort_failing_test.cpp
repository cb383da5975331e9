#include "tests/unit/proxy/an_escort.hpp"

#include <gmock/gmock.h>

namespace crossfade::proxy::frontend {
namespace {

using mirror::leave_reason;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::Not;

// Where on_mirror_failure is `fail`.
class a_strict_escort : public an_escort {
  protected:
    a_strict_escort() {
        flags_.config.flags = with_flags("dual_write_strategy: mirror, on_mirror_failure: fail").flags;
        escort_.mirror(true, true);
    }

    // What comes of XF003.
    const std::string refused_ = error("1");
};

TEST_F(a_strict_escort, rolls_back_in_place_of_a_commit) {
    begin();
    insert();
    EXPECT_EQ(say(pgwire::build_query("COMMIT")), "");
    ASSERT_EQ(escort_.next(), errand::write);
    EXPECT_FALSE(go_on(leave_reason::refused));
    const auto sent = say("");
    EXPECT_THAT(sent, HasSubstr("ROLLBACK; DO "));
    EXPECT_THAT(sent, HasSubstr("XF003"));
    EXPECT_EQ(hear(complete("ROLLBACK") + refused_), refused_);
    EXPECT_FALSE(escort_.commits(ready('I')));
    EXPECT_TRUE(escort_.wrote_nothing(ready('I')));
    EXPECT_EQ(hear(ready('I')), ready('I'));
    EXPECT_THAT(books_.failed, ElementsAre(leave_reason::refused));
    EXPECT_TRUE(books_.streamed.empty());
    EXPECT_FALSE(escort_.holds());
}

TEST_F(a_strict_escort, has_a_table_that_rests_asked_all_the_same) {
    know_all({facts()}, {{7, mirror::catalog::clock::now() + std::chrono::hours{1}}});
    begin();
    insert();
    EXPECT_EQ(say(pgwire::build_query("COMMIT")), "");
    EXPECT_EQ(escort_.next(), errand::write);
}

TEST_F(a_strict_escort, fails_within_the_batch_that_commits) {
    const auto parse = pgwire::build_parse("", "COMMIT");
    const auto commit = pgwire::build_bind("", "", {}) + pgwire::build_execute("", 0) + pgwire::build_sync();
    begin();
    insert();
    EXPECT_EQ(say(parse + commit), "");
    ASSERT_EQ(escort_.next(), errand::write);
    EXPECT_FALSE(go_on(leave_reason::no_follower));
    const auto sent = say("");
    EXPECT_THAT(sent, HasSubstr("XF003"));
    EXPECT_TRUE(sent.starts_with(parse));
    EXPECT_TRUE(sent.ends_with(commit)) << "to be skipped";
    EXPECT_EQ(hear(parsed + closed + parsed + bound + refused_ + ready('E')), parsed + refused_ + ready('E'));
    EXPECT_THAT(books_.failed, ElementsAre(leave_reason::no_follower));
    say(pgwire::build_query("ROLLBACK"));
    EXPECT_TRUE(escort_.wrote_nothing(complete("ROLLBACK") + ready('I')));
    hear(complete("ROLLBACK") + ready('I'));
    EXPECT_TRUE(books_.streamed.empty());
}

// As rollback(savepoint) of JDBC does.
TEST_F(a_strict_escort, asks_for_all_that_is_left_where_its_client_goes_back_behind_a_failure) {
    const std::string run = pgwire::build_bind("", "", {}) + pgwire::build_execute("", 0) + pgwire::build_sync();
    const auto commit = pgwire::build_parse("", "COMMIT") + run;
    const auto fails = [&] { hear(parsed + closed + parsed + bound + refused_ + ready('E')); };
    begin();
    insert("1");
    did("SAVEPOINT a", "SAVEPOINT");
    insert("2");
    EXPECT_EQ(say(commit), "");
    ASSERT_EQ(escort_.next(), errand::write);
    go_on(leave_reason::refused);
    EXPECT_THAT(say(""), HasSubstr("XF003"));
    fails();
    did("ROLLBACK TO a", "ROLLBACK");
    EXPECT_EQ(say(commit), "");
    ASSERT_EQ(escort_.next(), errand::write);
    EXPECT_EQ(escort_.rows().rows.size(), 1U);
    go_on(leave_reason::refused);
    EXPECT_THAT(say(""), HasSubstr("XF003")) << "again";
    fails();

    // What is left of it has to be there as before.
    did("ROLLBACK TO a", "ROLLBACK");
    away_ = true;
    EXPECT_THAT(say(pgwire::build_parse("", "COMMIT AND CHAIN") + run), HasSubstr("XF003"));
    fails();
    did("ROLLBACK TO a", "ROLLBACK");
    EXPECT_EQ(say(commit), "");
    ASSERT_EQ(escort_.next(), errand::write);
    go_on(leave_reason::no_follower);
    EXPECT_THAT(say(""), HasSubstr("XF003"));
    fails();
    did("ROLLBACK TO a", "ROLLBACK");
    escort_.other_write(leave_reason::too_large);
    EXPECT_THAT(say(commit), HasSubstr("XF003"));
    fails();
    did("ROLLBACK TO a", "ROLLBACK");
    EXPECT_THAT(say(commit), HasSubstr("XF003"));
    fails();
    did("ROLLBACK", "ROLLBACK", 'I');
    EXPECT_EQ(books_.failed.size(), 6U);
    EXPECT_TRUE(books_.streamed.empty());
}

TEST_F(a_strict_escort, keeps_in_mind_what_was_written_before_a_savepoint) {
    const std::string commit = pgwire::build_parse("", "COMMIT") + pgwire::build_bind("", "", {}) +
                               pgwire::build_execute("", 0) + pgwire::build_sync();
    begin();
    say(pgwire::build_query("COPY t FROM STDIN"));
    escort_.other_write();
    hear(complete("COPY 1") + ready('T'));
    did("SAVEPOINT a", "SAVEPOINT");
    away_ = true;
    for (int i = 0; i < 2; ++i) {
        EXPECT_THAT(say(commit), HasSubstr("XF003"));
        hear(parsed + closed + parsed + bound + refused_ + ready('E'));
        did("ROLLBACK TO a", "ROLLBACK");
    }
    EXPECT_THAT(books_.failed, ElementsAre(leave_reason::no_follower, leave_reason::no_follower));
}

TEST_F(a_strict_escort, fails_a_commit_that_was_bound_before_there_were_rows) {
    const auto execute = pgwire::build_execute("p", 0) + pgwire::build_sync();
    for (const bool away : {false, true}) {
        begin();
        say(pgwire::build_parse("c", "COMMIT") + pgwire::build_bind("p", "c", {}) + pgwire::build_sync());
        hear(parsed + bound + ready('T'));
        insert();
        if (away) escort_.other_write(leave_reason::too_large);
        away_ = away;
        EXPECT_EQ(say(execute).empty(), !away);
        if (!away) {
            ASSERT_EQ(escort_.next(), errand::write);
            go_on(leave_reason::refused);
            const auto sent = say("");
            EXPECT_THAT(sent, HasSubstr("XF003"));
            EXPECT_TRUE(sent.ends_with(execute)) << "to be skipped";
        }
        hear(closed + parsed + bound + refused_ + ready('E'));
        did("ROLLBACK", "ROLLBACK", 'I');
        away_ = false;
    }
    EXPECT_THAT(books_.failed, ElementsAre(leave_reason::refused, leave_reason::no_follower));
}

TEST_F(a_strict_escort, fails_a_statement_s_own_transaction) {
    say(pgwire::build_query("INSERT INTO t VALUES (1)"));
    hear(parsed + bound + row({hidden("1,")}) + complete("INSERT 0 1"));
    ASSERT_EQ(escort_.next(), errand::write);
    EXPECT_TRUE(go_on(leave_reason::refused));
    EXPECT_THAT(ahead_, HasSubstr("XF003"));
    EXPECT_TRUE(ahead_.ends_with(pgwire::build_sync()));
    EXPECT_EQ(hear(closed + parsed + bound + refused_), refused_);
    EXPECT_TRUE(escort_.wrote_nothing(ready('I')));
    EXPECT_EQ(hear(ready('I')), ready('I'));
    EXPECT_EQ(say(pgwire::build_query("SELECT 1")), pgwire::build_query("SELECT 1"));
    EXPECT_THAT(books_.failed, ElementsAre(leave_reason::refused));
}

// By its name alone one would take it for a table of no group.
TEST_F(a_strict_escort, refuses_what_is_written_by_another_name_while_the_follower_is_away) {
    const auto config = settings::parse(
        "legacy: { dsn: \"host=a dbname=x\" }\nmodern: { dsn: \"host=b dbname=x\" }\n"
        "kafka: { brokers: \"k:9092\" }\nstream: { name: app, tables: [\"public.*\"] }\n"
        "groups: { strict: { tables: [public.t], flags: { dual_write_strategy: mirror, on_mirror_failure: fail } } }\n",
        "f.yaml", [](std::string_view) { return std::nullopt; });
    flags_.config.flags = config.value().flags;
    const model::table_name own{"public", "t"};
    const model::table_name part{"public", "t_2024"};
    const model::table_name other{"public", "other"};
    books_.by_name =
        std::make_shared<const mirror::write_targets>(mirror::write_targets{{own, own}, {part, own}, {other, other}});
    away_ = true;
    books_.known = nullptr;
    const auto free = pgwire::build_query("INSERT INTO public.other VALUES (1)");
    EXPECT_EQ(say(free), free);
    hear(complete("INSERT 0 1") + ready('I'));
    for (const std::string each : {"t", "t_2024", "t_view"}) {
        EXPECT_THAT(say(pgwire::build_query("INSERT INTO public." + each + " VALUES (1)")), HasSubstr("XF003")) << each;
        hear(refused_ + ready('I'));
    }
}

// What it was promised for is known no more when its rows come.
TEST_F(a_strict_escort, fails_where_the_follower_goes_away_between_a_statement_and_its_rows) {
    const auto left = [this] {
        away_ = true;
        books_.known = nullptr;
    };
    const auto back = [this] {
        away_ = false;
        know(facts());
    };
    begin();
    say(pgwire::build_query("INSERT INTO t VALUES (1)"));
    left();
    hear(columns({"row"}) + row({hidden("1,")}) + complete("INSERT 0 1") + ready('T'));
    EXPECT_THAT(say(pgwire::build_query("COMMIT")), HasSubstr("XF003"));
    hear(complete("ROLLBACK") + refused_ + ready('I'));

    back();
    say(pgwire::build_query("INSERT INTO t VALUES (1)"));
    left();
    hear(parsed + bound + row({hidden("1,")}) + complete("INSERT 0 1"));
    ASSERT_EQ(escort_.next(), errand::proceed);
    EXPECT_TRUE(go_on());
    EXPECT_THAT(ahead_, HasSubstr("XF003"));
    hear(closed + parsed + bound + refused_ + ready('I'));

    // Rows that can't be with it any more, as others of their transaction can't.
    back();
    begin();
    insert();
    escort_.other_write(leave_reason::too_large);
    left();
    EXPECT_THAT(say(pgwire::build_query("COMMIT")), HasSubstr("XF003"));
    hear(complete("ROLLBACK") + refused_ + ready('I'));

    // And that the stream brings in time.
    back();
    begin();
    say(pgwire::build_query("INSERT INTO t VALUES (1)"));
    books_.known = nullptr;
    hear(columns({"row"}) + row({hidden("1,")}) + complete("INSERT 0 1") + ready('T'));
    EXPECT_EQ(say(pgwire::build_query("COMMIT")), pgwire::build_query("COMMIT"));
    hear(complete("COMMIT") + ready('I'));
    EXPECT_THAT(books_.failed,
                ElementsAre(leave_reason::no_follower, leave_reason::no_follower, leave_reason::no_follower));
    EXPECT_THAT(books_.streamed, ElementsAre(leave_reason::table));
}

TEST_F(a_strict_escort, refuses_writes_while_the_follower_is_known_to_be_away) {
    away_ = true;
    books_.known = nullptr;
    for (const auto* text : {"INSERT INTO t VALUES (1)", "COPY t FROM STDIN", "SELECT 1; DELETE FROM t", "nonsense"}) {
        EXPECT_THAT(say(pgwire::build_query(text)), HasSubstr("XF003")) << text;
        EXPECT_EQ(hear(refused_ + ready('I')), refused_ + ready('I'));
    }
    const auto bind = pgwire::build_bind("", "s", {});
    const std::string behind = pgwire::build_execute("", 0) + pgwire::build_sync();
    say(pgwire::build_parse("s", "INSERT INTO t VALUES (1)") + pgwire::build_sync());
    hear(parsed + ready('I'));
    const auto sent = say(bind + behind);
    EXPECT_THAT(sent, HasSubstr("XF003"));
    EXPECT_TRUE(sent.ends_with(behind));
    EXPECT_EQ(hear(closed + parsed + bound + refused_ + ready('I')), refused_ + ready('I'));
    const std::string longest(20'000, 'x');
    const auto unread = pgwire::build_bind("", "s", {{longest}});
    EXPECT_THAT(say(unread + behind), HasSubstr("XF003"));
    hear(closed + parsed + bound + refused_ + ready('I'));
    EXPECT_EQ(books_.failed.size(), 6U);
    for (const auto* text : {"SELECT * FROM t", "BEGIN", "COMMIT"}) {
        EXPECT_EQ(say(pgwire::build_query(text)), pgwire::build_query(text));
        hear(complete("x") + ready('I'));
    }
}

// It may not be mirrored at all, which is no reason to fail, unless the stream would bring it late.
TEST_F(a_strict_escort, lets_rows_take_the_stream_s_way_whose_ties_are_others) {
    know_ties();
    const auto update = pgwire::build_query("UPDATE t SET note = 'b' WHERE id = 1");
    say(update);
    hear(parsed + bound + row({hidden("1,b")}) + complete("UPDATE 1"));
    ASSERT_EQ(escort_.next(), errand::write);
    EXPECT_TRUE(escort_.rows().rows[0].sets_ties);
    EXPECT_TRUE(go_on(leave_reason::ties));
    EXPECT_EQ(ahead_, pgwire::build_sync());
    EXPECT_FALSE(escort_.wrote_nothing(ready('I')));
    hear(ready('I'));
    EXPECT_THAT(books_.failed, ElementsAre());
    EXPECT_THAT(books_.streamed, ElementsAre(leave_reason::ties));

    begin();
    say(update);
    hear(columns({"row"}) + row({hidden("1,b")}) + complete("UPDATE 1") + ready('T'));
    EXPECT_EQ(say(pgwire::build_query("COMMIT")), "");
    ASSERT_EQ(escort_.next(), errand::write);
    EXPECT_FALSE(go_on(leave_reason::ties));
    away_ = true;
    EXPECT_THAT(say(""), HasSubstr("XF003")) << "and the stream is away";
    hear(complete("ROLLBACK") + refused_ + ready('I'));
    EXPECT_THAT(say(update), HasSubstr("XF003")) << "not even tried";
    hear(refused_ + ready('I'));
    EXPECT_THAT(books_.failed, ElementsAre(leave_reason::no_follower, leave_reason::no_follower));
}

TEST_F(a_strict_escort, does_not_commit_what_would_come_late) {
    begin();
    say(pgwire::build_query("COPY t FROM STDIN"));
    escort_.other_write();
    hear(complete("COPY 1") + ready('T'));
    away_ = true;
    EXPECT_THAT(say(pgwire::build_query("COMMIT")), HasSubstr("XF003"));
    EXPECT_EQ(hear(complete("ROLLBACK") + refused_ + ready('I')), refused_ + ready('I'));
    EXPECT_THAT(books_.failed, ElementsAre(leave_reason::no_follower));
    away_ = false;
    begin();
    insert();
    EXPECT_EQ(say(pgwire::build_query("COMMIT")), "") << "held, to be mirrored";
}

// Whatever else the text says, and whether or not the statement's rows have come.
TEST_F(a_strict_escort, does_not_commit_by_other_texts_what_would_come_late) {
    const std::vector<std::string> texts{"COMMIT AND CHAIN", "COMMIT; BEGIN", "SELECT 1; COMMIT",
                                         "END AND CHAIN; ROLLBACK"};
    for (const auto& text : texts) {
        begin();
        insert();
        EXPECT_EQ(say(pgwire::build_query(text)), pgwire::build_query(text)) << "the stream brings it in time";
        hear(complete("COMMIT") + ready('T'));
        did("ROLLBACK", "ROLLBACK", 'I');
        begin();
        insert();
        away_ = true;
        EXPECT_THAT(say(pgwire::build_query(text)), HasSubstr("ROLLBACK; DO ")) << text;
        EXPECT_EQ(hear(complete("ROLLBACK") + refused_ + ready('I')), refused_ + ready('I'));
        away_ = false;
    }
    EXPECT_EQ(books_.failed.size(), texts.size());

    const std::string chain = pgwire::build_bind("", "c", {}) + pgwire::build_execute("", 0) + pgwire::build_sync();
    say(pgwire::build_parse("c", "COMMIT AND CHAIN") + pgwire::build_sync());
    hear(parsed + ready('I'));
    begin();
    insert();
    away_ = true;
    EXPECT_THAT(say(chain), HasSubstr("XF003"));
    hear(closed + parsed + bound + refused_ + ready('E'));
    did("ROLLBACK", "ROLLBACK", 'I');

    for (const auto* text : {"ROLLBACK AND CHAIN", "ROLLBACK; BEGIN"}) {
        away_ = false;
        begin();
        insert();
        away_ = true;
        EXPECT_EQ(say(pgwire::build_query(text)), pgwire::build_query(text)) << "undone";
        hear(complete("ROLLBACK") + ready('T'));
        EXPECT_EQ(say(pgwire::build_query("COMMIT")), pgwire::build_query("COMMIT")) << "which is of nothing";
        hear(complete("COMMIT") + ready('I'));
    }
    for (const auto* text : {"COMMIT AND CHAIN", "COMMIT; BEGIN"}) {
        begin();
        EXPECT_EQ(say(pgwire::build_query(text)), pgwire::build_query(text)) << "it has written nothing";
        hear(complete("COMMIT") + ready('T'));
        did("ROLLBACK", "ROLLBACK", 'I');
    }
}

TEST_F(a_strict_escort, commits_what_is_on_modern_whatever_becomes_of_the_stream) {
    begin();
    insert();
    EXPECT_EQ(say(pgwire::build_query("COMMIT")), "");
    away_ = true;
    ASSERT_EQ(escort_.next(), errand::write);
    EXPECT_FALSE(go_on());
    EXPECT_EQ(say(""), pgwire::build_query("COMMIT"));
}

class a_strict_escort_of_a_pipeline : public a_strict_escort {
  protected:
    a_strict_escort_of_a_pipeline() {
        const std::pair<const char*, const char*> all[] = {
            {"b", "BEGIN"}, {"i", "INSERT INTO t VALUES (1)"}, {"s", "SELECT 1"}, {"c", "COMMIT"}};
        for (const auto& [name, text] : all) {
            say(pgwire::build_parse(name, text) + pgwire::build_sync());
            hear(parsed + (*name == 'i' ? closed + parsed : "") + ready('I'));
        }
    }
    static std::string run(const std::string& name) {
        return pgwire::build_bind("", name, {}) + pgwire::build_execute("", 0) + pgwire::build_sync();
    }
};

TEST_F(a_strict_escort_of_a_pipeline, holds_the_commit_behind_rows_that_have_not_come) {
    begin();
    away_ = true;
    say(run("i"));
    EXPECT_EQ(say(run("c")), "");
    ASSERT_EQ(escort_.next(), errand::flush);
    hear(bound + row({hidden("1,")}) + complete("INSERT 0 1") + ready('T'));
    ASSERT_EQ(escort_.next(), errand::write) << "the stream is away, and modern isn't, perhaps";
    go_on(leave_reason::no_follower);
    EXPECT_THAT(say(""), HasSubstr("XF003"));
}

// Where the session stands isn't known there, so the Sync may be what commits.
TEST_F(a_strict_escort_of_a_pipeline, refuses_what_it_can_not_have_mirrored) {
    away_ = true;
    const auto fails = closed + parsed + bound + refused_;
    const auto inserted = bound + row({hidden("1,")}) + complete("INSERT 0 1");
    EXPECT_THAT(say(run("s") + run("i")), HasSubstr("XF003"));
    hear(bound + row({"1"}) + complete("SELECT 1") + ready('I') + inserted + fails + ready('I'));

    EXPECT_THAT(say(run("b") + run("i")), HasSubstr("XF003"));
    EXPECT_EQ(say(run("c")), run("c")) << "which rolls it back";
    hear(bound + complete("BEGIN") + ready('T') + inserted + fails + ready('E'));
    hear(bound + complete("ROLLBACK") + ready('I'));
    EXPECT_FALSE(escort_.holds());
    EXPECT_THAT(books_.failed, ElementsAre(leave_reason::no_follower, leave_reason::no_follower));

    away_ = false;
    EXPECT_THAT(say(run("s") + run("i")), Not(HasSubstr("XF003"))) << "the stream brings it in time";
}

TEST_F(a_strict_escort_of_a_pipeline, keeps_in_mind_what_has_to_be_in_time) {
    say(run("s") + run("b") + pgwire::build_query("COPY t FROM STDIN"));
    escort_.other_write();
    hear(bound + row({"1"}) + complete("SELECT 1") + ready('I'));
    hear(bound + complete("BEGIN") + ready('T') + complete("COPY 1") + ready('T'));
    away_ = true;
    EXPECT_THAT(say(run("c")), HasSubstr("XF003"));
    EXPECT_EQ(say(run("c")), run("c")) << "once";
}

// Statements outlive the flags by which they were prepared.
TEST_F(an_escort, fails_by_the_flags_in_force_when_a_statement_is_bound) {
    const auto is = [this](const char* flags, bool may_fail) {
        flags_.config.flags = with_flags(flags).flags;
        escort_.mirror(true, may_fail);
    };
    const auto knows_of = [this](bool away) {
        away_ = away;
        if (away) books_.known = nullptr;
        if (!away) know(facts());
    };
    constexpr auto* strict = "dual_write_strategy: mirror, on_mirror_failure: fail";
    constexpr auto* lenient = "dual_write_strategy: mirror";
    const std::string insert = pgwire::build_execute("", 0) + pgwire::build_sync();
    const auto bind = [](const char* name) { return pgwire::build_bind("", name, {}); };
    say(pgwire::build_parse("lenient", "INSERT INTO t VALUES (1)") + pgwire::build_sync());
    hear(parsed + closed + parsed + ready('I'));
    is(strict, true);
    say(pgwire::build_parse("strict", "INSERT INTO t VALUES (1)") + pgwire::build_sync());
    hear(parsed + closed + parsed + ready('I'));

    knows_of(true);
    EXPECT_THAT(say(bind("lenient") + insert), HasSubstr("XF003"));
    hear(closed + parsed + bound + error("1") + ready('I'));
    knows_of(false);
    say(bind("lenient") + insert);
    hear(bound + row({hidden("1,")}) + complete("INSERT 0 1"));
    ASSERT_EQ(escort_.next(), errand::write);
    go_on(leave_reason::no_follower);
    EXPECT_THAT(ahead_, HasSubstr("XF003"));
    hear(closed + parsed + bound + error("1") + ready('I'));

    is(lenient, false);
    say(bind("strict") + insert);
    hear(bound + row({hidden("1,")}) + complete("INSERT 0 1"));
    ASSERT_EQ(escort_.next(), errand::write);
    go_on(leave_reason::no_follower);
    EXPECT_EQ(ahead_, pgwire::build_sync());
    hear(ready('I'));
    EXPECT_THAT(books_.failed, ElementsAre(leave_reason::no_follower, leave_reason::no_follower));
    EXPECT_THAT(books_.streamed, ElementsAre(leave_reason::no_follower));
}

}  // namespace
}  // namespace crossfade::proxy::frontend
