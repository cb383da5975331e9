#include "tests/unit/proxy/an_escort.hpp"

namespace crossfade::proxy::frontend {
namespace {

using namespace std::string_literals;

class an_escort_of_pieces : public an_escort, public testing::WithParamInterface<std::size_t> {
  protected:
    an_escort_of_pieces() { piece_ = GetParam(); }
};
INSTANTIATE_TEST_SUITE_P(of, an_escort_of_pieces, testing::Values(1, 2, 3, 5, 7, 11, 1'000'000));

TEST_P(an_escort_of_pieces, keeps_a_statement_s_own_transaction_open_until_its_rows_are_written) {
    EXPECT_EQ(say(pgwire::build_query("INSERT INTO t VALUES (1, 'a')")),
              pgwire::build_parse("", rewritten("INSERT INTO t VALUES (1, 'a')")) + pgwire::build_bind("", "", {}) +
                  pgwire::build_execute("", 0) + pgwire::build_flush());
    EXPECT_EQ(escort_.next(), errand::none) << "it isn't answered";
    EXPECT_EQ(hear(parsed + bound + row({hidden("1,a")}) + complete("INSERT 0 1")), "") << "it isn't committed";
    EXPECT_EQ(say(pgwire::build_query("SELECT 1")), "") << "held";
    ASSERT_EQ(escort_.next(), errand::write);
    const auto rows = escort_.rows();
    EXPECT_EQ(rows.id, 90U);
    ASSERT_EQ(rows.rows.size(), 1U);
    EXPECT_EQ(rows.rows[0].values, (std::vector<std::optional<std::string>>{"1", "a"}));
    EXPECT_EQ(rows.rows[0].what, mirror::mirrored_row::change::insert);
    EXPECT_TRUE(go_on());
    EXPECT_TRUE(escort_.commits(ready('I')));
    escort_.committed(true);
    EXPECT_EQ(hear(ready('I')), complete("INSERT 0 1") + ready('I'));
    EXPECT_EQ(books_.mirrored, 1);
    EXPECT_EQ(say(""), pgwire::build_query("SELECT 1"));
}

// As a deferred constraint does.
TEST_P(an_escort_of_pieces, calls_nothing_complete_that_fails_when_it_is_committed) {
    say(pgwire::build_query("INSERT INTO t VALUES (1, 'a')"));
    hear(parsed + bound + row({hidden("1,a")}) + complete("INSERT 0 1"));
    ASSERT_EQ(escort_.next(), errand::write);
    go_on();
    EXPECT_EQ(hear(error("") + ready('I')), error("") + ready('I'));
    EXPECT_EQ(say(pgwire::build_query("SELECT 1")), pgwire::build_query("SELECT 1"));
    EXPECT_EQ(hear(complete("SELECT 1") + ready('I')), complete("SELECT 1") + ready('I'));
}

TEST_P(an_escort_of_pieces, strips_what_the_client_has_not_asked_for) {
    const auto text = "UPDATE t SET note = 'b' WHERE id < 3 AND id IN (1, 2) RETURNING id, note"s;
    EXPECT_EQ(say(pgwire::build_query(text)),
              pgwire::build_parse("", rewritten("UPDATE t SET note = 'b' WHERE id < 3 AND id IN (1, 2)", "id, note")) +
                  pgwire::build_bind("", "", {}) + pgwire::build_describe(pgwire::named::portal, "") +
                  pgwire::build_execute("", 0) + pgwire::build_flush());
    EXPECT_EQ(hear(parsed + bound + columns({"row", "id", "note"}) + row({hidden("1,b"), "1", "b"}) +
                   row({hidden("2,b"), "2", "b"}) + complete("UPDATE 2")),
              columns({"id", "note"}) + row({"1", "b"}) + row({"2", "b"}));
    EXPECT_EQ(escort_.next(), errand::write);
    EXPECT_EQ(escort_.rows().rows.size(), 2U);
}

TEST_P(an_escort_of_pieces, lets_rows_pass_that_are_too_long) {
    const std::string longest(70'000, 'x');
    say(pgwire::build_query("UPDATE t SET note = 'b' WHERE id < 3 AND id IN (1, 2) RETURNING id, note"));
    EXPECT_EQ(hear(parsed + bound + columns({"row", "id", "note"}) + row({hidden("1," + longest), "1", longest}) +
                   row({hidden("2,b"), "2", "b"}) + complete("UPDATE 2")),
              columns({"id", "note"}) + row({"1", longest}) + row({"2", "b"}));
    EXPECT_EQ(escort_.next(), errand::proceed) << "the stream brings them";
    go_on();
    EXPECT_FALSE(escort_.commits(ready('I')));
    EXPECT_EQ(hear(ready('I')), complete("UPDATE 2") + ready('I'));
    EXPECT_EQ(books_.streamed, std::vector{mirror::leave_reason::too_large});
}

// The client's own is not on the server until it is asked for without being sent anew.
TEST_F(an_escort, gives_the_statement_without_a_name_back) {
    const auto parse = pgwire::build_parse("", "INSERT INTO t VALUES ($1)");
    const auto bind = pgwire::build_bind("", "", {{"1"}});
    const auto describe = pgwire::build_describe(pgwire::named::statement, "");
    const auto execute = pgwire::build_execute("", 0);
    const auto ours = pgwire::build_close(pgwire::named::statement, "crossfade_0") +
                      pgwire::build_parse("crossfade_0", rewritten("INSERT INTO t VALUES ($1)")) +
                      pgwire::build_bind("", "crossfade_0", {{"1"}}) + execute;
    EXPECT_EQ(say(parse + bind + execute + pgwire::build_sync()), ours + pgwire::build_flush());
    EXPECT_EQ(hear(closed + parsed + bound + error("1")), parsed + bound + error("1"));
    EXPECT_EQ(escort_.next(), errand::proceed);
    go_on();
    hear(ready('I'));
    EXPECT_EQ(say(bind + execute + pgwire::build_sync()), parse + bind + execute + pgwire::build_sync());
    EXPECT_EQ(hear(parsed + bound + complete("INSERT 0 1") + ready('I')), bound + complete("INSERT 0 1") + ready('I'));
    EXPECT_EQ(say(bind), bind) << "it is there now";

    const auto longest = pgwire::build_bind("", "", {{std::string(20'000, 'x')}});
    EXPECT_EQ(say(parse + longest), parse + longest) << "what can't be seen whole is left alone";
    hear(bound + parsed + bound);
    say(parse + bind + execute);
    hear(closed + parsed + bound + row({hidden("1,")}) + complete("INSERT 0 1"));
    EXPECT_EQ(say(longest), parse + longest);
    EXPECT_EQ(hear(parsed + bound), bound);
    say(parse + bind + execute);
    hear(closed + parsed + bound + row({hidden("2,")}) + complete("INSERT 0 1"));
    EXPECT_EQ(say(describe), parse + describe);
    EXPECT_EQ(hear(parsed + framed('n', {})), framed('n', {}));
}

TEST_F(an_escort, has_a_version_of_its_own_of_a_prepared_statement) {
    const auto parse = pgwire::build_parse("s", "INSERT INTO t VALUES ($1) RETURNING id, note");
    EXPECT_EQ(say(parse + pgwire::build_describe(pgwire::named::statement, "s") + pgwire::build_sync()),
              parse + pgwire::build_close(pgwire::named::statement, "crossfade_1") +
                  pgwire::build_parse("crossfade_1", rewritten("INSERT INTO t VALUES ($1)", "id, note")) +
                  pgwire::build_describe(pgwire::named::statement, "s") + pgwire::build_sync());
    const auto described = framed('t', "\0\1\0\0\0\x17"s) + columns({"id", "note"});
    EXPECT_EQ(hear(parsed + closed + parsed + described + ready('I')), parsed + described + ready('I'));

    std::string bind;
    for (const auto* name : {"", "s"}) pgwire::put_cstring(bind, name);
    pgwire::put_u16(bind, 0);
    pgwire::put_u16(bind, 1);
    pgwire::put_u32(bind, 1);
    bind += '5';
    auto expected = "\0crossfade_1\0"s + bind.substr(3);
    for (const int format : {2, 1, 0}) pgwire::put_u16(bind, static_cast<std::uint16_t>(format));
    for (const int format : {3, 0, 1, 0}) pgwire::put_u16(expected, static_cast<std::uint16_t>(format));
    const auto rest = pgwire::build_describe(pgwire::named::portal, "") + pgwire::build_execute("", 0);
    EXPECT_EQ(say(framed('B', bind) + rest + pgwire::build_sync()),
              framed('B', expected) + rest + pgwire::build_flush());
    EXPECT_EQ(hear(bound + columns({"row", "id", "note"}) + row({hidden("5,"), "5", ""}) + complete("INSERT 0 1")),
              bound + columns({"id", "note"}) + row({"5", ""}) + complete("INSERT 0 1"));
    EXPECT_EQ(escort_.next(), errand::write);
    EXPECT_TRUE(go_on());
    hear(ready('I'));

    const auto close = pgwire::build_close(pgwire::named::statement, "s");
    EXPECT_EQ(say(close + pgwire::build_sync()),
              close + pgwire::build_close(pgwire::named::statement, "crossfade_1") + pgwire::build_sync());
    EXPECT_EQ(hear(closed + closed + ready('I')), closed + ready('I'));
    EXPECT_EQ(say(framed('B', bind)), framed('B', bind));
}

// As many as there may be of a connection that outlives it, however often the client prepares others.
TEST_F(an_escort, has_no_more_versions_of_its_own_than_it_may_know) {
    const auto prepare = [this](const std::string& name) {
        const auto sent = say(pgwire::build_parse(name, "INSERT INTO t VALUES ($1)") + pgwire::build_sync());
        hear(parsed + closed + parsed + ready('I'));
        const auto at = sent.rfind("crossfade_");
        return at == std::string::npos ? "none" : std::string{sent.data() + at};
    };
    EXPECT_EQ(prepare("kept"), "crossfade_1");
    for (unsigned other = 2; other <= escort::most_prepared; ++other)
        EXPECT_EQ(prepare("other"), "crossfade_" + std::to_string(other));
    EXPECT_EQ(prepare("other"), "crossfade_2") << "as the first is still in use";
    for (unsigned more = 3; more <= escort::most_prepared; ++more) prepare(std::to_string(more));
    EXPECT_EQ(prepare("one too many"), "none");
    EXPECT_TRUE(say(pgwire::build_bind("", "kept", {{"1"}})).find("crossfade_1") != std::string::npos);
}

TEST_F(an_escort, tells_of_no_rows_where_none_were_asked_for) {
    const auto bind = pgwire::build_bind("", "", {});
    const auto describe = pgwire::build_describe(pgwire::named::portal, "");
    EXPECT_EQ(say(pgwire::build_parse("", "DELETE FROM t WHERE id = 1") + bind + describe +
                  pgwire::build_execute("", 1) + pgwire::build_sync()),
              pgwire::build_close(pgwire::named::statement, "crossfade_0") +
                  pgwire::build_parse("crossfade_0", rewritten("DELETE FROM t WHERE id = 1")) +
                  pgwire::build_bind("", "crossfade_0", {}) + describe + pgwire::build_execute("", 0) +
                  pgwire::build_flush());
    EXPECT_EQ(hear(closed + parsed + bound + columns({"row"}) + row({hidden("1,")}) + row({hidden("2,")}) +
                   complete("DELETE 2")),
              parsed + bound + framed('n', {}) + complete("DELETE 2"));
    EXPECT_EQ(escort_.next(), errand::write);
}

TEST_F(an_escort, says_where_an_error_is_in_the_client_s_own_text) {
    const auto text = "INSERT INTO t VALUES ('ü') RETURNING id, nope"s;
    say(pgwire::build_query(text));
    const auto added = mirror::hidden_column("\"t\"").size() + 2;
    EXPECT_EQ(hear(error(std::to_string(42 + added))), error("42"));
    EXPECT_EQ(escort_.next(), errand::proceed);
    EXPECT_TRUE(go_on()) << "the server skips up to a Sync";
    EXPECT_EQ(hear(ready('I')), ready('I'));
    say(pgwire::build_query(text));
    EXPECT_EQ(hear(error("24")), error("24"));
}

TEST_F(an_escort, is_careful_with_texts_of_others) {
    for (const auto* text :
         {"INSERT INTO t VALUES (1); SELECT 1", "INSERT INTO u VALUES (1)", "UPDATE t SET id = 2",
          "INSERT INTO t VALUES (f())", "COPY t FROM STDIN", "TRUNCATE t", "nonsense", "INSERT INTO t VALUES ($1)"}) {
        EXPECT_EQ(say(pgwire::build_query(text)), pgwire::build_query(text)) << text;
        hear(error("1") + ready('I'));
    }
    const std::string longest(20'000, ' ');
    EXPECT_EQ(say(pgwire::build_query("INSERT INTO t VALUES (1)" + longest)),
              pgwire::build_query("INSERT INTO t VALUES (1)" + longest));
    hear(complete("INSERT 0 1") + ready('I'));
    say(pgwire::build_query("SET ROLE other"));
    hear(complete("SET") + ready('I'));
    const auto remove = pgwire::build_query("DELETE FROM t WHERE id = 1");
    EXPECT_EQ(say(remove), remove) << "may it read?";
}

TEST_F(an_escort, believes_no_rows_of_other_settings_or_tables) {
    const std::pair<std::string, mirror::leave_reason> all[] = {
        {"(90,7,\"UTF8/0/postgres/ISO, MDY/hex/on/UTC\",1,)", mirror::leave_reason::settings},
        {"(90,7,\"UTF8/1/postgres/ISO, MDY/hex/off/UTC\",1,)", mirror::leave_reason::settings},
        {"(90,8,\"UTF8/1/postgres/ISO, MDY/hex/on/UTC\",1,)", mirror::leave_reason::table},
        {"(90,7,\"UTF8/1/postgres/ISO, MDY/hex/on/UTC\",1)", mirror::leave_reason::table},
        {"what", mirror::leave_reason::statement}};
    for (const auto& [text, why] : all) {
        say(pgwire::build_query("INSERT INTO t VALUES (1)"));
        hear(parsed + bound + row({text}) + complete("INSERT 0 1"));
        EXPECT_EQ(escort_.next(), errand::proceed);
        go_on();
        hear(ready('I'));
        ASSERT_FALSE(books_.streamed.empty());
        EXPECT_EQ(books_.streamed.back(), why) << text;
    }
}

// A row is known to the stream by its key's text.
TEST_F(an_escort, asks_for_the_stream_s_own_settings_where_a_key_depends_on_them) {
    const auto next = [&](const char* settings) {
        say(pgwire::build_query("INSERT INTO t VALUES (1)"));
        hear(parsed + bound + row({"(90,7,\"UTF8/1/postgres/ISO, MDY/" + std::string{settings} + "\",1,)"}) +
             complete("INSERT 0 1"));
        const auto made = escort_.next();
        if (made == errand::write) escort_.rows();
        go_on();
        if (made == errand::write) escort_.committed(true);
        hear(ready('I'));
        return made;
    };
    const auto know_key = [this](bool zoned, bool bytes) {
        auto table = facts();
        table.zoned_key = zoned;
        table.bytes_key = bytes;
        know(std::move(table));
    };
    constexpr const char* zoned = "hex/on/Asia/Tokyo";
    constexpr const char* escaped = "escape/on/UTC";
    know_key(false, false);
    for (const auto* other : {zoned, escaped}) EXPECT_EQ(next(other), errand::write) << other;
    know_key(true, false);
    EXPECT_EQ(next(escaped), errand::write);
    EXPECT_EQ(next(zoned), errand::proceed);
    know_key(false, true);
    EXPECT_EQ(next(zoned), errand::write);
    EXPECT_EQ(next(escaped), errand::proceed);
    EXPECT_EQ(books_.streamed, (std::vector{mirror::leave_reason::settings, mirror::leave_reason::settings}));
    know_key(true, true);
    EXPECT_EQ(next("hex/on/Etc/UTC"), errand::write);
}

// It may have gone over to another one since the catalogs were read.
TEST_F(an_escort, believes_a_partition_s_rows_of_its_own_table_alone) {
    auto parted = facts();
    parted.partitions = {{9, {"public", "t_north"}}};
    auto other = facts();
    other.oid = 8;
    other.name = {"public", "u"};
    know_all({parted, other});
    const auto next = [&](const std::string& table) {
        say(pgwire::build_query("INSERT INTO " + table + " VALUES (1)"));
        hear(parsed + bound + row({hidden("1,", "90", "9")}) + complete("INSERT 0 1"));
        return escort_.next();
    };
    ASSERT_EQ(next("t"), errand::write);
    EXPECT_EQ(escort_.rows().rows.front().table->oid, 7U);
    go_on();
    hear(ready('I'));
    EXPECT_EQ(next("u"), errand::proceed);
    go_on();
    hear(ready('I'));
    ASSERT_FALSE(books_.streamed.empty());
    EXPECT_EQ(books_.streamed.back(), mirror::leave_reason::table);
}

TEST_F(an_escort, says_why_a_statement_is_left_to_the_stream) {
    know_ties();
    const std::pair<const char*, mirror::leave_reason> all[] = {
        {"INSERT INTO t VALUES (1)", mirror::leave_reason::ties},
        {"INSERT INTO t VALUES (1) ON CONFLICT (id) DO UPDATE SET note = 'b'", mirror::leave_reason::ties},
        {"DELETE FROM other", mirror::leave_reason::table},
        {"UPDATE t SET id = 2", mirror::leave_reason::statement},
        {"UPDATE t SET note = 'b'", mirror::leave_reason::too_large},
        {"DELETE FROM t WHERE id > 2", mirror::leave_reason::too_large},
        {"COPY t FROM STDIN", mirror::leave_reason::statement}};
    const auto left = [&](const std::string& bytes) {
        const auto step = escort_.on_client(bytes, {flags_, {}, tracker_, {true, true}, away_});
        EXPECT_EQ(step.what, escort::client_step::action::pass);
        EXPECT_FALSE(step.mirrored);
        return step.why;
    };
    for (const auto& [text, why] : all) {
        EXPECT_EQ(left(pgwire::build_query(text)), why) << text;
        hear(complete("x") + ready('I'));
        left(pgwire::build_parse("s", text));
        EXPECT_EQ(left(pgwire::build_bind("", "s", {})), why) << text;
        left(pgwire::build_sync());
        hear(parsed + bound + ready('I'));
    }
}

// Its statements are rewritten as ever: one that is prepared now may be used for hours.
TEST_F(an_escort, leaves_the_rows_of_a_table_that_rests_to_the_stream) {
    say(pgwire::build_parse("s", "INSERT INTO t VALUES (1)") + pgwire::build_sync());
    hear(parsed + closed + parsed + ready('I'));
    const auto next = [&] {
        say(pgwire::build_bind("", "s", {}) + pgwire::build_execute("", 0) + pgwire::build_sync());
        hear(bound + row({hidden("1,")}) + complete("INSERT 0 1"));
        return escort_.next();
    };
    const auto now = mirror::catalog::clock::now();
    know_all({facts()}, {{7, now + std::chrono::hours{1}}});
    EXPECT_EQ(next(), errand::proceed);
    go_on();
    hear(ready('I'));
    EXPECT_EQ(books_.streamed, std::vector{mirror::leave_reason::refused});
    know_all({facts()}, {{7, now}, {8, now + std::chrono::hours{1}}});
    EXPECT_EQ(next(), errand::write) << "it has rested";
}

// It was bound when nothing spoke against that.
TEST_F(an_escort, mirrors_no_new_row_by_what_it_knew_of_the_table) {
    say(pgwire::build_parse("s", "INSERT INTO t VALUES (1)") + pgwire::build_sync());
    hear(parsed + closed + parsed + ready('I'));
    say(pgwire::build_bind("", "s", {}) + pgwire::build_execute("", 0) + pgwire::build_sync());
    know_ties();
    hear(bound + row({hidden("1,")}) + complete("INSERT 0 1"));
    EXPECT_EQ(escort_.next(), errand::proceed);
    go_on();
    hear(ready('I'));
    EXPECT_EQ(books_.streamed, std::vector{mirror::leave_reason::ties});
}

TEST_F(an_escort, mirrors_what_leaves_the_ties_alone) {
    know_ties();
    for (const auto* text : {"DELETE FROM t WHERE id = 1", "UPDATE t SET note = 'b' WHERE id = 1"}) {
        say(pgwire::build_query(text));
        hear(parsed + bound + row({hidden("1,b")}) + complete("x"));
        ASSERT_EQ(escort_.next(), errand::write) << text;
        EXPECT_EQ(escort_.rows().rows[0].sets_ties, text[0] == 'U');
        go_on();
        escort_.committed(true);
        hear(ready('I'));
    }
    EXPECT_EQ(books_.mirrored, 2);
}

}  // namespace
}  // namespace crossfade::proxy::frontend
