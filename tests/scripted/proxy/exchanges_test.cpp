// Every message of protocol 3.0 after login: what passes through unchanged, in which order, however it is cut into
// packets, and where a session knows itself idle.
#include <gmock/gmock.h>

#include <optional>

#include "proxy/portrait/hearing.hpp"
#include "tests/scripted/proxy/messages.hpp"
#include "tests/scripted/proxy/script.hpp"

namespace crossfade::proxy::test {
namespace {

using namespace std::chrono_literals;
using namespace std::string_literals;
using namespace pgwire;

struct exchange {
    const char* name;
    script steps;
    double transactions = 1;
};
void PrintTo(const exchange& of, std::ostream* to) {
    *to << of.name;
}

// Three statements in one batch, of which the message that the server is at after so many replies fails.
exchange batch_that_fails(const char* name, std::size_t replies) {
    std::string asked;
    std::string answered;
    std::size_t told = 0;
    for (int statement = 0; statement < 3; ++statement) {
        asked += build_parse("", "select 1") + build_bind("", "", {}) + build_describe(named::portal, "") +
                 build_execute("", 0);
        for (const auto& one : {reply('1'), reply('2'), row_description(), data_row() + complete()})
            if (told++ < replies) answered += one;
    }
    return {name, {client(asked + build_sync()), server(answered + error() + ready())}};
}

const exchange simple[] = {
    {"simple_query", {client(build_query("select 1")), server(rows() + ready())}},
    {"query_without_rows", {client(build_query("create table t()")), server(complete("CREATE TABLE") + ready())}},
    {"empty_query", {client(build_query("")), server(reply('I') + ready())}},
    {"several_statements_with_several_results",
     {client(build_query("select 1; update t set a = 1; select 2")),
      server(rows() + complete("UPDATE 3") + rows() + ready())}},
    {"several_statements_with_an_error_in_the_middle",
     {client(build_query("select 1; select 1/0; select 2")), server(rows() + error() + ready())}},
    {"pipeline_of_simple_queries",
     {client(build_query("select 1") + build_query("x") + build_query("")),
      server(rows() + ready() + error() + ready() + reply('I') + ready())},
     3},
    {"transaction_block",
     {client(build_query("begin")), server(complete("BEGIN") + ready('T')), client(build_query("x")),
      server(error() + ready('E')), client(build_query("")), server(reply('I') + ready('E')),
      client(build_query("rollback")), server(complete("ROLLBACK") + ready())}},
    {"commit_and_chain",
     {client(build_query("begin")), server(complete("BEGIN") + ready('T')), client(build_query("commit and chain")),
      server(complete("COMMIT") + ready('T')), client(build_query("commit")), server(complete("COMMIT") + ready())}},
    {"function_call", {client(function_call()), server(reply('V', "\0\0\0\4\0\0\0\7"s) + ready())}},
    {"function_call_that_fails", {client(function_call()), server(error() + ready())}},
    {"function_call_in_an_aborted_batch",
     {client(build_parse("", "x") + function_call() + build_sync()), server(error() + ready())}},
    {"notices_notifications_and_parameters_when_idle",
     {server(notice() + notification() + build_parameter_status("TimeZone", "UTC"))},
     0},
    {"notices_notifications_and_parameters_anywhere",
     {client(batch()), server(notice() + reply('1') + notification() + reply('2') + data_row() + notice()),
      server(build_parameter_status("a", "b") + data_row() + notice() + complete() + notification() + ready())}},
    {"rows_and_values_of_nothing",
     {client(build_query("select; select ''; select null")),
      server(reply('T', "\0\0"s) + reply('D', "\0\0"s) + complete() + row_description() + data_row("") + complete() +
             row_description() + reply('D', "\0\1\xff\xff\xff\xff"s) + complete() + ready())}},
    {"unknown_messages_are_the_others_affair",
     {client(reply('y', "later") + reply('y')), server(reply('%', "later") + reply('%'))},
     0},
};

const exchange extended[] = {
    {"batch", {client(batch()), server(batch_replies())}},
    {"sync_alone", {client(build_sync() + build_sync()), server(ready() + ready())}, 2},
    {"error_sync_and_ready_racing",
     {client(batch() + batch()), server(reply('1') + error() + ready() + batch_replies())},
     2},
    {"two_errors_in_one_pipeline", {client(batch() + batch()), server(error() + ready() + error() + ready())}, 2},
    {"error_then_sync_that_comes_late",
     {client(build_parse("", "x") + build_flush()), server(error()), client(build_bind("", "", {}) + build_sync()),
      server(ready())}},
    {"error_at_sync_itself",
     {client(batch()), server(reply('1') + reply('2') + complete("INSERT 0 1") + error("23505") + ready())}},
    {"simple_query_in_an_aborted_batch",
     {client(build_parse("", "x") + build_query("select 1") + build_sync()), server(error() + ready())}},
    {"simple_query_in_a_batch",
     {client(build_parse("s", "select 1") + build_query("select 1") + build_sync()),
      server(reply('1') + rows() + ready() + ready())},
     2},
    {"flush_is_passed_on",
     {client(build_parse("s", "select 1") + build_flush()), server(reply('1')),
      client(build_describe(named::statement, "s") + build_flush()), server(parameter_description() + reply('n')),
      client(build_sync()), server(ready())}},
    {"description_of_a_statement_and_a_portal",
     {client(build_parse("s", "select $1::int") + build_describe(named::statement, "s") +
             build_bind("p", "s", {"1", std::nullopt}) + build_describe(named::portal, "p") + build_sync()),
      server(reply('1') + parameter_description() + row_description() + reply('2') + row_description() + ready())}},
    {"max_rows_is_heeded",
     {client(build_parse("", "x") + build_bind("p", "", {}) + build_execute("p", 1) + build_flush()),
      server(reply('1') + reply('2') + data_row() + reply('s')), client(build_execute("p", 1) + build_sync()),
      server(data_row() + complete() + ready())}},
    {"portal_over_several_syncs",
     {client(build_query("begin")), server(complete("BEGIN") + ready('T')),
      client(build_parse("", "x") + build_bind("p", "", {}) + build_execute("p", 1) + build_sync()),
      server(reply('1') + reply('2') + data_row() + reply('s') + ready('T')),
      client(build_execute("p", 2) + build_close(named::portal, "p") + build_sync()),
      server(data_row() + complete() + reply('3') + ready('T')), client(build_query("commit")),
      server(complete("COMMIT") + ready())}},
    {"execute_of_an_empty_query",
     {client(build_parse("", "") + build_bind("", "", {}) + build_describe(named::portal, "") + build_execute("", 0) +
             build_sync()),
      server(reply('1') + reply('2') + reply('n') + reply('I') + ready())}},
    {"close_of_statement_and_portal",
     {client(build_close(named::portal, "a") + build_close(named::statement, "a") + build_sync()),
      server(reply('3') + reply('3') + ready())}},
    {"close_after_a_failed_parse",
     {client(build_parse("a", "x") + build_close(named::statement, "a") + build_sync() +
             build_close(named::statement, "a") + build_sync()),
      server(error() + ready() + reply('3') + ready())},
     2},
    batch_that_fails("fails_at_the_first_message", 0),
    batch_that_fails("fails_at_bind", 1),
    batch_that_fails("fails_at_describe", 2),
    batch_that_fails("fails_at_execute", 3),
    batch_that_fails("fails_at_the_second_parse", 4),
    batch_that_fails("fails_at_the_second_execute", 7),
    batch_that_fails("fails_at_the_last_message", 11),
    batch_that_fails("fails_at_sync", 12),
};

const exchange copies[] = {
    {"copy_in",
     {client(build_query("copy t from stdin")), server(copy_response('G')),
      client(build_copy_data("1\n") + build_copy_data("") + build_copy_data("2\n") + build_copy_done()),
      server(complete("COPY 2") + ready())}},
    {"copy_in_given_up",
     {client(build_query("copy t from stdin")), server(copy_response('G')),
      client(build_copy_data("1\n") + build_copy_fail("no more")), server(error("57014") + ready())}},
    {"copy_in_swallows_flush_and_sync",
     {client(build_query("copy t from stdin")), server(copy_response('G')),
      client(build_sync() + build_copy_data("1\n") + build_flush() + build_copy_done()),
      server(complete("COPY 1") + ready())}},
    {"copy_failure_followed_by_a_late_copy_done",
     {client(build_query("copy t from stdin")), server(copy_response('G')), client(build_copy_data("bad")),
      server(error() + ready()), client(build_copy_data("late") + build_copy_done()), client(build_query("select 1")),
      server(rows() + ready())},
     2},
    {"two_copies_in_one_query",
     {client(build_query("copy t from stdin; copy t from stdin")), server(copy_response('G')),
      client(build_copy_data("1\n") + build_copy_done()), server(complete("COPY 1") + copy_response('G')),
      client(build_copy_data("2\n") + build_copy_done()), server(complete("COPY 1") + ready())}},
    {"copy_in_by_a_batch",
     {client(build_parse("", "copy t from stdin") + build_bind("", "", {}) + build_execute("", 0) + build_flush()),
      server(reply('1') + reply('2') + copy_response('G')), client(build_copy_data("1\n") + build_copy_done()),
      client(build_sync()), server(complete("COPY 1") + ready())}},
    {"copy_in_by_a_batch_that_has_its_sync",
     {client(build_parse("", "copy t from stdin") + build_bind("", "", {}) + build_execute("", 0) + build_sync()),
      server(reply('1') + reply('2') + copy_response('G')),
      client(build_copy_data("1\n") + build_copy_done() + build_sync()), server(complete("COPY 1") + ready())}},
    {"copy_failure_in_a_batch_followed_by_copy_done_and_sync",
     {client(build_parse("", "copy t from stdin") + build_bind("", "", {}) + build_execute("", 0) + build_flush()),
      server(reply('1') + reply('2') + copy_response('G')), client(build_copy_data("bad")), server(error()),
      client(build_copy_data("late") + build_copy_done() + build_sync()), server(ready())}},
    {"copy_out",
     {client(build_query("copy t to stdout")), server(copy_response('H') + reply('d', std::string(100000, 'x')) +
                                                      reply('d') + reply('c') + complete("COPY 2") + ready())}},
    {"copy_out_that_fails",
     {client(build_query("copy t to stdout")), server(copy_response('H') + reply('d', "1\n") + error() + ready())}},
    {"copy_out_by_a_batch",
     {client(build_parse("", "copy t to stdout") + build_bind("", "", {}) + build_execute("", 0) + build_sync()),
      server(reply('1') + reply('2') + copy_response('H') + reply('d', "1\n") + notice() + reply('c') +
             complete("COPY 1") + ready())}},
    {"copy_both_as_replication_connections_do",
     {client(build_query("START_REPLICATION 0/0")), server(copy_response('W') + reply('d', "w" + std::string(24, 0))),
      client(build_copy_data("r" + std::string(33, 0))), server(reply('d', "k" + std::string(17, 0))),
      client(build_copy_data("r" + std::string(33, 1)) + build_copy_done()),
      server(reply('d', "w") + reply('c') + complete("START_REPLICATION") + ready())}},
    {"copy_both_that_the_server_ends",
     {client(build_query("START_REPLICATION 0/0 TIMELINE 1")), server(copy_response('W') + reply('c')),
      client(build_copy_done()),
      server(row_description() + data_row() + complete("SELECT") + complete("START_STREAMING") + ready())}},
    {"copy_both_that_fails",
     {client(build_query("START_REPLICATION 0/0")), server(copy_response('W') + error() + ready())}},
};

class exchange_script : public testing::TestWithParam<exchange> {};

TEST_P(exchange_script, arrives_as_sent_however_it_is_cut_and_leaves_the_session_idle) {
    proxy_between proxy{[](auto& config) { config.proxy.threads = 1; }};
    std::optional<pacemaker> pace{proxy};
    auto session = proxy.session();
    const auto& steps = GetParam().steps;
    double played = 0;
    const auto holds = [&](unsigned times) {
        played += times;
        return support::eventually(5s, [&] {
            return proxy.metric("crossfade_transactions_total{strategy=\"legacy-primary\"}") ==
                   played * GetParam().transactions;
        });
    };
    play(session, steps);
    EXPECT_TRUE(holds(1));
    play(session, steps, 1);
    EXPECT_TRUE(holds(1));
    play_coalesced(session, steps);
    EXPECT_TRUE(holds(1));
    EXPECT_TRUE(holds(play_cut_everywhere(session, steps, *pace)));
    pace.reset();

    proxy.drain();
    EXPECT_EQ(farewell(session.client), "57P01 terminating connection due to administrator command");
    session.client.half_close();
    session.server.expect_closed();
    EXPECT_TRUE(proxy.drained_within(5s));
}

const auto name_of = [](const auto& of) { return std::string{of.param.name}; };
INSTANTIATE_TEST_SUITE_P(simple, exchange_script, testing::ValuesIn(simple), name_of);
INSTANTIATE_TEST_SUITE_P(extended, exchange_script, testing::ValuesIn(extended), name_of);
INSTANTIATE_TEST_SUITE_P(copies, exchange_script, testing::ValuesIn(copies), name_of);

// Bodies that nobody has sent yet: what there is of them goes on at once; of a statement what portrait::hearing looks
// at goes together.
TEST(long_messages, are_passed_on_piece_by_piece) {
    constexpr std::uint32_t gib = 1U << 30;
    const auto header = [](char type, std::uint32_t body) {
        std::string bytes(1, type);
        put_u32(bytes, body + 4);
        return bytes + "the beginning";
    };
    struct {
        bool from_client;
        std::string bytes;
    } const table[] = {{true, header('d', gib)},
                       {true, header('Q', gib) + std::string(portrait::hearing::longest_heard, 'q')},
                       {false, header('D', gib)},
                       {false, header('d', 0x7FFFFFFF - 4)}};
    for (const auto& [from_client, bytes] : table) {
        proxy_between proxy;
        auto [near, far] = proxy.session();
        (from_client ? near : far).send(bytes);
        (from_client ? far : near).expect(bytes);
        (from_client ? near : far).send("and more");
        (from_client ? far : near).expect("and more");
    }
}

}  // namespace
}  // namespace crossfade::proxy::test
