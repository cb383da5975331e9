// A statement goes to where its tables' authority is.
#include "tests/integration/changeover/two_groups.hpp"

namespace crossfade::proxy::test {
namespace {

using namespace std::chrono_literals;
using testing::AllOf;
using testing::HasSubstr;

class a_statement : public two_groups {
  protected:
    static std::string run_extended(const connection& on, const std::string& sql,
                                    const std::vector<const char*>& values) {
        return outcome(answer{PQexecParams(on.get(), sql.c_str(), static_cast<int>(values.size()), nullptr,
                                           values.data(), nullptr, nullptr, 0)});
    }
    using way = std::string (*)(const connection&, const std::string&);
    static constexpr way simply = [](const connection& on, const std::string& sql) { return run(on, sql); };
    static constexpr way extendedly = [](const connection& on, const std::string& sql) {
        return run_extended(on, sql, {});
    };
    static inline const std::array<way, 2> ways{simply, extendedly};
};

TEST_F(a_statement, goes_where_its_table_is) {
    for (const auto say : ways) {
        const auto client = connect();
        EXPECT_EQ(is_at(client), "legacy");
        EXPECT_EQ(say(client, "INSERT INTO orders (note) VALUES ('a')"), "");
        EXPECT_EQ(is_at(client), "modern");
        EXPECT_EQ(say(client, "SELECT note FROM orders LIMIT 1"), "a");
        EXPECT_EQ(say(client, "INSERT INTO users (note) VALUES ('u')"), "");
        EXPECT_EQ(is_at(client), "legacy");
        EXPECT_EQ(say(client, "UPDATE public.orders SET note = note || '!'"), "");
        EXPECT_EQ(is_at(client), "modern");
        EXPECT_EQ(say(client, "SHOW server_version_num").size(), 6U);
        EXPECT_EQ(is_at(client), "modern") << "which has no table";
        EXPECT_EQ(say(client, "SELECT note FROM users LIMIT 1"), "u");
        EXPECT_EQ(is_at(client), "legacy");
        EXPECT_EQ(say(client, "DELETE FROM orders"), "");
    }
    EXPECT_EQ(notes("legacy", "users"), "u u");
    EXPECT_EQ(notes("legacy", "orders"), "");
    EXPECT_EQ(detours(), 10);
    EXPECT_EQ(refused(), 0);
}

TEST_F(a_statement, takes_a_transaction_along_that_has_only_begun) {
    for (const auto say : ways) {
        const auto client = connect();
        EXPECT_EQ(run(client, "SET app.tenant = 'acme'"), "");
        EXPECT_EQ(say(client, "BEGIN ISOLATION LEVEL REPEATABLE READ"), "");
        EXPECT_EQ(say(client, "SET LOCAL app.clerk = 'ann'"), "");
        EXPECT_EQ(say(client, "SELECT set_config('app.duty', 'clerk', true)"), "clerk");
        EXPECT_EQ(say(client, "SAVEPOINT s"), "");
        EXPECT_EQ(say(client, "INSERT INTO orders (note) VALUES ('a') RETURNING note"), "a");
        EXPECT_EQ(is_at(client), "modern");
        EXPECT_EQ(PQtransactionStatus(client.get()), PQTRANS_INTRANS);
        EXPECT_EQ(run(client,
                      "SELECT current_setting('app.clerk') || current_setting('app.tenant') || "
                      "current_setting('app.duty') || current_setting('transaction_isolation')"),
                  "annacmeclerkrepeatable read");
        EXPECT_EQ(say(client, "ROLLBACK TO s"), "");
        EXPECT_EQ(say(client, "INSERT INTO lines (note) VALUES ('l')"), "");
        EXPECT_EQ(say(client, "COMMIT"), "");
        EXPECT_EQ(run(client, "SELECT current_setting('app.clerk', true)"), "");
        // And the other way.
        EXPECT_EQ(say(client, "BEGIN"), "");
        EXPECT_EQ(is_at(client), "modern");
        EXPECT_EQ(say(client, "INSERT INTO users (note) VALUES ('u')"), "");
        EXPECT_EQ(is_at(client), "legacy");
        EXPECT_EQ(say(client, "COMMIT"), "");
    }
    EXPECT_EQ(notes("modern", "lines"), "l l");
    EXPECT_EQ(notes("modern", "orders"), "");
    EXPECT_EQ(notes("legacy", "users"), "u u");
}

TEST_F(a_statement, that_writes_elsewhere_than_its_transaction_is_refused) {
    for (const auto say : ways) {
        const auto client = connect();
        EXPECT_EQ(run(client, "BEGIN"), "");
        EXPECT_EQ(say(client, "INSERT INTO users (note) VALUES ('u')"), "");
        EXPECT_EQ(say(client, "SELECT count(*) FROM orders"), "0") << "reading is allowed";
        EXPECT_EQ(say(client, "INSERT INTO orders (note) VALUES ('a')"), "XF008");
        EXPECT_EQ(PQtransactionStatus(client.get()), PQTRANS_INERROR);
        EXPECT_EQ(say(client, "SELECT 1"), "25P02");
        EXPECT_EQ(run(client, "ROLLBACK"), "");
        EXPECT_EQ(say(client, "INSERT INTO orders (note) VALUES ('b')"), "");
        EXPECT_EQ(run(client, "BEGIN"), "");
        EXPECT_EQ(say(client, "DELETE FROM orders"), "");
        EXPECT_EQ(say(client, "SELECT 1 FROM users FOR UPDATE"), "XF008") << "whose lock nobody would heed";
        EXPECT_EQ(run(client, "COMMIT"), "");
        EXPECT_EQ(say(client, "DELETE FROM orders"), "");
    }
    EXPECT_EQ(notes("legacy", "users"), "");
    EXPECT_EQ(refused(), 4);

    const auto client = connect();
    run(client, "BEGIN; UPDATE users SET note = 'x'");
    EXPECT_THAT(refusal_of(client, "INSERT INTO orders (note) VALUES ('it''s')"),
                HasSubstr("XF008 table orders (group shop) is written on modern, and this transaction is on legacy | "
                          "What the transaction did before belongs there."));
}

// As many do: they look who it is, and write then.
TEST_F(a_statement, takes_a_transaction_along_that_has_only_read) {
    run(connect(), "INSERT INTO users (note) VALUES ('ann')");
    for (const auto say : ways) {
        const auto client = connect();
        EXPECT_EQ(say(client, "BEGIN"), "");
        EXPECT_EQ(say(client, "SET LOCAL app.clerk = 'ann'"), "");
        EXPECT_EQ(say(client, "SELECT note FROM users"), "ann");
        EXPECT_EQ(say(client, "SELECT count(*) FROM users JOIN orders USING (id)"), "0");
        EXPECT_EQ(is_at(client), "legacy");
        EXPECT_EQ(say(client, "INSERT INTO orders (note) VALUES (current_setting('app.clerk'))"), "");
        EXPECT_EQ(is_at(client), "modern");
        EXPECT_EQ(say(client, "SELECT count(*) FROM users"), "0") << "which the stream would have brought";
        EXPECT_EQ(say(client, "COMMIT"), "");
    }
    // Not where its snapshot would be another one, nor with a cursor open, nor once it has done more than look.
    for (const auto& [begin, look] :
         {std::pair{"BEGIN ISOLATION LEVEL REPEATABLE READ", "SELECT note FROM users"},
          std::pair{"BEGIN", "DECLARE c CURSOR FOR SELECT note FROM users"},
          std::pair{"BEGIN", "SELECT nextval('users_id_seq')"}, std::pair{"BEGIN", "SELECT pg_advisory_xact_lock(1)"},
          std::pair{"BEGIN", "SELECT enter('bob')"}}) {
        const auto client = connect();
        EXPECT_EQ(run(client, begin), "");
        run(client, look);
        EXPECT_EQ(is_at(client), "legacy") << look;
        EXPECT_EQ(run(client, "INSERT INTO orders (note) VALUES ('o')"), "XF008") << look;
        EXPECT_EQ(run(client, "ROLLBACK"), "");
    }
    EXPECT_EQ(notes("modern", "orders"), "ann ann");
    const auto client = connect();
    run(client, "BEGIN ISOLATION LEVEL SERIALIZABLE");
    run(client, "SELECT note FROM users");
    EXPECT_THAT(refusal_of(client, "INSERT INTO orders (note) VALUES ('o')"),
                HasSubstr("The session can't go over: its transaction has read, and isn't READ COMMITTED"));
}

TEST_F(a_statement, that_is_too_long_to_be_understood_goes_where_it_writes_first) {
    std::string text = "INSERT INTO public.orders (note) VALUES ('first')";
    while (text.size() < 200'000) text += ", ('" + std::string(1000, 'x') + "')";
    for (const auto say : ways) {
        const auto client = connect();
        EXPECT_EQ(say(client, text), "");
        EXPECT_EQ(is_at(client), "modern");
        EXPECT_EQ(say(client, "UPDATE users SET note = '" + std::string(20'000, 'x') + "'"), "");
        EXPECT_EQ(is_at(client), "legacy");
        EXPECT_EQ(outcome(answer{PQprepare(client.get(), "long", text.c_str(), 0, nullptr)}), "");
        EXPECT_EQ(outcome(answer{PQexecPrepared(client.get(), "long", 0, nullptr, nullptr, nullptr, 0)}), "");
        EXPECT_EQ(run(client, "BEGIN; DELETE FROM users"), "");
        // By the fence, where it is more than the proxy keeps to refuse it.
        EXPECT_THAT(say(client, text), testing::AnyOf("XF005", "XF008"));
        EXPECT_EQ(run(client, "ROLLBACK"), "");
    }
    EXPECT_EQ(at("modern", "SELECT count(*) FROM orders WHERE note = 'first'"), "4");
}

TEST_F(a_statement, that_writes_on_both_sides_is_refused_whole) {
    const auto client = connect();
    for (const auto* text :
         {"INSERT INTO users (note) VALUES ('u'); INSERT INTO orders (note) VALUES ('a')",
          "BEGIN; INSERT INTO orders (note) VALUES ('a'); COMMIT; INSERT INTO users (note) VALUES ('u')",
          "WITH a AS (INSERT INTO orders (note) VALUES ('a')) INSERT INTO users (note) VALUES ('u')"}) {
        EXPECT_THAT(refusal_of(client, text),
                    AllOf(HasSubstr("XF008 tables of two authorities can't be written at once"),
                          HasSubstr("table orders (group shop) is written on modern"),
                          HasSubstr("table users (in no group) is written on legacy")));
        EXPECT_EQ(PQtransactionStatus(client.get()), PQTRANS_IDLE);
    }
    EXPECT_EQ(run(client, "SELECT (SELECT count(*) FROM users) + (SELECT count(*) FROM orders)"), "0");
    EXPECT_EQ(run(client, "INSERT INTO orders (note) SELECT note FROM users"), "");
    EXPECT_EQ(is_at(client), "modern");
}

TEST_F(a_statement, that_was_prepared_goes_there_at_each_execution) {
    const auto client = connect();
    const auto prepare = [&](const char* name, const char* sql) {
        return outcome(answer{PQprepare(client.get(), name, sql, 0, nullptr)});
    };
    const auto execute = [&](const char* name, const std::vector<const char*>& values) {
        return outcome(answer{
            PQexecPrepared(client.get(), name, static_cast<int>(values.size()), values.data(), nullptr, nullptr, 0)});
    };
    EXPECT_EQ(prepare("order", "INSERT INTO orders (note) VALUES ($1)"), "");
    EXPECT_EQ(prepare("user", "INSERT INTO users (note) VALUES ($1)"), "");
    EXPECT_EQ(run(client, "PREPARE line (text) AS INSERT INTO lines (note) VALUES ($1)"), "");
    EXPECT_EQ(is_at(client), "legacy") << "nothing was carried out";
    for (const auto* each : {"1", "2", "3"}) {
        EXPECT_EQ(execute("order", {each}), "");
        EXPECT_EQ(execute("user", {each}), "");
        EXPECT_EQ(run(client, "EXECUTE line ('" + std::string{each} + "')"), "");
        EXPECT_EQ(run(client, "BEGIN"), "");
        EXPECT_EQ(execute("user", {each}), "");
        EXPECT_EQ(execute("order", {each}), "XF008");
        EXPECT_EQ(run(client, "ROLLBACK"), "");
        EXPECT_EQ(prepare("", "INSERT INTO orders (note) VALUES ($1)"), "");
        EXPECT_EQ(execute("", {each}), "");
    }
    EXPECT_EQ(notes("modern", "orders"), "1 1 2 2 3 3");
    EXPECT_EQ(notes("modern", "lines"), "1 2 3");
    EXPECT_EQ(notes("legacy", "users"), "1 2 3");
}

TEST_F(a_statement, that_was_prepared_before_the_groups_parted_is_asked_for) {
    front_->decide(legacy_side);
    const auto client = connect();
    answer{PQprepare(client.get(), "line", "SELECT current_database() FROM lines RIGHT JOIN (SELECT 1) x ON true", 0,
                     nullptr)};
    answer{PQexecPrepared(client.get(), "line", 0, nullptr, nullptr, nullptr, 0)};
    front_->decide(apart());
    EXPECT_EQ(outcome(answer{PQexecPrepared(client.get(), "line", 0, nullptr, nullptr, nullptr, 0)}), "app_modern");
    EXPECT_EQ(outcome(answer{PQexecPrepared(client.get(), "line", 0, nullptr, nullptr, nullptr, 0)}), "app_modern");
    EXPECT_EQ(detours(), 1);
    // Together again it goes home with all others.
    front_->decide(legacy_side);
    EXPECT_EQ(outcome(answer{PQexecPrepared(client.get(), "line", 0, nullptr, nullptr, nullptr, 0)}), "app");
    EXPECT_EQ(is_at(client), "legacy");
}

}  // namespace
}  // namespace crossfade::proxy::test
