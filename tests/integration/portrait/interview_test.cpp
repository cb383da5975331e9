// Asking as the proxy does it: over its transport, with whatever else comes in between.
#include "proxy/frontend/interview.hpp"

#include <gmock/gmock.h>

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/use_future.hpp>
#include <functional>
#include <future>

#include "lib/pgwire/diagnostics.hpp"
#include "lib/pgwire/session_status.hpp"
#include "tests/integration/portrait/two_databases.hpp"

namespace crossfade::proxy::frontend {
namespace {

using portrait::session_portrait;
using testing::IsEmpty;

stream_socket connected(asio::io_context& context, std::uint16_t port) {
    asio::ip::tcp::socket made(context);
    made.connect({asio::ip::address_v4::loopback(), port});
    made.non_blocking(true);
    return stream_socket{std::move(made)};
}

// Runs it to its end, which has to come soon.
void run(asio::io_context& context, std::function<asio::awaitable<void>()> what) {
    auto ended = asio::co_spawn(context, what(), asio::use_future);
    context.restart();
    context.run_for(std::chrono::seconds{30});
    ASSERT_EQ(ended.wait_for(std::chrono::seconds{0}), std::future_status::ready);
    ended.get();
}

asio::awaitable<void> log_in(transport& server, message_reader& from) {
    const auto opening = pgwire::build(pgwire::startup_message{{}, {{"user", "crossfade"}, {"database", "app"}}});
    const auto failed = co_await server.write(opening);
    EXPECT_FALSE(failed);
    for (char type = 0; type != 'Z';) {
        const auto came = co_await from.next(100'000);
        type = came.value().type;
    }
}

asio::awaitable<void> say(transport& server, message_reader& from, std::string sql) {
    const auto query = pgwire::build_query(sql);
    const auto failed = co_await server.write(query);
    EXPECT_FALSE(failed);
    for (char type = 0; type != 'Z';) {
        const auto came = co_await from.next(100'000);
        type = came.value().type;
    }
}

using interview = portrait::two_databases;

TEST_F(interview, makes_a_session_of_one_database_anew_on_the_other) {
    asio::io_context context;
    std::vector<std::string> lacks{"nothing was compared"};
    std::vector<std::string> reported;
    std::string meanwhile;
    std::string told_meanwhile;
    run(context, [&]() -> asio::awaitable<void> {
        transport old{connected(context, here_->port())};
        transport next{connected(context, there_->port())};
        message_reader from_old{old};
        message_reader from_next{next};
        co_await log_in(old, from_old);
        co_await log_in(next, from_next);
        co_await say(old, from_old, "SET TimeZone = 'Asia/Tokyo'; SET app.tenant = 'acme'; PREPARE p AS SELECT 1");
        const portrait::question asked{.own_settings = {"app.tenant"}, .about_unnamed = false};
        const auto was = co_await ask(old, from_old, asked, meanwhile);
        const auto fresh = co_await ask(next, from_next, asked, meanwhile);
        const auto told = co_await become(next, from_next, was.value(), fresh.value(), told_meanwhile);
        const auto is = co_await ask(next, from_next, asked, meanwhile);
        reported = told.value();
        lacks = portrait::differences(was.value(), is.value());
    });
    EXPECT_THAT(lacks, IsEmpty());
    EXPECT_THAT(meanwhile, IsEmpty());
    using namespace std::string_literals;
    EXPECT_THAT(reported, testing::ElementsAre("TimeZone\0Asia/Tokyo\0"s));
    EXPECT_EQ(told_meanwhile, pgwire::build_parameter_status("TimeZone", "Asia/Tokyo"));
}

TEST_F(interview, that_is_refused_leaves_the_session_as_it_was) {
    asio::io_context context;
    run(context, [&]() -> asio::awaitable<void> {
        transport server{connected(context, here_->port())};
        message_reader from{server};
        std::string meanwhile;
        co_await log_in(server, from);
        co_await say(server, from, "PREPARE \"crossfade 2\" AS SELECT 1");
        for (int twice = 0; twice < 2; ++twice) {
            const auto refused = co_await ask(server, from, {}, meanwhile);
            EXPECT_EQ(refused.error().sqlstate, "42P05");
        }
        co_await say(server, from, "DEALLOCATE \"crossfade 2\"");
        const auto found = co_await ask(server, from, {}, meanwhile);
        EXPECT_TRUE(found.has_value());
    });
}

struct scripted {
    std::string answer;
    bool closes = false;
    std::string sqlstate;  // of the refusal, or "broken"
    std::string meanwhile;
};

scripted play(const std::string& answer, bool closes) {
    scripted came{.answer = answer, .closes = closes, .sqlstate = {}, .meanwhile = {}};
    asio::io_context context;
    test::fake_database fake;
    transport server{connected(context, fake.port())};
    auto peer = fake.accept();
    peer.send(answer);
    if (closes) peer.half_close();
    run(context, [&]() -> asio::awaitable<void> {
        message_reader from{server};
        const auto said = co_await ask(server, from, {}, came.meanwhile);
        if (!said)
            came.sqlstate = said.error().what == interview_failure::kind::broken ? "broken" : said.error().sqlstate;
    });
    return came;
}

TEST(interviews, pass_on_what_is_the_clients) {
    using pgwire::framed;
    const auto ready = framed('Z', "I");
    const auto error = [](const char* severity) {
        return pgwire::build_error_response({{{'S', severity}, {'V', severity}, {'C', "57P01"}, {'M', "m"}}});
    };
    const auto notification = framed('A', std::string_view{"\0\0\0\1c\0p\0", 8});
    const auto parameter = pgwire::build_parameter_status("TimeZone", "UTC");
    const auto one = play(notification + parameter + error("ERROR") + notification + ready, false);
    EXPECT_EQ(one.sqlstate, "57P01");
    EXPECT_EQ(one.meanwhile, notification + parameter + notification);
    const auto last_words = play(notification + error("FATAL"), true);
    EXPECT_EQ(last_words.sqlstate, "broken");
    EXPECT_EQ(last_words.meanwhile, notification + error("FATAL"));
    EXPECT_EQ(play(framed('1', {}) + ready, false).sqlstate, "broken") << "no answer";
    EXPECT_EQ(play(error("ERROR") + framed('Z', "E"), false).sqlstate, "broken") << "in a transaction all of a sudden";
    EXPECT_EQ(play(std::string("D\x7f\xff\xff\xff", 5), false).sqlstate, "broken") << "2 GiB";
    std::string flood;
    for (int each = 0; each < 200; ++each) flood += framed('A', std::string(10'000, 'x'));
    EXPECT_EQ(play(flood + ready, false).sqlstate, "broken");
}

}  // namespace
}  // namespace crossfade::proxy::frontend
