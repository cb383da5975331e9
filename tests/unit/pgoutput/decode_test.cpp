#include "lib/pgoutput/decode.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <chrono>
#include <random>

#include "tests/unit/pgoutput/bytes.hpp"

namespace crossfade::pgoutput {
namespace {

using model::cell;
using model::cell_kind;
using model::row;
using testing::ElementsAre;

bytes begin_bytes() {
    return bytes{}.raw("B").i64(0x16B374D848).i64(1).i32(4000000000U);
}
bytes commit_bytes() {
    return bytes{}.raw("C").i8(0).i64(0x16B374D848).i64(0x16B374D880).i64(2);
}
bytes relation_bytes() {
    return bytes{}
        .raw("R")
        .i32(16384)
        .c_string("public")
        .c_string("orders")
        .raw("i")
        .i16(2)
        .i8(1)
        .c_string("id")
        .i32(20)
        .i32(0xFFFFFFFFU)
        .i8(0)
        .c_string("note")
        .i32(1043)
        .i32(24);
}
bytes insert_bytes() {
    return bytes{}.raw("I").i32(16384).raw("N").i16(3).text_cell("1").raw("nu");
}
bytes update_bytes() {
    return bytes{}.raw("U").i32(1).raw("N").i16(1).text_cell("");
}
bytes update_key_bytes() {
    return bytes{}.raw("U").i32(1).raw("K").i16(2).text_cell("1").raw("n").raw("N").i16(2).text_cell("2").raw("u");
}
bytes delete_bytes() {
    return bytes{}.raw("D").i32(1).raw("O").i16(2).text_cell("1").text_cell("x");
}
bytes truncate_bytes() {
    return bytes{}.raw("T").i32(2).i8(3).i32(7).i32(9);
}
bytes message_bytes() {
    return bytes{}.raw("M").i8(1).i64(5).c_string("crossfade").i32(3).raw(std::string_view{"a\0b", 3});
}

std::vector<std::string> one_of_each() {
    return {begin_bytes().str(),
            commit_bytes().str(),
            relation_bytes().str(),
            insert_bytes().str(),
            update_bytes().str(),
            update_key_bytes().str(),
            delete_bytes().str(),
            truncate_bytes().str(),
            message_bytes().str(),
            bytes{}.raw("O").i64(9).c_string("far").str(),
            bytes{}.raw("Y").i32(17000).c_string("public").c_string("mood").str()};
}

template <class T>
T decoded(std::string_view from) {
    auto got = decode(from);
    EXPECT_TRUE(got);
    return std::get<T>(*got);
}

TEST(pgoutput_decode, begin_and_commit) {
    using namespace std::chrono;
    const auto b = decoded<begin>(begin_bytes());
    EXPECT_EQ(b.final_lsn.value, 0x16B374D848U);
    EXPECT_EQ(b.commit_time, sys_days{2000y / January / 1} + 1us);
    EXPECT_EQ(b.xid, 4000000000U);
    const auto c = decoded<commit>(commit_bytes());
    EXPECT_EQ(c.commit_lsn.value, 0x16B374D848U);
    EXPECT_EQ(c.end_lsn.value, 0x16B374D880U);
}

TEST(pgoutput_decode, relation) {
    const auto rel = decoded<relation>(relation_bytes()).described;
    EXPECT_EQ(rel.oid, 16384U);
    EXPECT_EQ(to_string(rel.table), "public.orders");
    EXPECT_EQ(rel.identity, model::replica_identity::index);
    EXPECT_THAT(rel.columns, ElementsAre(model::column{"id", 20, -1, true}, model::column{"note", 1043, 24, false}));
    const auto catalog =
        decoded<relation>(bytes{}.raw("R").i32(1).c_string("").c_string("pg_class").raw("n").i16(0)).described;
    EXPECT_EQ(catalog.table.schema, "pg_catalog");
}

TEST(pgoutput_decode, rows) {
    const auto i = decoded<row_message>(insert_bytes());
    EXPECT_EQ(i.operation, model::row_operation::insert);
    EXPECT_EQ(i.before_kind, model::before_image::absent);
    EXPECT_EQ(i.after, (row{{cell_kind::text, "1"}, {}, {cell_kind::unchanged, ""}}));

    const auto u = decoded<row_message>(update_bytes());
    EXPECT_EQ(u.operation, model::row_operation::update);
    EXPECT_EQ(u.before_kind, model::before_image::absent);
    EXPECT_EQ(u.after, (row{{cell_kind::text, ""}}));

    const auto k = decoded<row_message>(update_key_bytes());
    EXPECT_EQ(k.before_kind, model::before_image::key);
    EXPECT_EQ(k.before, (row{{cell_kind::text, "1"}, {}}));
    EXPECT_EQ(k.after, (row{{cell_kind::text, "2"}, {cell_kind::unchanged, ""}}));

    const auto d = decoded<row_message>(delete_bytes());
    EXPECT_EQ(d.operation, model::row_operation::remove);
    EXPECT_EQ(d.before_kind, model::before_image::whole);
    EXPECT_EQ(d.before, (row{{cell_kind::text, "1"}, {cell_kind::text, "x"}}));
    EXPECT_TRUE(d.after.empty());
}

TEST(pgoutput_decode, truncate_and_message) {
    const auto t = decoded<truncate>(truncate_bytes());
    EXPECT_THAT(t.relation_oids, ElementsAre(7, 9));
    EXPECT_TRUE(t.cascade);
    EXPECT_TRUE(t.restart_identity);
    const auto m = decoded<logical_message>(message_bytes());
    EXPECT_TRUE(m.transactional);
    EXPECT_EQ(m.end_lsn.value, 5U);
    EXPECT_EQ(m.prefix, "crossfade");
    EXPECT_EQ(m.content, (std::string{"a\0b", 3}));
}

TEST(pgoutput_decode, what_is_cut_short_or_too_long_is_refused) {
    for (const auto& whole : one_of_each()) {
        ASSERT_TRUE(decode(whole)) << whole[0];
        for (std::size_t length = 0; length < whole.size(); ++length)
            EXPECT_FALSE(decode(std::string_view{whole}.substr(0, length))) << whole[0] << " cut at " << length;
        EXPECT_FALSE(decode(whole + 'x')) << whole[0];
    }
}

TEST(pgoutput_decode, lies_about_lengths_are_refused) {
    const std::vector<bytes> lies{
        bytes{}.raw("I").i32(1).raw("N").i16(0xFFFF),
        bytes{}.raw("I").i32(1).raw("N").i16(1).raw("t").i32(0xFFFFFFFFU).raw("x"),
        bytes{}.raw("I").i32(1).raw("N").i16(1).raw("b").i32(1).raw("x"),  // binary: never asked for
        bytes{}.raw("I").i32(1).raw("K").i16(0),
        bytes{}.raw("D").i32(1).raw("N").i16(0),
        bytes{}.raw("T").i32(0xFFFFFFFFU).i8(0).i32(1),
        bytes{}.raw("T").i32(0).i8(0),
        bytes{}.raw("M").i8(0).i64(1).c_string("p").i32(0x7FFFFFFFU),
        bytes{}.raw("R").i32(1).c_string("a").c_string("b").raw("d").i16(0xFFFF),
        bytes{}.raw("R").i32(1).c_string("a").c_string("b").raw("x").i16(0),
        bytes{}.raw("S").i32(1),  // streamed transactions: protocol version 2
    };
    for (const auto& lie : lies) EXPECT_FALSE(decode(lie)) << lie.str();
}

TEST(pgoutput_decode, no_bytes_make_it_throw) {
    std::mt19937 random{15};
    for (const auto& whole : one_of_each()) {
        for (int round = 0; round < 3000; ++round) {
            auto bent = whole;
            for (int i = 0; i < 2; ++i) bent[1 + random() % (bent.size() - 1)] = static_cast<char>(random());
            EXPECT_NO_THROW((void)decode(bent));
        }
    }
    const std::string_view kinds = "BCORYIUDTMSX";
    for (int round = 0; round < 20000; ++round) {
        std::string noise(1 + random() % 40, '\0');
        for (auto& c : noise) c = static_cast<char>(random());
        noise[0] = kinds[random() % kinds.size()];
        EXPECT_NO_THROW((void)decode(noise));
    }
}

}  // namespace
}  // namespace crossfade::pgoutput
