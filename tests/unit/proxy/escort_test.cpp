#include "proxy/frontend/escort.hpp"

#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "lib/pgwire/bytes.hpp"
#include "lib/pgwire/message_types.hpp"
#include "lib/pgwire/query_messages.hpp"
#include "lib/settings/load.hpp"

namespace crossfade::proxy::frontend {
namespace {

using namespace std::string_literals;
using pgwire::framed;
using errand = escort::errand;

// The server's messages.
const std::string parsed = framed('1', {});
const std::string bound = framed('2', {});
const std::string closed = framed('3', {});
std::string ready(char status) {
    return framed('Z', {&status, 1});
}
std::string complete(const std::string& tag) {
    return framed('C', tag + '\0');
}
std::string row(const std::vector<std::string>& values) {
    std::string body;
    pgwire::put_u16(body, static_cast<std::uint16_t>(values.size()));
    for (const auto& value : values) {
        pgwire::put_u32(body, static_cast<std::uint32_t>(value.size()));
        body += value;
    }
    return framed('D', body);
}
std::string columns(const std::vector<std::string>& names) {
    std::string body;
    pgwire::put_u16(body, static_cast<std::uint16_t>(names.size()));
    for (const auto& name : names) {
        pgwire::put_cstring(body, name);
        body += std::string(18, 'x');
    }
    return framed('T', body);
}
std::string error(const std::string& position) {
    return framed('E', "SERROR\0C42703\0P"s + position + "\0\0"s);
}
std::string hidden(const std::string& fields, const std::string& transaction = "90") {
    return "(" + transaction + ",7,\"UTF8/1/postgres/ISO, MDY\"," + fields + ')';
}

struct books : mirror::ledger {
    std::shared_ptr<const mirror::catalog> known;
    int mirrored = 0;
    int looked = 0;
    std::vector<mirror::leave_reason> streamed;

    std::shared_ptr<const mirror::catalog> tables() const override { return known; }
    void look_again() override { ++looked; }
    void count_mirrored() override { ++mirrored; }
    void count_streamed(mirror::leave_reason why) override { streamed.push_back(why); }
};

class an_escort : public testing::Test {
  protected:
    an_escort() {
        auto table = std::make_shared<mirror::table_facts>();
        table->oid = 7;
        table->name = {"public", "t"};
        table->columns = {{.name = "id", .key = true}, {.name = "note"}};
        table->readers = {"app"};
        write_row_sql(*table, 1);
        books_.known = std::make_shared<const mirror::catalog>(
            std::map<std::uint32_t, std::shared_ptr<const mirror::table_facts>>{{7, table}});
        tracker_.on_backend('Z', "I");
    }

    // What goes to the server of it; what is held, or wants to be seen whole, waits.
    std::string say(const std::string& bytes) {
        waiting_ += bytes;
        std::string sent;
        while (!waiting_.empty()) {
            const auto step = escort_.on_client(waiting_, {flags_, {}, tracker_, {true, true}});
            using action = escort::client_step::action;
            if (step.what == action::hold || step.what == action::more) break;
            const auto taken = waiting_.substr(0, step.bytes);
            waiting_.erase(0, step.bytes);
            if (step.what == action::pass) {
                sent += taken;
                tracker_.on_frontend(taken.front());
            } else {
                sent += step.instead;
                for (const char type : step.types) tracker_.on_frontend(type);
            }
        }
        return sent;
    }
    // What the client is told of it.
    std::string hear(const std::string& bytes) {
        for (std::size_t at = 0; at < bytes.size();) {
            const auto size = 1 + pgwire::byte_reader{std::string_view{bytes}.substr(at + 1)}.u32();
            tracker_.on_backend(bytes[at], std::string_view{bytes}.substr(at + 5, size - 5));
            at += size;
        }
        std::string told;
        for (std::size_t at = 0; at < bytes.size(); at += piece_) {
            const auto some = std::string_view{bytes}.substr(at, piece_);
            const auto changed = escort_.from_server(some);
            told += changed ? *changed : some;
        }
        return told;
    }
    // Whether it is by a Sync.
    bool go_on(std::optional<mirror::leave_reason> why = {}) {
        const bool by_sync = escort_.go_on(why);
        if (by_sync) tracker_.on_frontend('S');
        return by_sync;
    }
    static std::string rewritten(const std::string& front, const std::string& back = {}) {
        return back.empty() ? front + " RETURNING " + mirror::hidden_column("\"t\"")
                            : front + " RETURNING  " + mirror::hidden_column("\"t\"") + "," + back;
    }

    books books_;
    portrait::notebook notes_{{}};
    settings::in_force flags_{
        settings::parse("legacy: { dsn: \"host=a dbname=x\" }\nmodern: { dsn: \"host=b dbname=x\" }\n"
                        "kafka: { brokers: \"k:9092\" }\nstream: { name: app, tables: [\"public.*\"] }\n"
                        "flags: { dual_write_strategy: mirror }\n",
                        "f.yaml", [](std::string_view) { return std::nullopt; })
            .value(),
        1};
    pgwire::session_tracker tracker_;
    escort escort_{books_, notes_, "app"};
    std::string waiting_;
    std::size_t piece_ = 1'000'000;
};

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
    EXPECT_EQ(hear(parsed + bound + row({hidden("1,a")}) + complete("INSERT 0 1")), complete("INSERT 0 1"));
    EXPECT_EQ(say(pgwire::build_query("SELECT 1")), "") << "held";
    ASSERT_EQ(escort_.next(), errand::write);
    const auto rows = escort_.take_rows();
    EXPECT_EQ(rows.id, 90U);
    ASSERT_EQ(rows.rows.size(), 1U);
    EXPECT_EQ(rows.rows[0].values, (std::vector<std::optional<std::string>>{"1", "a"}));
    EXPECT_EQ(rows.rows[0].what, mirror::mirrored_row::change::insert);
    EXPECT_TRUE(go_on());
    EXPECT_TRUE(escort_.commits(ready('I')));
    escort_.committed(true);
    EXPECT_EQ(hear(ready('I')), ready('I'));
    EXPECT_EQ(books_.mirrored, 1);
    EXPECT_EQ(say(""), pgwire::build_query("SELECT 1"));
}

TEST_P(an_escort_of_pieces, strips_what_the_client_has_not_asked_for) {
    const auto text = "UPDATE t SET note = 'b' RETURNING id, note"s;
    EXPECT_EQ(say(pgwire::build_query(text)),
              pgwire::build_parse("", rewritten("UPDATE t SET note = 'b'", "id, note")) +
                  pgwire::build_bind("", "", {}) + pgwire::build_describe(pgwire::named::portal, "") +
                  pgwire::build_execute("", 0) + pgwire::build_flush());
    EXPECT_EQ(hear(parsed + bound + columns({"row", "id", "note"}) + row({hidden("1,b"), "1", "b"}) +
                   row({hidden("2,b"), "2", "b"}) + complete("UPDATE 2")),
              columns({"id", "note"}) + row({"1", "b"}) + row({"2", "b"}) + complete("UPDATE 2"));
    EXPECT_EQ(escort_.next(), errand::write);
    EXPECT_EQ(escort_.take_rows().rows.size(), 2U);
}

TEST_P(an_escort_of_pieces, lets_rows_pass_that_are_too_long) {
    const std::string longest(70'000, 'x');
    say(pgwire::build_query("UPDATE t SET note = 'b' RETURNING id, note"));
    EXPECT_EQ(hear(parsed + bound + columns({"row", "id", "note"}) + row({hidden("1," + longest), "1", longest}) +
                   row({hidden("2,b"), "2", "b"}) + complete("UPDATE 2")),
              columns({"id", "note"}) + row({"1", longest}) + row({"2", "b"}) + complete("UPDATE 2"));
    EXPECT_EQ(escort_.next(), errand::proceed) << "the stream brings them";
    go_on();
    EXPECT_FALSE(escort_.commits(ready('I')));
    hear(ready('I'));
    EXPECT_EQ(books_.streamed, std::vector{mirror::leave_reason::too_large});
}

TEST_F(an_escort, holds_the_commit_of_a_transaction_until_its_rows_are_written) {
    say(pgwire::build_query("BEGIN"));
    hear(complete("BEGIN") + ready('T'));
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
    EXPECT_EQ(escort_.take_rows().rows.size(), 2U);
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
    EXPECT_EQ(escort_.take_rows().rows.size(), 1U);
    EXPECT_FALSE(go_on());
    EXPECT_EQ(say(""), commit + pgwire::build_sync());
    EXPECT_EQ(hear(parsed + bound), parsed + bound);
    EXPECT_TRUE(escort_.commits(complete("COMMIT") + ready('I')));
    escort_.committed(true);
    hear(complete("COMMIT") + ready('I'));
    EXPECT_EQ(books_.mirrored, 1);
    EXPECT_FALSE(escort_.holds());
}

// What a client sends bit by bit, and answers that come in between.
TEST_F(an_escort, knows_portals_for_as_long_as_the_server_does) {
    const auto parse = pgwire::build_parse("s", "INSERT INTO t VALUES ($1)");
    const std::string longest(20'000, 'x');
    for (const auto& answer : {parsed + ready('I'), error("1") + ready('I')}) {
        say(parse + pgwire::build_sync());
        hear(parsed + parsed + ready('I'));
        say(pgwire::build_parse("other", "SELECT 1") + pgwire::build_sync());
        say(pgwire::build_bind("p", "s", {{"1"}}));
        say(pgwire::build_bind("q", "other", {{longest}}));
        hear(answer);
        say(pgwire::build_execute("p", 0) + pgwire::build_sync());
        EXPECT_EQ(hear(bound + bound + row({hidden("1,")}) + complete("INSERT 0 1")),
                  bound + bound + complete("INSERT 0 1"));
        ASSERT_EQ(escort_.next(), errand::write);
        EXPECT_EQ(escort_.take_rows().rows.size(), 1U);
        go_on();
        EXPECT_EQ(hear(ready('I')), ready('I'));
    }
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

// The server swallows the Sync that comes while it waits for the COPY's data.
TEST_F(an_escort, is_not_led_astray_by_a_copy) {
    say(pgwire::build_query("BEGIN"));
    hear(complete("BEGIN") + ready('T'));
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

TEST_F(an_escort, leaves_what_it_can_not_follow_to_the_stream) {
    say(pgwire::build_query("BEGIN"));
    hear(complete("BEGIN") + ready('T'));
    say(pgwire::build_query("INSERT INTO t VALUES (1)"));
    hear(columns({"row"}) + row({hidden("1,")}) + complete("INSERT 0 1") + ready('T'));
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
    say(pgwire::build_query("BEGIN"));
    hear(complete("BEGIN") + ready('T'));
    say(pgwire::build_query("INSERT INTO t VALUES (1)"));
    hear(columns({"row"}) + row({hidden("1,")}) + complete("INSERT 0 1") + ready('T'));
    EXPECT_EQ(say(pgwire::build_query("ROLLBACK")), pgwire::build_query("ROLLBACK"));
    EXPECT_TRUE(escort_.wrote_nothing(complete("ROLLBACK") + ready('I')));
    hear(complete("ROLLBACK") + ready('I'));
    EXPECT_TRUE(books_.streamed.empty());
    say(pgwire::build_query("INSERT INTO t VALUES (2)"));
    hear(parsed + bound + row({hidden("2,", "91")}) + complete("INSERT 0 1"));
    ASSERT_EQ(escort_.next(), errand::write);
    EXPECT_EQ(escort_.take_rows().id, 91U);
}

TEST_F(an_escort, has_a_version_of_its_own_of_a_prepared_statement) {
    const auto parse = pgwire::build_parse("s", "INSERT INTO t VALUES ($1) RETURNING id, note");
    EXPECT_EQ(say(parse + pgwire::build_describe(pgwire::named::statement, "s") + pgwire::build_sync()),
              parse + pgwire::build_parse("crossfade_1", rewritten("INSERT INTO t VALUES ($1)", "id, note")) +
                  pgwire::build_describe(pgwire::named::statement, "s") + pgwire::build_sync());
    const auto described = framed('t', "\0\1\0\0\0\x17"s) + columns({"id", "note"});
    EXPECT_EQ(hear(parsed + parsed + described + ready('I')), parsed + described + ready('I'));

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
    escort_.take_rows();
    EXPECT_TRUE(go_on());
    hear(ready('I'));

    const auto close = pgwire::build_close(pgwire::named::statement, "s");
    EXPECT_EQ(say(close + pgwire::build_sync()),
              close + pgwire::build_close(pgwire::named::statement, "crossfade_1") + pgwire::build_sync());
    EXPECT_EQ(hear(closed + closed + ready('I')), closed + ready('I'));
    EXPECT_EQ(say(framed('B', bind)), framed('B', bind));
}

TEST_F(an_escort, tells_of_no_rows_where_none_were_asked_for) {
    const auto bind = pgwire::build_bind("", "", {});
    const auto describe = pgwire::build_describe(pgwire::named::portal, "");
    EXPECT_EQ(say(pgwire::build_parse("", "DELETE FROM t") + bind + describe + pgwire::build_execute("", 1) +
                  pgwire::build_sync()),
              pgwire::build_close(pgwire::named::statement, "crossfade_0") +
                  pgwire::build_parse("crossfade_0", rewritten("DELETE FROM t")) +
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
    EXPECT_EQ(say(pgwire::build_query("DELETE FROM t")), pgwire::build_query("DELETE FROM t")) << "may it read?";
}

TEST_F(an_escort, has_the_catalogs_read_again_behind_ddl) {
    say(pgwire::build_query("BEGIN"));
    hear(complete("BEGIN") + ready('T'));
    say(pgwire::build_query("ALTER TABLE t ADD x int"));
    hear(complete("ALTER TABLE") + ready('T'));
    EXPECT_EQ(books_.looked, 0);
    say(pgwire::build_query("COMMIT"));
    hear(complete("COMMIT") + ready('I'));
    EXPECT_EQ(books_.looked, 1);
}

TEST_F(an_escort, believes_no_rows_of_other_settings_or_tables) {
    const std::pair<std::string, mirror::leave_reason> all[] = {
        {"(90,7,\"UTF8/0/postgres/ISO, MDY\",1,)", mirror::leave_reason::settings},
        {"(90,8,\"UTF8/1/postgres/ISO, MDY\",1,)", mirror::leave_reason::table},
        {"(90,7,\"UTF8/1/postgres/ISO, MDY\",1)", mirror::leave_reason::table},
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

}  // namespace
}  // namespace crossfade::proxy::frontend
