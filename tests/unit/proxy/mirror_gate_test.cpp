#include "proxy/frontend/mirror_gate.hpp"

#include <gtest/gtest.h>

#include <vector>

#include "lib/pgwire/message_types.hpp"
#include "lib/pgwire/query_messages.hpp"
#include "lib/settings/load.hpp"

namespace crossfade::proxy::frontend {
namespace {

std::string from_server(char type, std::string_view body) {
    const auto length = static_cast<std::uint32_t>(body.size() + 4);
    std::string made{type};
    for (const int shift : {24, 16, 8, 0}) made += static_cast<char>(length >> shift & 0xff);
    return made.append(body);
}
const std::string done = from_server('C', std::string_view{"INSERT 0 1\0", 11});
const std::string row = from_server('D', "1234567");
std::string ready(char status) {
    return from_server('Z', std::string_view{&status, 1});
}

struct books : mirror::ledger {
    std::shared_ptr<const mirror::write_targets> by_name;

    void know(const std::vector<std::pair<const char*, const char*>>& names) {
        mirror::write_targets made;
        for (const auto& [name, root] : names)
            made.emplace(model::table_name{"public", name}, model::table_name{"public", root});
        by_name = std::make_shared<const mirror::write_targets>(std::move(made));
    }
    std::shared_ptr<const mirror::catalog> tables() const override { return nullptr; }
    std::shared_ptr<const mirror::write_targets> targets() const override { return by_name; }
    void look_again(const std::vector<model::table_name>&) override {}
    void count_mirrored() override {}
    void count_streamed(mirror::leave_reason) override {}
    void count_failed(mirror::leave_reason) override {}
};

class a_mirror_gate : public testing::Test {
  protected:
    static settings::in_force flags(const std::string& more) {
        const std::string text =
            "legacy: { dsn: \"host=a dbname=x\" }\nmodern: { dsn: \"host=b dbname=x\" }\n"
            "kafka: { brokers: \"k:9092\" }\nstream: { name: app, tables: [\"public.*\"] }\n" +
            more;
        return {settings::parse(text, "f.yaml", [](std::string_view) { return std::nullopt; }).value(), 1};
    }

    // A whole message of the client.
    void say(std::string_view message) {
        const auto body = message.substr(5);
        gate_.client_said(message[0], static_cast<std::uint32_t>(body.size()),
                          body.substr(0, gate_.wanted_of_client(message[0])), flags_, {});
    }
    bool holds(std::string_view answer = done + ready('I')) const {
        return gate_.look_for_answer(answer, 0, true).whole;
    }
    // Whether the answer to this text waits, of a session that was idle.
    bool waits(std::string_view text) {
        say(pgwire::build_query(text));
        const bool held = holds();
        gate_.answered(1000, true, true);
        return held;
    }

    portrait::notebook notes_{{}};
    settings::in_force flags_ = flags("flags: { dual_write_strategy: mirror }\n");
    books books_;
    mirror_gate gate_{notes_, &books_};
};

TEST_F(a_mirror_gate, knows_what_may_have_written) {
    for (const auto* text : {"INSERT INTO t VALUES (1)",
                             "UPDATE t SET a = 1",
                             "DELETE FROM t",
                             "TRUNCATE t",
                             "COPY t FROM STDIN",
                             "WITH w AS (INSERT INTO t VALUES (1) RETURNING *) SELECT * FROM w",
                             "SELECT mine()",
                             "SELECT query_to_xml('DELETE FROM t RETURNING 1', true, true, '')",
                             "DO $$ BEGIN END $$",
                             "CALL p()",
                             "EXECUTE s",
                             "CREATE TABLE u (a int)",
                             "SELECT * INTO u FROM t",
                             "MERGE INTO t USING u ON t.a = u.a WHEN MATCHED THEN DELETE",
                             "COMMIT PREPARED 'x'",
                             "not SQL",
                             "SELECT 1; INSERT INTO t VALUES (1)",
                             "BEGIN; INSERT INTO t VALUES (1); COMMIT",
                             "EXPLAIN ANALYZE DELETE FROM t",
                             "SELECT 'a\\'; DELETE FROM t --'"})
        EXPECT_TRUE(waits(text)) << text;
    for (const auto* text :
         {"SELECT * FROM t WHERE a = 1", "SELECT count(*), now() FROM t", "BEGIN", "COMMIT", "ROLLBACK",
          "SET a.b = 'c'", "SHOW work_mem", "LISTEN x", "VACUUM t", "COPY t TO STDOUT", "SELECT * FROM t FOR UPDATE",
          "", "-- nothing", "SELECT 1; SELECT 2", "EXPLAIN DELETE FROM t", "SELECT nextval('s')",
          "SELECT pg_advisory_xact_lock(1), random()"})
        EXPECT_FALSE(waits(text)) << text;
    EXPECT_TRUE(waits("SELECT 1 --" + std::string(mirror_gate::longest_read, 'x')));
}

TEST_F(a_mirror_gate, lets_a_transaction_wait_at_its_end) {
    say(pgwire::build_query("BEGIN"));
    gate_.answered(100, false, false);
    say(pgwire::build_query("INSERT INTO t VALUES (1)"));
    EXPECT_FALSE(holds(done + ready('T')));
    gate_.answered(100, false, false);
    say(pgwire::build_query("COMMIT"));
    EXPECT_TRUE(holds(from_server('C', std::string_view{"COMMIT\0", 7}) + ready('I')));
    gate_.answered(100, true, true);
    EXPECT_FALSE(waits("SELECT 1"));
}

TEST_F(a_mirror_gate, remembers_which_prepared_statements_write_nothing) {
    say(pgwire::build_parse("r", "SELECT a FROM t WHERE b = $1"));
    say(pgwire::build_parse("w", "INSERT INTO t VALUES ($1)"));
    say(pgwire::build_parse("", "SELECT 1"));
    say(pgwire::build_bind("", "r", {"1"}));
    say(pgwire::build_bind("p", "", {}));
    EXPECT_FALSE(holds());
    say(pgwire::build_bind("", "w", {"1"}));
    EXPECT_TRUE(holds());
    gate_.answered(1000, true, true);
    EXPECT_GT(gate_.kept_bytes(), 0U);

    const auto writes = [&](std::string_view statement) {
        say(pgwire::build_bind("", statement, {}));
        const bool held = holds();
        gate_.answered(1000, true, true);
        return held;
    };
    EXPECT_FALSE(writes("r"));
    EXPECT_TRUE(writes("never heard of"));
    say(pgwire::build_query("SELECT 1"));
    gate_.answered(100, true, true);
    EXPECT_TRUE(writes("")) << "a simple query destroys the unnamed statement";
    say(pgwire::build_close(pgwire::named::portal, "r"));
    EXPECT_FALSE(writes("r"));
    say(pgwire::build_close(pgwire::named::statement, "r"));
    EXPECT_TRUE(writes("r"));
    say(pgwire::build_parse("r", "SELECT 1"));
    say(pgwire::build_parse("r", "DELETE FROM t"));
    EXPECT_TRUE(writes("r"));
    for (const auto* text : {"DEALLOCATE r", "DISCARD ALL", "PREPARE r AS DELETE FROM t"}) {
        say(pgwire::build_parse("r", "SELECT 1"));
        EXPECT_FALSE(writes("r"));
        waits(text);
        EXPECT_TRUE(writes("r")) << text;
    }
    say(pgwire::build_parse("r", "SELECT 1"));
    gate_.server_said(pgwire::backend::error_response);
    EXPECT_TRUE(writes("r"));
    EXPECT_EQ(gate_.kept_bytes(), 0U);
}

TEST_F(a_mirror_gate, knows_prepared_statements_that_were_there_before_an_error) {
    const auto writes = [&](std::string_view statement) {
        say(pgwire::build_bind("", statement, {}));
        return holds();
    };
    say(pgwire::build_parse("before", "SELECT 1"));
    gate_.answered(1000, true, true);
    say(pgwire::build_parse("behind", "SELECT 1"));
    gate_.server_said(pgwire::backend::error_response);
    EXPECT_FALSE(writes("before"));
    say(pgwire::build_parse("skipped", "SELECT 1"));
    EXPECT_TRUE(writes("skipped"));
    gate_.answered(1000, true, true);
    EXPECT_TRUE(writes("behind"));
    gate_.answered(1000, true, true);
    say(pgwire::build_parse("later", "SELECT 1"));
    EXPECT_FALSE(writes("later"));
    EXPECT_FALSE(writes("before"));
}

TEST_F(a_mirror_gate, knows_what_has_to_fail_rather_than_be_late) {
    const auto in_force = flags(
        "flags: { dual_write_strategy: mirror }\n"
        "groups:\n  strict: { tables: [public.ledger], flags: { on_mirror_failure: fail } }\n"
        "  plain: { tables: [public.log], flags: { dual_write_strategy: legacy-primary } }\n");
    books_.know(
        {{"ledger", "ledger"}, {"ledger_2024", "ledger"}, {"other", "other"}, {"log", "log"}, {"log_2024", "log"}});
    const std::pair<const char*, mirror_debt> all[] = {
        {"INSERT INTO public.ledger VALUES (1)", mirror_debt::or_fail},
        {"INSERT INTO public.other VALUES (1)", mirror_debt::mirror},
        {"INSERT INTO public.log VALUES (1)", mirror_debt::none},
        {"INSERT INTO public.ledger_2024 VALUES (1)", mirror_debt::or_fail},
        {"INSERT INTO public.log_2024 VALUES (1)", mirror_debt::none},
        {"INSERT INTO public.a_view VALUES (1)", mirror_debt::or_fail},
        {"UPDATE public.a_parent SET a = 1", mirror_debt::or_fail},
        {"SELECT * FROM public.a_view", mirror_debt::none},
        {"INSERT INTO public.led\xe4ger VALUES (1)", mirror_debt::or_fail},  // of LATIN1
        {"INSERT INTO anyone_s VALUES (1)", mirror_debt::or_fail},
        {"INSERT INTO public.log VALUES (1); DELETE FROM public.ledger", mirror_debt::or_fail},
        {"SELECT mine()", mirror_debt::or_fail},
        {"SELECT 1", mirror_debt::none},
        {"COMMIT", mirror_debt::none},
        {"CREATE TABLE anyone_s (a int)", mirror_debt::mirror},
    };
    for (const auto& [text, owed] : all)
        EXPECT_EQ(debt_of(notes_.statements.understand(text).get(), in_force, {}, books_.by_name.get()), owed) << text;
    EXPECT_EQ(debt_of(nullptr, in_force, {}, books_.by_name.get()), mirror_debt::or_fail);
    EXPECT_EQ(debt_of(nullptr, flags_, {}, books_.by_name.get()), mirror_debt::mirror);
    const auto known = notes_.statements.understand("INSERT INTO public.log VALUES (1)");
    EXPECT_EQ(debt_of(known.get(), in_force, {}, nullptr), mirror_debt::or_fail) << "nobody knows by now whose it is";
}

TEST_F(a_mirror_gate, keeps_no_more_names_than_its_bound) {
    for (std::size_t i = 0; i <= mirror_gate::most_names; ++i)
        say(pgwire::build_parse("s" + std::to_string(i), "SELECT 1"));
    say(pgwire::build_bind("", "s5", {}));
    EXPECT_FALSE(holds());
    say(pgwire::build_bind("", "s" + std::to_string(mirror_gate::most_names), {}));
    EXPECT_TRUE(holds());
}

TEST_F(a_mirror_gate, looks_at_the_tables_where_groups_differ) {
    flags_ = flags(
        "flags: { dual_write_strategy: legacy-primary }\n"
        "groups:\n  orders: { tables: [public.orders], flags: { dual_write_strategy: mirror } }\n");
    books_.know({{"orders", "orders"}, {"orders_2024", "orders"}, {"users", "users"}});
    EXPECT_TRUE(waits("INSERT INTO public.orders VALUES (1)"));
    EXPECT_FALSE(waits("INSERT INTO public.users VALUES (1)"));
    EXPECT_FALSE(waits("INSERT INTO public.users SELECT * FROM public.orders"));
    EXPECT_TRUE(waits("INSERT INTO public.orders_2024 VALUES (1)")) << "a partition";
    EXPECT_TRUE(waits("DELETE FROM public.a_view")) << "of whatever tables it is";
    EXPECT_TRUE(waits("INSERT INTO users VALUES (1)")) << "search_path may lead anywhere";
    EXPECT_TRUE(waits("INSERT INTO public.users SELECT mine()"));
    EXPECT_TRUE(waits("WITH w AS (DELETE FROM public.orders RETURNING *) INSERT INTO public.users SELECT * FROM w"));
}

// However the server's bytes are cut, nothing of the answer goes on before all of it is there.
TEST_F(a_mirror_gate, sees_the_answer_wherever_the_bytes_are_cut) {
    say(pgwire::build_query("INSERT INTO t VALUES (1) RETURNING *"));
    const auto answer = row + done + ready('I');
    for (std::size_t cut = 0; cut < answer.size(); ++cut) {
        const auto found = gate_.look_for_answer(std::string_view{answer}.substr(0, cut), 0, true);
        EXPECT_FALSE(found.whole) << cut;
        const auto kept_back = cut > row.size() + 5 ? row.size() : std::string_view::npos;
        EXPECT_EQ(found.at, kept_back) << cut;
    }
    const auto found = gate_.look_for_answer(answer, 0, true);
    EXPECT_TRUE(found.whole);
    EXPECT_EQ(found.at, row.size());
    // In the middle of a message that looks like one.
    EXPECT_EQ(gate_.look_for_answer(done + answer, done.size(), true).at, done.size() + row.size());
}

TEST_F(a_mirror_gate, does_not_keep_back_what_is_longer_than_an_answer_is) {
    say(pgwire::build_query("INSERT INTO t VALUES (1)"));
    const auto endless = std::string{"C\x3B\x9A\xCA\x00", 5} + std::string(1000, 'x');
    EXPECT_EQ(gate_.look_for_answer(row + endless, 0, true).at, std::string_view::npos);
    EXPECT_EQ(gate_.look_for_answer(row + done + endless, 0, true).at, std::string_view::npos);
}

TEST_F(a_mirror_gate, does_not_keep_back_what_is_asked_for_by_flush) {
    say(pgwire::build_bind("", "w", {}));
    EXPECT_EQ(gate_.look_for_answer(done, 0, false).at, std::string_view::npos);
    EXPECT_TRUE(gate_.look_for_answer(ready('I'), 0, true).whole);
}

TEST_F(a_mirror_gate, keeps_back_a_commit_that_another_transaction_follows) {
    const auto commit = from_server('C', std::string_view{"COMMIT\0", 7});
    const auto rollback = from_server('C', std::string_view{"ROLLBACK\0", 9});
    const auto begin = from_server('C', std::string_view{"BEGIN\0", 6});
    EXPECT_FALSE(holds(commit + ready('T'))) << "nothing was written";
    say(pgwire::build_query("INSERT INTO t VALUES (1)"));
    EXPECT_TRUE(holds(commit + ready('T'))) << "AND CHAIN";
    EXPECT_EQ(gate_.look_for_answer(done + commit + begin + ready('T'), 0, true).at, done.size());
    EXPECT_FALSE(holds(rollback + ready('T')));
    EXPECT_TRUE(gate_.look_for_answer(commit, 0, false).whole) << "by Flush";
    for (std::size_t cut = 6; cut < commit.size(); ++cut)
        EXPECT_FALSE(gate_.look_for_answer(commit.substr(0, cut), 0, false).whole);
    gate_.asked(commit.size());
    EXPECT_FALSE(holds(commit)) << "it was waited for";
}

TEST_F(a_mirror_gate, settles_with_one_wait_what_has_come_by_then) {
    for (int i = 0; i < 3; ++i) say(pgwire::build_query("INSERT INTO t VALUES (1)"));
    const auto one = done + ready('I');
    const auto two = one + one;
    ASSERT_EQ(gate_.look_for_answer(two, 0, true).at, 0U);
    gate_.asked(two.size());
    EXPECT_EQ(gate_.look_for_answer(two, 0, true).at, std::string_view::npos);
    gate_.answered(one.size(), false, false);
    EXPECT_EQ(gate_.look_for_answer(one, 0, true).at, std::string_view::npos);
    EXPECT_EQ(gate_.look_for_answer(two, 0, true).at, one.size()) << "what came later";
}

}  // namespace
}  // namespace crossfade::proxy::frontend
