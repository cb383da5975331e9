#include "proxy/frontend/guide.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "lib/pgwire/bytes.hpp"
#include "lib/pgwire/diagnostics.hpp"
#include "lib/pgwire/query_messages.hpp"
#include "lib/settings/load.hpp"
#include "proxy/portrait/hearing.hpp"

namespace crossfade::proxy::frontend {
namespace {

using action = usher::step::action;
using settings::side;
using strategy::fallback;
using namespace std::chrono_literals;

const std::string select = pgwire::build_query("SELECT * FROM orders");
const std::string update = pgwire::build_query("UPDATE orders SET x = 1");
const std::string sync = pgwire::build_sync();
std::string batch(std::string_view sql) {
    return pgwire::build_parse("", sql) + pgwire::build_bind("", "", {}) + pgwire::build_execute("", 0);
}

// A session on legacy, whose client's bytes go on as far as the guide lets them.
class a_guide : public testing::Test {
  protected:
    void SetUp() override {
        answer("Z", "I");
        take(
            "flags: { hybrid_read_strategy: prefer-modern }\n"
            "groups: { users: { tables: [public.users], flags: { hybrid_read_strategy: legacy } } }\n");
        view_.set_there(true);
        view_.set_looked(std::chrono::steady_clock::time_point::max());
        view_.set_tables({{"public.orders", 0}, {"public.users", 0}, {"sales.lines", 0}});
        for (const auto each : {side::legacy, side::modern}) view_.set_shared(each, {});
        view_.set_whole(true);
        view_.set_fresh_to(now_);
        guide_.became_alike();
    }
    void take(const std::string& more) {
        const std::string text =
            "legacy: { dsn: \"host=a dbname=x\" }\nmodern: { dsn: \"host=b dbname=x\" }\n"
            "kafka: { brokers: \"k:9092\" }\nstream: { name: app, tables: [\"public.*\", \"sales.*\"] }\n" +
            more;
        auto config = settings::parse(text, "f.yaml", [](std::string_view) { return std::nullopt; }).value();
        guide_.take(std::make_shared<const settings::in_force>(settings::in_force{std::move(config), 1}), {});
    }
    // What it says of what hasn't gone on; what may go on goes on. Who is to go goes.
    action look(std::string_view more = {}) {
        left_ += more;
        for (;;) {
            const auto step = guide_.look(left_, {tracker_, {}, here_, now_});
            if (step.what == action::go) {
                here_ = here_ == side::legacy ? side::modern : side::legacy;
                continue;
            }
            if (step.what != action::pass || step.bytes == 0) return step.what;
            const auto going = left_.substr(0, step.bytes);
            for (std::size_t at = 0; at < going.size();) {
                tracker_.on_frontend(going[at]);
                at += 1 + pgwire::byte_reader{std::string_view{going}.substr(at + 1)}.u32();
            }
            passed_ += going;
            guide_.passed(going.size());
            left_.erase(0, going.size());
            if (left_.empty()) return step.what;
        }
    }
    void answer(std::string_view types, std::string_view states = "I") {
        for (const char type : types) {
            guide_.server_said(type);
            tracker_.on_backend(type, type == 'Z' ? states.substr(0, 1) : "");
            if (type == 'Z' && states.size() > 1) states.remove_prefix(1);
        }
        if (tracker_.quiet()) guide_.settled(tracker_.idle(), now_);
    }
    // Where it was answered, which it is now.
    side asked(std::string_view what, std::string_view types = "CZ", std::string_view states = "I") {
        EXPECT_EQ(look(what), action::pass);
        EXPECT_EQ(left_, "");
        answer(types, states);
        return here_;
    }

    portrait::notebook notes_{{}};
    reading::follower_view view_;
    pgwire::session_tracker tracker_;
    guide guide_{notes_, view_, known_statements::acquaintance::from_the_start};
    side here_ = side::legacy;
    std::chrono::steady_clock::time_point now_{1h};
    std::string left_;
    std::string passed_;
};

TEST_F(a_guide, leads_reads_to_modern_and_all_else_home) {
    EXPECT_EQ(asked(select), side::modern);
    EXPECT_EQ(asked(pgwire::build_query("SELECT 1")), side::modern) << "names nothing";
    now_ += 1ms;
    EXPECT_EQ(asked(update), side::legacy);
    EXPECT_EQ(asked(pgwire::build_query("SELECT 1")), side::legacy);
    EXPECT_EQ(asked(batch("SELECT * FROM sales.lines") + sync, "12CZ"), side::legacy)
        << "what it wrote isn't there yet";
    view_.set_fresh_to(now_ += 1ms);
    EXPECT_EQ(asked(batch("SELECT * FROM lines") + sync, "12CZ"), side::modern);
    EXPECT_EQ(asked(batch("SELECT * FROM lines") + batch("DELETE FROM lines") + sync, "12C12CZ"), side::legacy);
    EXPECT_TRUE(guide_.alike());
}

TEST_F(a_guide, leads_to_modern_at_once_what_reads_what_was_brought_there) {
    now_ += 1ms;
    EXPECT_EQ(look(update), action::pass);
    guide_.follower_has_it();
    answer("CZ");
    EXPECT_EQ(asked(select), side::modern);
    // A pipeline of two: one was brought, and nobody says which.
    EXPECT_EQ(look(pgwire::build_query("SELECT 1; UPDATE orders SET x = 2") + update), action::pass);
    guide_.follower_has_it();
    answer("CCZCZ", "II");
    EXPECT_EQ(asked(select), side::legacy);
    EXPECT_EQ(guide_.take_read()->why, fallback::own_writes);
    view_.set_fresh_to(now_ += 1ms);
    EXPECT_EQ(asked(select), side::modern);
}

TEST_F(a_guide, heeds_the_flags_of_each_group) {
    EXPECT_EQ(asked(pgwire::build_query("SELECT * FROM users")), side::legacy);
    EXPECT_EQ(asked(pgwire::build_query("SELECT * FROM orders JOIN users USING (id)")), side::legacy);
    EXPECT_EQ(asked(pgwire::build_query("BEGIN READ ONLY"), "CZ", "T"), side::legacy) << "it might read users";
}

TEST_F(a_guide, leaves_it_to_legacy_what_a_name_means_that_several_relations_have) {
    const auto without_schema = pgwire::build_query("SELECT * FROM lines");
    EXPECT_EQ(asked(without_schema), side::modern);
    for (const auto each : {side::legacy, side::modern}) {
        view_.set_shared(each, {"lines"});
        EXPECT_EQ(asked(without_schema), side::legacy);
        EXPECT_EQ(guide_.take_read()->why, fallback::not_ready);
        EXPECT_EQ(asked(pgwire::build_query("SELECT * FROM sales.lines")), side::modern);
        view_.set_shared(each, {"others"});
        EXPECT_EQ(asked(without_schema), side::modern);
    }
}

TEST_F(a_guide, holds_a_batch_back_until_it_is_known) {
    const auto all = batch("SELECT * FROM orders") + sync;
    for (const char byte : all.substr(0, all.size() - 1)) {
        look(std::string(1, byte));
        EXPECT_EQ(passed_, "");
        EXPECT_EQ(here_, side::legacy);
    }
    look(all.substr(all.size() - 1));
    EXPECT_EQ(passed_, all);
    EXPECT_EQ(here_, side::modern);
}

TEST_F(a_guide, sends_one_unit_at_a_time) {
    EXPECT_EQ(look(select + select), action::wait);
    EXPECT_TRUE(guide_.takes_to_waiting());
    EXPECT_EQ(passed_, select);
    answer("CZ");
    EXPECT_EQ(look(), action::pass);
    EXPECT_EQ(passed_, select + select);
}

TEST_F(a_guide, does_not_go_to_and_fro) {
    view_.set_fresh_to(now_ - 1s);
    EXPECT_EQ(guide_.look(select, {tracker_, {}, here_, now_}).what, action::go);
    // It took too long to get there.
    now_ += 1ms;
    EXPECT_EQ(guide_.look(select, {tracker_, {}, side::modern, now_}).what, action::go) << "home";
    view_.set_fresh_to(now_);
    EXPECT_EQ(guide_.look(select, {tracker_, {}, here_, now_}).what, action::pass);
}

TEST_F(a_guide, knows_what_may_have_changed_the_session) {
    for (const auto& each : {pgwire::build_query("SET app.x = '1'"), pgwire::build_query("SELECT own()"),
                             pgwire::build_parse("s", "SELECT 1") + sync, pgwire::build_query("not SQL"),
                             pgwire::build_query("SELECT '" + std::string(guide::longest_text, 'x') + "'")}) {
        guide_.became_alike();
        EXPECT_EQ(asked(each, each.front() == 'P' ? "1Z" : "CZ"), side::legacy);
        EXPECT_FALSE(guide_.alike());
    }
}

TEST_F(a_guide, leads_home_what_reads_once_modern_has_another_session) {
    take("flags: { hybrid_read_strategy: modern }\n");
    const auto begin = pgwire::build_query("BEGIN READ ONLY");
    EXPECT_EQ(asked(begin, "CZ", "T"), side::modern);
    EXPECT_EQ(asked(pgwire::build_query("SHOW transaction_isolation"), "CZ", "T"), side::modern);
    EXPECT_EQ(asked(pgwire::build_query("COMMIT")), side::modern);
    EXPECT_FALSE(guide_.alike());
    EXPECT_EQ(asked(begin, "CZ", "T"), side::modern) << "of which nothing is said again";
    EXPECT_EQ(asked(pgwire::build_query("COMMIT")), side::modern);
    guide_.take_read();
    EXPECT_EQ(asked(select), side::legacy);
    EXPECT_FALSE(guide_.take_read()->at_follower);
    guide_.became_alike();
    EXPECT_EQ(asked(select), side::modern);
}

TEST_F(a_guide, weighs_what_modern_says) {
    const auto error = [](std::string_view state) {
        return pgwire::build_error_response({{{'S', "ERROR"}, {'C', std::string{state}}, {'M', "x"}}});
    };
    const auto ready = pgwire::framed('Z', "I");
    const auto row = pgwire::framed('D', std::string(100, 'x'));
    using reply = guide::reply;
    struct sample {
        std::string said;
        reply wanted;
    };
    for (const auto& each :
         {sample{row, reply::more}, sample{row + ready, reply::good}, sample{error("42P01"), reply::more},
          sample{error("42P01") + ready, reply::bad}, sample{row + error("57P01") + ready, reply::bad},
          sample{error("57014") + ready, reply::good},
          sample{pgwire::framed('D', std::string(guide::longest_held, 'x')), reply::good}}) {
        look(select);
        ASSERT_TRUE(guide_.may_say_again());
        EXPECT_EQ(guide_.unit(), select);
        EXPECT_EQ(guide_.weigh(each.said), each.wanted) << each.said.substr(0, 100);
        EXPECT_EQ(guide_.may_say_again(), each.wanted != reply::good);
        answer("CZ");
    }
}

TEST_F(a_guide, has_a_read_only_transaction_begin_anew_where_it_is_heard) {
    take("flags: { hybrid_read_strategy: modern }\n");
    const auto begin = pgwire::build_query("BEGIN READ ONLY");
    EXPECT_EQ(asked(begin, "CZ", "T"), side::modern);
    const auto lock = pgwire::build_query("SELECT pg_advisory_xact_lock(1)");
    EXPECT_EQ(look(lock), action::go_again);
    EXPECT_EQ(guide_.start().messages(), begin);
    EXPECT_EQ(look(), action::refuse) << "where it couldn't";
}

TEST_F(a_guide, keeps_no_long_value_back_in_a_read_only_transaction) {
    take("flags: { hybrid_read_strategy: modern }\n");
    const auto begin = pgwire::build_query("BEGIN READ ONLY");
    const std::string value(100'000, 'v');
    for (const auto* sql : {"SELECT * FROM orders WHERE x = $1", "SELECT set_config('app.x', $1, true)"}) {
        EXPECT_EQ(asked(begin, "CZ", "T"), side::modern);
        const auto all =
            pgwire::build_parse("", sql) + pgwire::build_bind("", "", {value}) + pgwire::build_execute("", 0) + sync;
        std::size_t most_left = 0;
        for (std::size_t at = 0; at < all.size(); at += 4000) {
            if (look(all.substr(at, 4000)) == action::go_again) here_ = side::legacy;
            most_left = std::max(most_left, left_.size());
        }
        EXPECT_LE(most_left, 2 * guide::longest_text);
        EXPECT_EQ(left_, "") << "its end goes on, too";
        answer("12CZ", "T");
        EXPECT_EQ(asked(pgwire::build_query("COMMIT")), here_);
        here_ = side::modern;
    }
}

TEST_F(a_guide, has_a_read_only_transaction_begin_anew_before_what_would_keep_the_session_there) {
    take("flags: { hybrid_read_strategy: modern }\n");
    const auto long_value = std::string(portrait::hearing::longest_heard, 'v');
    for (const auto& each : {
             pgwire::build_query("DECLARE c CURSOR WITH HOLD FOR SELECT * FROM orders"),
             batch("DECLARE c CURSOR WITH HOLD FOR SELECT * FROM orders") + sync,
             pgwire::build_query("DO $$ BEGIN EXECUTE 'SET app.x = 1'; END $$"),
             pgwire::build_query("CALL own()"),
             pgwire::build_query("SET app.x = '" + long_value + "'"),
             pgwire::build_query("SET app.x = not understood"),
             pgwire::build_query("/*" + std::string(9 << 10, ' ') + "*/ SELECT set_config('app.x', 'y', false)"),
             pgwire::framed('F', std::string(10, '\0')),
         }) {
        EXPECT_EQ(asked(pgwire::build_query("BEGIN READ ONLY"), "CZ", "T"), side::modern);
        EXPECT_EQ(look(each), action::go_again) << each.substr(0, 60);
        EXPECT_EQ(look(), action::refuse) << each.substr(0, 60);
        left_.clear();
        guide_.refused();
        EXPECT_EQ(asked(pgwire::build_query("COMMIT")), side::modern);
    }
}

TEST_F(a_guide, leads_a_read_only_transaction_to_modern_where_all_of_legacys_tables_are) {
    take("flags: { hybrid_read_strategy: modern }\n");
    const auto begin = pgwire::build_query("BEGIN READ ONLY");
    view_.set_whole(false);
    EXPECT_EQ(asked(begin, "CZ", "T"), side::legacy);
    EXPECT_EQ(guide_.take_read()->why, fallback::not_ready);
    EXPECT_EQ(asked(pgwire::build_query("COMMIT")), side::legacy);
    EXPECT_EQ(asked(select), side::modern);
    view_.set_whole(true);
    EXPECT_EQ(asked(begin, "CZ", "T"), side::modern);
}

// A copy may begin while it goes on.
TEST_F(a_guide, looks_again_at_what_a_read_only_transaction_reads) {
    take("flags: { hybrid_read_strategy: prefer-modern }\n");
    const auto begin = pgwire::build_query("BEGIN READ ONLY");
    const auto users = pgwire::build_query("SELECT * FROM users");
    const auto commit = pgwire::build_query("COMMIT");
    const auto begins = [&] {
        view_.set_tables({{"public.orders", 0}, {"public.users", 0}});
        view_.set_whole(true);
        EXPECT_EQ(asked(begin, "CZ", "T"), side::modern);
        EXPECT_EQ(asked(users, "CZ", "T"), side::modern);
        view_.set_tables({{"public.users", 0}});
        EXPECT_EQ(asked(users, "CZ", "T"), side::modern) << "which is as it was";
    };
    for (const auto& each : {select, batch("SELECT * FROM orders") + sync, pgwire::build_query("COPY orders TO STDOUT"),
                             pgwire::build_query("DECLARE c CURSOR FOR TABLE orders")}) {
        begins();
        EXPECT_EQ(look(each), action::go_again) << each.substr(0, 60);
        EXPECT_EQ(guide_.start().messages(), begin);
        EXPECT_EQ(look(), action::refuse) << "where it can't";
        left_.clear();
        guide_.refused();
        EXPECT_EQ(asked(commit), side::modern);
    }
    begins();
    EXPECT_EQ(asked(pgwire::build_query("DELETE FROM orders"), "EZ", "E"), side::modern) << "is refused everywhere";
}

TEST_F(a_guide, believes_nothing_of_tables_that_nobody_has_looked_at_lately) {
    take("flags: { hybrid_read_strategy: modern }\n");
    const auto begin = pgwire::build_query("BEGIN READ ONLY");
    view_.set_looked(now_ - 2s);
    EXPECT_EQ(asked(select), side::modern);
    EXPECT_EQ(asked(begin, "CZ", "T"), side::modern);
    EXPECT_EQ(asked(select, "CZ", "T"), side::modern);
    view_.set_there(false);
    EXPECT_EQ(asked(select, "CZ", "T"), side::modern) << "for a moment";
    view_.set_there(true);
    now_ += 1ms;
    EXPECT_EQ(look(select), action::go_again);
    left_.clear();
    EXPECT_EQ(asked(pgwire::build_query("COMMIT")), side::modern);
    guide_.take_read();
    EXPECT_EQ(asked(select), side::legacy);
    EXPECT_EQ(guide_.take_read()->why, fallback::away);
}

TEST_F(a_guide, leaves_to_legacy_what_not_the_same_roles_may_read_there) {
    take("flags: { hybrid_read_strategy: modern }\n");
    const auto begin = pgwire::build_query("BEGIN READ ONLY");
    EXPECT_EQ(asked(begin, "CZ", "T"), side::modern);
    view_.set_unlike({"public.orders", "public.totals"});
    view_.set_views({"public.totals"});
    EXPECT_EQ(asked(pgwire::build_query("SELECT * FROM users"), "CZ", "T"), side::modern);
    for (const auto* each : {"SELECT * FROM totals", "SELECT * FROM orders"}) {
        EXPECT_EQ(look(pgwire::build_query(each)), action::go_again) << each;
        left_.clear();
        guide_.refused();
    }
    EXPECT_EQ(asked(pgwire::build_query("COMMIT")), side::modern);
    guide_.take_read();
    for (const auto& each : {select, begin}) {
        EXPECT_EQ(asked(each, "CZ", each == begin ? "T" : "I"), side::legacy);
        EXPECT_EQ(guide_.take_read()->why, fallback::rights);
    }
}

TEST_F(a_guide, leaves_to_legacy_what_looks_otherwise_there) {
    take("flags: { hybrid_read_strategy: modern }\n");
    const auto begin = pgwire::build_query("BEGIN READ ONLY");
    EXPECT_EQ(asked(begin, "CZ", "T"), side::modern);
    view_.set_misshapen({"public.orders", "public.totals"});
    view_.set_views({"public.totals"});
    EXPECT_EQ(asked(pgwire::build_query("SELECT * FROM users"), "CZ", "T"), side::modern);
    for (const auto* each : {"SELECT * FROM totals", "SELECT * FROM orders"}) {
        EXPECT_EQ(look(pgwire::build_query(each)), action::go_again) << each;
        left_.clear();
        guide_.refused();
    }
    EXPECT_EQ(asked(pgwire::build_query("COMMIT")), side::modern);
    guide_.take_read();
    for (const auto& each : {select, begin}) {
        EXPECT_EQ(asked(each, "CZ", each == begin ? "T" : "I"), side::legacy);
        EXPECT_EQ(guide_.take_read()->why, fallback::shape);
    }
}

TEST_F(a_guide, looks_again_at_a_view_of_which_nobody_knows_the_tables) {
    take("flags: { hybrid_read_strategy: prefer-modern }\n");
    const auto view = pgwire::build_query("SELECT * FROM totals");
    view_.set_views({"public.totals"});
    EXPECT_EQ(asked(view), side::legacy) << "as before";
    EXPECT_EQ(asked(pgwire::build_query("BEGIN READ ONLY"), "CZ", "T"), side::modern);
    EXPECT_EQ(asked(view, "CZ", "T"), side::modern);
    view_.set_tables({{"public.orders", 0}});
    EXPECT_FALSE(view_.whole()) << "without another look";
    EXPECT_EQ(look(view), action::go_again);
}

TEST_F(a_guide, leads_a_read_only_transaction_home_to_what_is_no_table_of_the_streams) {
    take("flags: { hybrid_read_strategy: modern }\n");
    const auto begin = pgwire::build_query("BEGIN READ ONLY");
    for (const auto* each : {"SELECT last_value FROM orders_id_seq", "SELECT is_called FROM sales.lines_id_seq"}) {
        EXPECT_EQ(asked(begin, "CZ", "T"), side::modern);
        EXPECT_EQ(look(pgwire::build_query(each)), action::go_again) << each;
        EXPECT_EQ(look(), action::refuse) << each;
        left_.clear();
        guide_.refused();
        EXPECT_EQ(asked(pgwire::build_query("COMMIT")), side::modern);
    }
    const auto catalog = pgwire::build_query("SELECT * FROM pg_class");
    EXPECT_EQ(asked(begin, "CZ", "T"), side::modern);
    EXPECT_EQ(look(catalog), action::go_again);
    EXPECT_EQ(look(), action::pass) << "modern's own say something, too";
    answer("CZ", "T");
    EXPECT_EQ(asked(catalog, "CZ", "T"), side::modern) << "which isn't tried twice";
}

// Which may read a sequence, or a table that is being copied; or lock what others heed.
TEST_F(a_guide, leads_a_read_only_transaction_home_with_what_is_not_known) {
    take("flags: { hybrid_read_strategy: prefer-modern }\n");
    const auto begin = pgwire::build_query("BEGIN READ ONLY");
    for (const auto& each : {
             pgwire::build_query("SELECT * FROM orders WHERE x = '" + std::string(9 << 10, 'x') + "'"),
             pgwire::build_query("SELECT 1_000, last_value FROM orders_id_seq"),
             pgwire::build_query("EXECUTE unheard_of"),
             pgwire::build_bind("", "unheard_of", {}) + pgwire::build_execute("", 0) + sync,
             batch("SELECT 1_000 FROM orders") + sync,
         }) {
        EXPECT_EQ(asked(begin, "CZ", "T"), side::modern);
        EXPECT_EQ(look(each), action::go_again) << each.substr(0, 60);
        now_ += 1min;
        EXPECT_EQ(look(), action::pass) << "where that can't be done modern's tables say something, too";
        EXPECT_EQ(left_, "");
        answer(each.ends_with(sync) ? "12CZ" : "CZ", "T");
        EXPECT_EQ(asked(pgwire::build_query("COMMIT")), side::modern);
        EXPECT_EQ(asked(begin, "CZ", "T"), side::legacy) << "as modern is late by now";
        EXPECT_EQ(asked(pgwire::build_query("COMMIT")), side::legacy);
        view_.set_fresh_to(now_);

        EXPECT_EQ(asked(begin, "CZ", "T"), side::modern);
        view_.set_whole(false);
        EXPECT_EQ(look(each), action::go_again) << each.substr(0, 60);
        EXPECT_EQ(look(), action::refuse) << "not all of which is there";
        left_.clear();
        guide_.refused();
        view_.set_whole(true);
        EXPECT_EQ(asked(pgwire::build_query("COMMIT")), side::modern);
    }
}

TEST_F(a_guide, knows_what_a_statement_is_executed_with) {
    take("flags: { hybrid_read_strategy: prefer-modern }\n");
    EXPECT_EQ(asked(pgwire::build_query("PREPARE r AS SELECT * FROM orders WHERE x = $1")), side::legacy);
    guide_.became_alike();
    EXPECT_EQ(asked(pgwire::build_query("EXECUTE r('1')")), side::modern);
    EXPECT_EQ(asked(pgwire::build_query("EXECUTE r(pg_advisory_lock(1)::text)")), side::legacy);
}

TEST_F(a_guide, leads_home_with_each_transaction_that_follows_by_itself) {
    take("flags: { hybrid_read_strategy: prefer-modern }\n");
    const auto begin = pgwire::build_query("BEGIN READ ONLY");
    for (const auto* each : {"COMMIT AND CHAIN", "ROLLBACK AND CHAIN", "COMMIT; BEGIN READ ONLY"}) {
        view_.set_fresh_to(now_);
        EXPECT_EQ(asked(begin, "CZ", "T"), side::modern);
        EXPECT_EQ(look(pgwire::build_query(each)), action::go_again) << each;
        EXPECT_EQ(look(), action::pass) << "it may stay where reads may go";
        answer("CZ", "T");
        now_ += 1min;
        EXPECT_EQ(look(pgwire::build_query(each)), action::refuse) << "modern is late by now";
        left_.clear();
        guide_.refused();
        EXPECT_EQ(asked(pgwire::build_query("ROLLBACK")), side::modern);
    }
}

}  // namespace
}  // namespace crossfade::proxy::frontend
