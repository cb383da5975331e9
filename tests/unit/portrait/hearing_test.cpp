#include "proxy/portrait/hearing.hpp"

#include <gmock/gmock.h>

#include "lib/pgwire/bytes.hpp"
#include "lib/pgwire/message_scanner.hpp"
#include "lib/pgwire/query_messages.hpp"

namespace crossfade::proxy::portrait {
namespace {

using namespace pgwire;
using testing::ElementsAre;
using testing::IsEmpty;
using unnamed = heard_facts::unnamed;

// A session as the proxy has it, with somebody who listens.
class listened_to : public testing::Test {
  protected:
    explicit listened_to(hearing::since when = hearing::since::log_in) : heard(book, when) {
        server(build_parameter_status("client_encoding", "UTF8") +
               build_parameter_status("standard_conforming_strings", "on") + ready());
    }

    static std::string ready(char status = 'I') { return framed('Z', std::string(1, status)); }
    static std::string error() { return framed('E', std::string_view{"C12345\0\0", 8}); }
    static std::string done() { return framed('C', "SET"); }
    static std::string set(const std::string& what) { return build_query("SET " + what); }

    void client(std::string_view bytes, std::size_t chunk = 65536) {
        struct visitor {
            listened_to& of;
            std::size_t wanted(char type) const { return of.heard.wanted_of_client(type); }
            void message(char type, std::uint32_t length, std::string_view beginning) {
                of.heard.client_said(type, length, beginning, of.tracker);
                of.tracker.on_frontend(type);
            }
        };
        std::string held;
        for (std::size_t at = 0; at < bytes.size(); at += chunk) {
            held += bytes.substr(at, chunk);
            const std::string given = held;  // where it lies, nothing before lay
            heard.client_sends(given);
            const auto consumed = from_client.scan(given, visitor{*this}).consumed;
            heard.client_sent(consumed);
            held.erase(0, consumed);
        }
        EXPECT_EQ(held, "");
    }
    void server(std::string_view bytes) {
        struct visitor {
            listened_to& of;
            std::size_t wanted(char type) const {
                return std::max<std::size_t>(of.heard.wanted_of_server(type), type == 'Z' ? 1 : 0);
            }
            void message(char type, std::uint32_t, std::string_view beginning) {
                of.heard.server_said(type, beginning);
                of.tracker.on_backend(type, beginning);
            }
        };
        const bool was_quiet = tracker.quiet();
        from_server.scan(bytes, visitor{*this});
        if (!was_quiet && tracker.quiet()) heard.settled(tracker.status());
    }
    // A statement that goes well.
    void run(const std::string& sql, char status = 'I') {
        client(build_query(sql));
        server(done() + ready(status));
    }
    std::vector<std::string> names() const { return {book.names.all().begin(), book.names.all().end()}; }
    bool clear() const { return heard.facts().settings_known; }

    session_tracker tracker;
    message_scanner from_client{1 << 30};
    message_scanner from_server{1 << 30};
    notebook book{{}};
    hearing heard;
};

struct late_listener : listened_to {
    late_listener() : listened_to(hearing::since::later) {}
};

TEST_F(listened_to, names_of_the_applications_settings_are_noted) {
    run("SET app.one = 'x'; SET work_mem = '1MB'; SET \"App.Two\" = 1; SET LOCAL app.local = 1");
    run("SELECT set_config('app.three', 'x', false), set_config('app.local', 'x', true)");
    run("PREPARE p AS SELECT set_config('app.four', $1, false)");
    client(build_parse("", "SELECT set_config('app.five', $1, $2)") + build_sync());
    server(framed('1', {}) + ready());
    EXPECT_THAT(names(), ElementsAre("app.five", "app.four", "app.one", "app.three", "app.two"));
    EXPECT_TRUE(clear());
    EXPECT_EQ(book.statements.counted().misses, 4U);
}

TEST_F(listened_to, texts_without_a_suspicion_are_not_parsed) {
    for (const auto* sql : {"SELECT 1", "UPDATE t SET a = 1", "this is not SQL", "BEGIN", "COMMIT"}) run(sql);
    EXPECT_EQ(book.statements.counted().misses + book.statements.counted().hits, 0U);
    EXPECT_TRUE(clear());
}

TEST_F(listened_to, what_is_not_understood_leaves_unclear_until_a_reset) {
    for (const auto* sql : {"SET app.x TO TO", "SELECT set_config($1, 'x', false)", "DO $$ begin set app.x = 1; end $$",
                            "DO $$ begin execute 'x'; end $$", "SET app.x = '\\'; SET \"app.\u00e4\" = ''",
                            "SELECT U&\"set!005fconfig"}) {
        run(sql);
        EXPECT_FALSE(clear()) << sql;
        run("RESET ALL");
        EXPECT_TRUE(clear()) << sql;
    }
    run("DO $$ begin perform f(); end $$");
    EXPECT_TRUE(clear()) << "functions are for the survey";
}

TEST_F(listened_to, a_function_call_of_set_config_is_unclear) {
    client(framed('F', std::string_view{"\0\0\x08\x1e\0\0\0\0\0\0", 10}));
    server(framed('V', {}) + ready());
    EXPECT_FALSE(clear());
}

TEST_F(listened_to, a_reset_counts_if_it_surely_took_place) {
    const auto make_unclear = [&] { run("SET app.x TO TO"); };
    make_unclear();
    client(build_query("RESET ALL"));
    EXPECT_FALSE(clear()) << "not yet answered";
    server(error() + ready());
    EXPECT_FALSE(clear());
    run("BEGIN", 'T');
    run("RESET ALL", 'T');
    run("ROLLBACK");
    EXPECT_FALSE(clear());
    run("BEGIN; RESET ALL; ROLLBACK");
    EXPECT_FALSE(clear());
    client(build_parse("", "RESET ALL") + build_sync());
    server(framed('1', {}) + ready());
    EXPECT_FALSE(clear()) << "never executed";
    client(build_query("BEGIN") + build_query("RESET ALL") + build_query("ROLLBACK"));
    server(done() + ready('T') + done() + ready('T') + done() + ready());
    EXPECT_FALSE(clear()) << "one behind the other";
    run("RESET ALL; SELECT set_config($1, 'x', false)");
    EXPECT_FALSE(clear());
    run("SELECT set_config($1, 'x', false); SELECT 1; RESET ALL");
    EXPECT_TRUE(clear());
    make_unclear();
    run("DISCARD ALL");
    EXPECT_TRUE(clear());
}

TEST_F(listened_to, backslashes_are_read_as_the_session_reads_them) {
    run("SET app.a = 'a\\b'");
    EXPECT_TRUE(clear());
    EXPECT_FALSE(heard.facts().strings_changed);
    run("SET standard_conforming_strings = on");
    EXPECT_FALSE(heard.facts().strings_changed);
    client(set("standard_conforming_strings = off") + set("app.b = 'a\\b'"));
    EXPECT_FALSE(clear()) << "nobody knows yet whether the first one goes well";
    server(done() + build_parameter_status("standard_conforming_strings", "off") + ready() + done() + ready());
    EXPECT_TRUE(heard.facts().strings_changed);
    run("RESET ALL");
    EXPECT_TRUE(clear());
    run("SET app.c = 'a\\b'");
    EXPECT_FALSE(clear());
    run("RESET ALL");
    server(build_parameter_status("client_encoding", "LATIN1"));
    EXPECT_EQ(heard.lexing().names, sql::spelling::latin1);
    server(build_parameter_status("client_encoding", "SJIS"));
    EXPECT_EQ(heard.lexing().names, sql::spelling::other);
    run("SET app.d = '\u00e4'");
    EXPECT_FALSE(clear());
}

TEST_F(listened_to, whoever_asks_what_a_sequence_gave_stays_known_for_it) {
    run("INSERT INTO t VALUES (nextval('s'))");
    EXPECT_FALSE(heard.facts().sequence_values);
    run("SELECT currval('s')");
    EXPECT_TRUE(heard.facts().sequence_values);
    run("RESET ALL");
    EXPECT_TRUE(heard.facts().sequence_values);
    run("DISCARD ALL");
    EXPECT_FALSE(heard.facts().sequence_values);
}

TEST_F(listened_to, long_texts_are_looked_through) {
    const std::string rows = "INSERT INTO t VALUES ('" + std::string(20'000, 'x') + "')";
    for (const std::size_t chunk : {100'000, 4096, 1000}) {
        client(build_query(rows) + build_query(rows) + build_parse("p", rows) + build_sync(), chunk);
        server(done() + ready() + done() + ready() + framed('1', {}) + ready());
        EXPECT_TRUE(clear()) << chunk;
        for (const auto* more : {"; SET app.x = 1", " RETURNING set_config('app.x', a, false)"}) {
            client(build_query(rows + more) + build_query(rows) + build_query("SELECT 1"), chunk);
            EXPECT_FALSE(clear()) << more << chunk;
            server(done() + ready() + done() + ready() + done() + ready());
            run("RESET ALL");
            EXPECT_TRUE(clear());
        }
    }
    EXPECT_THAT(names(), IsEmpty());
}

TEST_F(listened_to, names_are_bounded) {
    for (unsigned each = 0; each < hearing::most_names; ++each) run("SET app.n" + std::to_string(each) + " = 1");
    EXPECT_TRUE(clear());
    run("SET app.n0 = 2");
    EXPECT_TRUE(clear());
    run("SET app.one_more = 1");
    EXPECT_FALSE(clear());
    run("RESET ALL");
    run("SET app." + std::string(setting_names::longest, 'x') + " = 1");
    EXPECT_FALSE(clear());
    setting_names all;
    for (std::size_t each = 0; each < setting_names::most; ++each) EXPECT_TRUE(all.add("a." + std::to_string(each)));
    EXPECT_FALSE(all.add("a.b"));
    EXPECT_TRUE(all.add("a.1"));
}

TEST_F(listened_to, the_unnamed_statement_is_kept_as_it_was_said) {
    const auto parse = build_parse("", "select $1", std::vector<std::uint32_t>{23});
    EXPECT_EQ(heard.facts().statement, unnamed::none);
    client(parse + build_sync());
    EXPECT_EQ(heard.facts().statement, unnamed::unknown) << "not yet answered";
    server(framed('1', {}) + ready());
    EXPECT_EQ(heard.facts().statement, unnamed::kept);
    EXPECT_EQ(heard.facts().parse, parse.substr(5));
    client(build_parse("p", "select 2") + build_bind("", "", {"1"}) + build_execute("", 0) + build_sync());
    server(framed('1', {}) + framed('2', {}) + done() + ready());
    EXPECT_EQ(heard.facts().statement, unnamed::kept) << "a named one is another one";
    client(build_close(named::statement, "p") + build_close(named::portal, "") + build_sync());
    server(framed('3', {}) + framed('3', {}) + ready());
    EXPECT_EQ(heard.facts().statement, unnamed::kept);
    client(build_close(named::statement, "") + build_sync());
    server(framed('3', {}) + ready());
    EXPECT_EQ(heard.facts().statement, unnamed::none);
    client(parse + build_sync());
    server(framed('1', {}) + ready());
    client(build_query("select ("));
    server(error() + ready());
    EXPECT_EQ(heard.facts().statement, unnamed::none) << "a query takes it away even if it fails";
    EXPECT_EQ(heard.facts().parse, "");
}

TEST_F(listened_to, an_unnamed_statement_in_a_batch_that_fails_is_unknown) {
    client(build_parse("", "select 1") + build_sync());
    server(framed('1', {}) + ready());
    client(build_bind("", "nowhere", {}) + build_parse("", "select 2") + build_sync());
    server(error() + ready());
    EXPECT_EQ(heard.facts().statement, unnamed::unknown);
    client(build_bind("", "nowhere", {}) + build_sync());
    server(error() + ready());
    EXPECT_EQ(heard.facts().statement, unnamed::unknown);
    client(build_parse("", "select 2") + build_sync());
    server(framed('1', {}) + ready());
    EXPECT_EQ(heard.facts().statement, unnamed::kept);
    client(build_bind("", "nowhere", {}) + build_sync());
    server(error() + ready());
    EXPECT_EQ(heard.facts().statement, unnamed::kept) << "an error that doesn't concern it";
}

// As drivers do it that prepare nothing: the statement fails when it is executed.
TEST_F(listened_to, an_unnamed_statement_that_was_there_before_the_error_is_kept) {
    const auto parse = build_parse("", "insert into t values (1)");
    const auto runs = build_bind("", "", {}) + build_execute("", 0) + build_sync();
    const auto parsed = framed('1', {});
    client(parse + runs);
    server(parsed + framed('2', {}) + error() + ready());
    EXPECT_EQ(heard.facts().statement, unnamed::kept);
    EXPECT_EQ(heard.facts().parse, parse.substr(5));
    client(build_parse("p", "select 1") + parse + runs);
    server(parsed + error() + ready());
    EXPECT_EQ(heard.facts().statement, unnamed::unknown) << "that was the named one";
    client(parse + build_parse("p", "select (") + build_sync());
    server(parsed + error() + ready());
    EXPECT_EQ(heard.facts().statement, unnamed::kept);
    client(parse + build_close(named::statement, "") + runs);
    server(parsed + framed('3', {}) + error() + ready());
    EXPECT_EQ(heard.facts().statement, unnamed::unknown) << "touched again";
    client(parse + runs + parse + runs);
    server(parsed + error() + ready() + parsed + framed('2', {}) + done() + ready());
    EXPECT_EQ(heard.facts().statement, unnamed::unknown) << "nobody follows what is behind an error";
    // One of the proxy's own in front of it.
    client(build_bind("", "q", {}));
    heard.more_was_sent(1);
    client(parse + runs);
    server(parsed + error() + ready());
    EXPECT_EQ(heard.facts().statement, unnamed::unknown);
    heard.more_was_sent(1);
    client(parse + runs);
    server(parsed + parsed + framed('2', {}) + error() + ready());
    EXPECT_EQ(heard.facts().statement, unnamed::kept);
}

TEST_F(listened_to, another_role_is_noted) {
    run("SET work_mem = '1MB'; SELECT 1");
    EXPECT_FALSE(heard.may_have_other_role());
    for (const auto* sql : {"SET ROLE team", "SET SESSION AUTHORIZATION ann", "SELECT set_config('role', 'x', false)",
                            "SELECT set_config($1, 'x', false)", "SET ROLE TO TO", "DO $$ begin execute 'x'; end $$"}) {
        run(sql);
        EXPECT_TRUE(heard.may_have_other_role()) << sql;
        run("RESET ALL");
        EXPECT_TRUE(heard.may_have_other_role()) << "which leaves it";
        notebook elsewhere({});
        EXPECT_FALSE(hearing(elsewhere, heard.remembered()).may_have_other_role()) << "who takes it along knows it";
        run("DISCARD ALL");
        EXPECT_FALSE(heard.may_have_other_role()) << sql;
    }
    client(build_query("DISCARD ALL"));
    server(error() + ready());
    client(build_query("SET ROLE team"));
    EXPECT_TRUE(heard.may_have_other_role()) << "not yet answered";
}

TEST_F(listened_to, an_unnamed_statement_that_is_too_long_is_not_kept) {
    client(build_parse("", "select '" + std::string(hearing::longest_heard, 'x') + "'") + build_sync());
    server(framed('1', {}) + ready());
    EXPECT_EQ(heard.facts().statement, unnamed::unknown);
    EXPECT_LT(heard.kept_bytes(), 100U);
    EXPECT_TRUE(clear());
}

TEST_F(late_listener, knows_nothing_of_before) {
    EXPECT_FALSE(clear());
    EXPECT_TRUE(heard.facts().strings_changed);
    EXPECT_TRUE(heard.facts().sequence_values);
    EXPECT_TRUE(heard.may_have_other_role());
    EXPECT_EQ(heard.facts().statement, unnamed::unknown);
    run("DISCARD ALL");
    EXPECT_TRUE(clear());
    EXPECT_FALSE(heard.may_have_other_role());
    EXPECT_FALSE(heard.facts().sequence_values);
    EXPECT_EQ(heard.facts().statement, unnamed::none);
}

TEST_F(listened_to, goes_on_where_a_session_comes_back) {
    client(set("app.tenant = 'x'") + set("standard_conforming_strings = off"));
    server(done() + ready() + build_parameter_status("standard_conforming_strings", "off") + done() + ready());
    client(build_parse("", "SELECT 1") + build_sync());
    server(framed('1', {}) + ready());
    notebook elsewhere({.entries = 10, .bytes = 10'000});
    const hearing again(elsewhere, heard.remembered());
    EXPECT_TRUE(again.clear());
    EXPECT_EQ(again.facts().statement, unnamed::kept);
    EXPECT_EQ(again.facts().parse, heard.facts().parse);
    EXPECT_TRUE(again.facts().strings_changed);
    EXPECT_FALSE(again.lexing().standard_conforming_strings);
    EXPECT_TRUE(again.lexing().ascii_is_itself);

    client(build_query("SELECT set_config(name, 'x', false) FROM names"));
    server(done() + ready());
    EXPECT_FALSE(hearing(elsewhere, heard.remembered()).clear());
}

TEST(setting_names, are_shared_as_they_are) {
    setting_names names;
    names.add("app.one");
    const auto before = names.shared();
    EXPECT_EQ(names.shared(), before);
    names.add("app.two");
    EXPECT_THAT(*before, ElementsAre("app.one"));
    EXPECT_THAT(*names.shared(), ElementsAre("app.one", "app.two"));
}

}  // namespace
}  // namespace crossfade::proxy::portrait
