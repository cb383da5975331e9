#include "proxy/frontend/usher.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "lib/pgwire/bytes.hpp"
#include "lib/pgwire/query_messages.hpp"
#include "lib/settings/load.hpp"

namespace crossfade::proxy::frontend {
namespace {

using action = usher::step::action;
using settings::side;
using testing::HasSubstr;
using namespace std::chrono_literals;

const std::string order = pgwire::build_query("INSERT INTO orders VALUES (1)");
const std::string user = pgwire::build_query("INSERT INTO users VALUES (1)");
const std::string begin = pgwire::build_query("BEGIN");
const std::string sync = pgwire::build_sync();
std::string batch(std::string_view sql) {
    return pgwire::build_parse("", sql) + pgwire::build_bind("", "", {}) + pgwire::build_execute("", 0);
}

// A session on legacy, whose client's bytes go on as far as the usher lets them, one chunk after the other.
class an_usher : public testing::Test {
  protected:
    void SetUp() override {
        answer("Z", "I");
        const std::string text =
            "legacy: { dsn: \"host=a dbname=x\" }\nmodern: { dsn: \"host=b dbname=x\" }\n"
            "kafka: { brokers: \"k:9092\" }\nstream: { name: app, tables: [\"public.*\"], both_ways: true }\n"
            "groups: { shop: { tables: [\"public.orders\", \"public.gr\u00f6\u00dfe\"] } }\n";
        auto config = settings::parse(text, "f.yaml", [](std::string_view) { return std::nullopt; }).value();
        config.flags = config.flags.under({side::legacy, {{{"shop", ""}, side::modern}}});
        usher_.take({std::make_shared<const settings::in_force>(settings::in_force{std::move(config), 1}), {}});
    }
    // What it says of what hasn't gone on; what may go on goes on.
    usher::step look(std::string_view more = {}) {
        left_ += more;
        for (;;) {
            const auto step = usher_.look(left_, {tracker_, {.names = names_}, here_, now_});
            if (step.what != action::pass || step.bytes == 0) return step;
            const auto going = left_.substr(0, step.bytes);
            for (std::size_t at = 0; at < going.size();) {
                tracker_.on_frontend(going[at]);
                at += 1 + pgwire::byte_reader{std::string_view{going}.substr(at + 1)}.u32();
            }
            passed_ += going;
            usher_.passed(going.size());
            left_.erase(0, going.size());
            if (left_.empty()) return step;
        }
    }
    void answer(std::string_view types, std::string_view states = "T") {
        for (const char type : types) {
            usher_.server_said(type);
            tracker_.on_backend(type, type == 'Z' ? states.substr(0, 1) : "");
            if (type == 'Z' && states.size() > 1) states.remove_prefix(1);
        }
    }

    portrait::notebook notes_{{}};
    pgwire::session_tracker tracker_;
    usher usher_{notes_, usher::acquaintance::from_the_start};
    side here_ = side::legacy;
    sql::spelling names_ = sql::spelling::utf8;
    std::chrono::steady_clock::time_point now_{};
    std::string left_;
    std::string passed_;
};

TEST_F(an_usher, lets_pass_what_is_right_here) {
    EXPECT_EQ(look(user).what, action::pass);
    EXPECT_EQ(passed_, user);
    answer("CZ", "I");
    EXPECT_EQ(look(batch("SELECT 1") + sync).what, action::pass);
    EXPECT_EQ(left_, "");
}

TEST_F(an_usher, has_a_session_go_before_anything_goes_on) {
    EXPECT_EQ(look(begin + order).what, action::go);
    EXPECT_EQ(passed_, "");
    here_ = side::modern;
    EXPECT_EQ(look().what, action::pass);
    EXPECT_EQ(passed_, begin + order);
}

TEST_F(an_usher, knows_names_by_the_client_s_encoding) {
    const std::string latin1 =
        "public.gr\xf6\xdf"
        "e";
    EXPECT_EQ(look(pgwire::build_query("DELETE FROM public.gr\u00f6\u00dfe")).what, action::go);
    left_.clear();
    names_ = sql::spelling::latin1;
    EXPECT_EQ(look(pgwire::build_query("DELETE FROM " + latin1)).what, action::go);
    left_.clear();
    EXPECT_EQ(look(pgwire::build_query("INSERT INTO " + latin1 + " VALUES ('" + std::string(9000, 'x') + "')")).what,
              action::go);
    left_.clear();
    EXPECT_EQ(look(pgwire::build_query("PREPARE p AS DELETE FROM " + latin1)).what, action::pass);
    answer("CZ", "I");
    EXPECT_EQ(look(pgwire::build_query("EXECUTE p")).what, action::go);
    left_.clear();
    names_ = sql::spelling::other;
    EXPECT_EQ(look(pgwire::build_query("DELETE FROM " + latin1)).what, action::pass) << "which nobody can read";
    answer("CZ", "I");
    EXPECT_EQ(look(pgwire::build_query("INSERT INTO orders VALUES ('\xf6')")).what, action::go) << "a value is none";
}

TEST_F(an_usher, keeps_what_began_a_transaction) {
    look(begin);
    answer("CZ");
    const auto set = pgwire::build_query("SET LOCAL app.x = '1'");
    look(set);
    answer("CZ");
    EXPECT_EQ(look(order).what, action::go_again);
    EXPECT_EQ(usher_.start().messages(), begin + set);
    EXPECT_EQ(usher_.start().readies(), 2U);
    here_ = side::modern;
    EXPECT_EQ(look().what, action::pass);
    answer("CZ");
    EXPECT_EQ(look(user).what, action::refuse);
}

TEST_F(an_usher, waits_until_it_is_known_where_the_session_stands) {
    look(user);
    EXPECT_EQ(look(order).what, action::wait);
    EXPECT_TRUE(usher_.takes_to_waiting());
    answer("CZ", "I");
    EXPECT_EQ(look().what, action::go);
    EXPECT_FALSE(usher_.takes_to_waiting());
}

TEST_F(an_usher, holds_a_batch_back_until_it_says_what_it_is_about) {
    const auto start = batch("BEGIN");
    for (const char byte : start + batch("INSERT INTO orders VALUES ($1)").substr(0, 40)) {
        EXPECT_EQ(look(std::string(1, byte)).what, action::pass);
        EXPECT_EQ(passed_, "");
    }
    left_.clear();
    EXPECT_EQ(look(start + sync).what, action::pass);
    EXPECT_EQ(passed_, start + sync) << "which is all of it";
    answer("12CZ");
    const auto waits = pgwire::build_parse("s", "SELECT * FROM orders") + pgwire::build_flush();
    EXPECT_EQ(look(waits).what, action::go_again) << "as its client waits before it binds";
    EXPECT_EQ(usher_.start().messages(), start + sync);
}

TEST_F(an_usher, lets_pass_what_is_only_prepared) {
    EXPECT_EQ(look(pgwire::build_parse("s", "DELETE FROM orders") + sync).what, action::pass);
    EXPECT_EQ(left_, "");
    answer("1Z", "I");
    EXPECT_EQ(look(pgwire::build_bind("", "s", {}) + pgwire::build_execute("", 0) + sync).what, action::go);
}

TEST_F(an_usher, refuses_the_rest_of_a_batch) {
    look(begin + user);
    answer("CZCZ");
    const auto rest = batch("DELETE FROM orders");
    EXPECT_EQ(look(rest).what, action::pass) << "its end has to be there";
    const auto step = look(sync + user);
    EXPECT_EQ(step.what, action::refuse);
    // The Parse had gone on.
    EXPECT_EQ(passed_, begin + user + pgwire::build_parse("", "DELETE FROM orders"));
    EXPECT_EQ(left_.substr(step.bytes), user);
    EXPECT_THAT(step.text, HasSubstr("ERRCODE = 'XF008', MESSAGE = 'table orders (group shop) is written on modern"));
}

TEST_F(an_usher, says_nothing_where_the_client_asks_for_answers_in_between) {
    look(begin + user);
    answer("CZCZ");
    EXPECT_EQ(look(batch("DELETE FROM orders") + pgwire::build_flush() + sync).what, action::pass);
    EXPECT_EQ(left_, "");
}

TEST_F(an_usher, makes_names_harmless_in_what_it_raises) {
    const auto step = look(pgwire::build_query("DELETE FROM orders; DELETE FROM \"a'b$crossfade$\\c\""));
    EXPECT_EQ(step.what, action::refuse);
    EXPECT_THAT(step.text,
                HasSubstr("DETAIL = 'table a''bcrossfadec (in no group) is written on legacy, table orders"));
}

TEST_F(an_usher, tries_a_read_again_after_a_while) {
    const auto read = pgwire::build_query("SELECT * FROM orders");
    EXPECT_EQ(look(read).what, action::go);
    usher_.must_stay("it is tired", now_);
    EXPECT_EQ(look().what, action::pass);
    answer("TCZ", "I");
    EXPECT_EQ(look(read).what, action::pass);
    answer("TCZ", "I");
    EXPECT_EQ(look(order).what, action::go) << "a write at once";
    usher_.must_stay("it is tired", now_);
    const auto step = look();
    EXPECT_EQ(step.what, action::refuse);
    EXPECT_THAT(step.text,
                HasSubstr("and this session is on legacy', DETAIL = 'The session can''t go over: it is tired'"));
    usher_.refused();
    left_.clear();
    now_ += 2s;
    EXPECT_EQ(look(read).what, action::go);
}

TEST_F(an_usher, repeats_nothing_that_failed_or_is_too_much) {
    look(begin + pgwire::build_query("SELECT 1/0"));
    answer("CZEZ", "TE");
    look(pgwire::build_query("ROLLBACK"));
    answer("CZ", "I");
    look(begin);
    answer("CZ");
    const auto set = pgwire::build_query("SET LOCAL app.x = '" + std::string(3000, 'x') + "'");
    for (int n = 0; n < 2; ++n) {
        look(set);
        answer("CZ");
    }
    EXPECT_TRUE(usher_.start().usable());
    look(set);
    answer("CZ");
    EXPECT_EQ(look(order).what, action::refuse);
}

}  // namespace
}  // namespace crossfade::proxy::frontend
