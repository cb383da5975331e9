// What clients send in one go, and in what messages they say it, when their tables have two authorities.
#include "tests/integration/changeover/two_groups.hpp"
#include "tests/scripted/proxy/messages.hpp"
#include "tests/scripted/proxy/peer.hpp"

namespace crossfade::proxy::test {
namespace {

using namespace std::chrono_literals;
using pgwire::build_query;

// A client that says exactly what a test wants.
class wire_client {
  public:
    explicit wire_client(std::uint16_t port) : to_(peer::connect(port)) {
        to_.send(pgwire::build(pgwire::startup_message{{}, {{"user", "crossfade"}, {"database", "app"}}}));
        hear(1);
    }
    void say(std::string_view messages, std::size_t pieces = 0) { to_.send(messages, pieces); }
    // The answers' types up to so many ReadyForQuery, with the state that this says, an error's SQLSTATE and a row's
    // first value; not what comes by itself.
    std::string hear(unsigned readies) {
        std::string all;
        while (readies > 0) {
            const auto header = to_.read(5);
            if (header.size() < 5) return all + " and nothing more";
            const auto body = to_.read(pgwire::byte_reader{std::string_view{header}.substr(1)}.u32() - 4);
            switch (header[0]) {
                case 'S':
                case 'N':
                case 'K':
                case 'R':
                    continue;
                case 'Z':
                    --readies;
                    all += "Z" + body + ' ';
                    continue;
                case 'E':
                    all += pgwire::sqlstate_of(body) + ' ';
                    continue;
                case 'D':
                    all += "D(" + body.substr(6) + ") ";
                    continue;
                default:
                    all += header[0];
                    all += ' ';
            }
        }
        return all;
    }
    std::string asked(std::string_view messages, unsigned readies = 1, std::size_t pieces = 0) {
        say(messages, pieces);
        return hear(readies);
    }

  private:
    peer to_;
};

std::string parse(std::string_view name, std::string_view sql) {
    return pgwire::build_parse(name, sql);
}
std::string run_it(std::string_view name) {
    return pgwire::build_bind("", name, {}) + pgwire::build_execute("", 0);
}
const std::string sync = pgwire::build_sync();
const std::string flush = pgwire::build_flush();
const std::string order = "INSERT INTO orders (note) VALUES ('o')";
const std::string user = "INSERT INTO users (note) VALUES ('u')";

class a_flight : public two_groups {
  protected:
    wire_client client() const { return wire_client{front_->port()}; }
    static std::string count(const std::string& side, const std::string& table) {
        return at(side, "SELECT count(*) FROM " + table);
    }
};

TEST_F(a_flight, begins_where_its_first_table_is) {
    unsigned times = 0;
    for (const std::size_t pieces : {0U, 1U, 7U, 64U}) {
        auto one = client();
        // As pgjdbc does.
        EXPECT_EQ(one.asked(statement("BEGIN") + statement(order) + sync, 1, pieces), "1 2 C 1 2 C ZT ") << pieces;
        EXPECT_EQ(one.asked(statement("COMMIT") + sync, 1, pieces), "1 2 C ZI ") << pieces;
        // By names that the server has.
        EXPECT_EQ(one.asked(parse("b", "BEGIN") + parse("u", user) + sync, 1, pieces), "1 1 ZI ");
        EXPECT_EQ(one.asked(run_it("b") + run_it("u") + sync, 1, pieces), "2 C 2 C ZT ") << pieces;
        EXPECT_EQ(one.asked(statement("COMMIT") + sync), "1 2 C ZI ");
        // Simple ones without waiting, all of a transaction at once; then the next one of the other side's.
        EXPECT_EQ(one.asked(build_query("BEGIN") + build_query(order) + build_query("COMMIT") + build_query("BEGIN") +
                                build_query(user) + build_query("COMMIT") + build_query(order),
                            7, pieces),
                  "C ZT C ZT C ZI C ZT C ZT C ZI C ZI ")
            << pieces;
        // Batches likewise.
        EXPECT_EQ(one.asked(statement("BEGIN") + sync + statement(user) + sync + statement("COMMIT") + sync +
                                statement(order) + sync + statement(user) + sync,
                            5, pieces),
                  "1 2 C ZT 1 2 C ZT 1 2 C ZI 1 2 C ZI 1 2 C ZI ")
            << pieces;
        ++times;
        EXPECT_EQ(count("modern", "orders"), std::to_string(4 * times));
        EXPECT_EQ(count("legacy", "users"), std::to_string(4 * times));
    }
    EXPECT_EQ(refused(), 0);
}

// As asyncpg does: it asks what a statement is like before it binds it.
TEST_F(a_flight, that_waits_between_parse_and_bind_is_there_by_then) {
    auto one = client();
    const auto asks = [&](const char* name, const std::string& sql) {
        one.say(parse(name, sql) + pgwire::build_describe(pgwire::named::statement, name) + flush);
    };
    asks("o", order);
    EXPECT_EQ(one.asked(run_it("o") + sync), "1 t n 2 C ZI ");
    asks("u", user);
    EXPECT_EQ(one.asked(run_it("u") + sync), "1 t n 2 C ZI ");
    EXPECT_EQ(one.asked(build_query("BEGIN")), "C ZT ");
    asks("o2", order);
    EXPECT_EQ(one.asked(run_it("o2") + sync), "1 t n 2 C ZT ");
    asks("u2", user);
    EXPECT_EQ(one.asked(run_it("u2") + sync), "1 t n XF008 ZE ");
    EXPECT_EQ(one.asked(build_query("ROLLBACK")), "C ZI ");
    EXPECT_EQ(count("modern", "orders"), "1");
    EXPECT_EQ(count("legacy", "users"), "1");
}

TEST_F(a_flight, that_writes_on_both_sides_is_refused) {
    for (const std::size_t pieces : {0U, 1U, 50U}) {
        auto one = client();
        EXPECT_EQ(one.asked(statement(order) + statement(user) + sync, 1, pieces), "1 2 C 1 XF008 ZI ") << pieces;
        EXPECT_EQ(one.asked(statement("BEGIN") + statement(user) + statement(order) + sync, 1, pieces),
                  "1 2 C 1 2 C 1 XF008 ZE ")
            << pieces;
        EXPECT_EQ(one.asked(statement("ROLLBACK") + sync + statement(order) + sync, 2, pieces), "1 2 C ZI 1 2 C ZI ");
        EXPECT_EQ(one.asked(build_query("BEGIN") + build_query(order) + build_query(user) + build_query("ROLLBACK"), 4,
                            pieces),
                  "C ZT C ZT XF008 ZE C ZI ")
            << pieces;
        // What has waited for an answer in a batch, the fence refuses.
        EXPECT_EQ(one.asked(statement(order) + flush + statement(user) + flush + sync, 1, pieces),
                  "1 2 C 1 2 XF005 ZI ")
            << pieces;
    }
    EXPECT_EQ(count("modern", "orders"), "3");
    EXPECT_EQ(count("legacy", "users"), "0");
}

TEST_F(a_flight, that_waits_for_its_answers_waits_for_a_pause_then) {
    auto one = client();
    one.say(build_query("INSERT INTO users (note) SELECT 'u' FROM pg_sleep(0.3)") + build_query(order));
    ASSERT_TRUE(
        support::eventually(5s, [&] { return front_->sessions().at(0).state == console::session_state::active; }));
    front_->hold();
    EXPECT_TRUE(
        support::eventually(5s, [&] { return front_->sessions().at(0).state == console::session_state::paused; }));
    EXPECT_EQ(count("modern", "orders"), "0");
    front_->let_go();
    EXPECT_EQ(one.hear(2), "C ZI C ZI ");
    EXPECT_EQ(count("modern", "orders") + count("legacy", "users"), "11");
}

TEST_F(a_flight, of_rows_goes_where_their_table_is) {
    auto one = client();
    const auto rows = pgwire::build_copy_data("1\ta\t1\n") + pgwire::build_copy_data("2\tb\t2\n");
    EXPECT_EQ(one.asked(build_query("COPY orders FROM STDIN") + rows + pgwire::build_copy_done()), "G C ZI ");
    EXPECT_EQ(one.asked(build_query("BEGIN")), "C ZT ");
    EXPECT_EQ(one.asked(build_query("TRUNCATE lines")), "C ZT ");
    EXPECT_EQ(
        one.asked(build_query("COPY lines FROM STDIN") + rows + pgwire::build_copy_done() + build_query("COMMIT") +
                      build_query("COPY users FROM STDIN") + rows + pgwire::build_copy_done(),
                  3),
        "G C ZT C ZI G C ZI ");
    EXPECT_EQ(one.asked(build_query("COPY (SELECT note FROM orders ORDER BY id) TO STDOUT")), "H d d c C ZI ");
    EXPECT_EQ(one.asked(build_query("SELECT current_database()")), "T D(app_modern) C ZI ");
    EXPECT_EQ(count("modern", "orders") + count("modern", "lines") + count("legacy", "users"), "222");
}

TEST_F(a_flight, that_fails_is_no_beginning_to_repeat) {
    auto one = client();
    EXPECT_EQ(one.asked(build_query("BEGIN") + build_query("SAVEPOINT s") + build_query("SELECT 1/0"), 3),
              "C ZT C ZT 22012 ZE ");
    EXPECT_EQ(one.asked(build_query("ROLLBACK TO s") + build_query(order), 2), "C ZT XF008 ZE ");
    EXPECT_EQ(one.asked(build_query("ROLLBACK")), "C ZI ");
    // More than is kept.
    std::string many = build_query("BEGIN");
    for (int n = 0; n < 8; ++n) many += build_query("SET LOCAL app.n = '" + std::to_string(n) + "'");
    EXPECT_EQ(one.asked(many, 9), "C ZT C ZT C ZT C ZT C ZT C ZT C ZT C ZT C ZT ");
    EXPECT_EQ(one.asked(build_query(order)), "XF008 ZE ");
    EXPECT_EQ(one.asked(build_query("ROLLBACK") + build_query(order), 2), "C ZI C ZI ");
}

TEST_F(a_flight, of_reads_says_again_what_began_it) {
    auto one = client();
    const auto look = "SELECT count(*) FROM users";
    EXPECT_EQ(one.asked(statement("BEGIN") + statement(look) + sync), "1 2 C 1 2 D(0) C ZT ");
    EXPECT_EQ(one.asked(statement("SET LOCAL app.n = '1'") + statement(look) + sync + statement(look) + sync, 2),
              "1 2 C 1 2 D(0) C ZT 1 2 D(0) C ZT ");
    EXPECT_EQ(one.asked(statement(order) + sync), "1 2 C ZT ");
    EXPECT_EQ(one.asked(build_query("SELECT current_setting('app.n')")), "T D(1) C ZT ");
    EXPECT_EQ(one.asked(statement("COMMIT") + sync), "1 2 C ZI ");
    // A portal that isn't read to its end is one of this server's.
    EXPECT_EQ(one.asked(build_query("BEGIN")), "C ZT ");
    EXPECT_EQ(one.asked(parse("", "SELECT note FROM orders, generate_series(1, 9)") + pgwire::build_bind("", "", {}) +
                        pgwire::build_execute("", 1) + sync),
              "1 2 D(o) s ZT ");
    EXPECT_EQ(one.asked(statement(user) + sync), "XF008 ZE ");
    EXPECT_EQ(one.asked(build_query("ROLLBACK")), "C ZI ");
    // The statement without a name outlives the queries that are said again.
    EXPECT_EQ(one.asked(build_query("BEGIN") + build_query("SELECT count(*) FROM orders"), 2), "C ZT T D(1) C ZT ");
    EXPECT_EQ(one.asked(parse("", user) + sync), "1 ZT ");
    EXPECT_EQ(one.asked(run_it("") + sync + run_it("") + sync, 2), "2 C ZT 2 C ZT ");
    EXPECT_EQ(one.asked(build_query("COMMIT")), "C ZI ");
    EXPECT_EQ(count("legacy", "users"), "2");
}

TEST_F(a_flight, keeps_the_statement_without_a_name) {
    auto one = client();
    EXPECT_EQ(one.asked(parse("begin", "BEGIN") + parse("", order) + sync), "1 1 ZI ");
    EXPECT_EQ(one.asked(run_it("begin") + sync), "2 C ZT ");
    EXPECT_EQ(one.asked(run_it("") + sync), "2 C ZT ");
    EXPECT_EQ(one.asked(run_it("") + sync), "2 C ZT ");
    EXPECT_EQ(one.asked(build_query("COMMIT")), "C ZI ");
    EXPECT_EQ(one.asked(build_query("BEGIN") + parse("", user) + sync, 2), "C ZT 1 ZT ");
    EXPECT_EQ(one.asked(run_it("") + sync), "2 C ZT ");
    EXPECT_EQ(one.asked(run_it("") + sync + statement("COMMIT") + sync, 2), "2 C ZT 1 2 C ZI ");
    EXPECT_EQ(count("modern", "orders") + count("legacy", "users"), "22");
}

}  // namespace
}  // namespace crossfade::proxy::test
