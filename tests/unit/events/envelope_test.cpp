#include "lib/events/envelope.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <boost/json.hpp>

#include "lib/events/json_text.hpp"
#include "tests/unit/events/samples.hpp"

namespace crossfade::events {
namespace {

using model::before_image;
using model::replica_identity;
using model::row_operation;
using testing::ElementsAre;
using namespace std::chrono_literals;

const envelope_source from{"0.1.0", "crossfade.app", "shop"};
constexpr std::chrono::sys_time<std::chrono::milliseconds> now{1700000000123ms};

std::vector<envelope> of(decltype(model::change_event::body) body) {
    return envelopes(event_of(std::move(body)), from, now);
}

// "op key before after" of each message; throws for what is no JSON.
std::vector<std::string> outline(const std::vector<envelope>& all) {
    std::vector<std::string> lines;
    for (const auto& each : all) {
        const auto value = boost::json::parse(each.value).as_object();
        std::string line = value.at("op").as_string().c_str();
        line += ' ' + (each.key.empty() ? "-" : each.key);
        for (const char* image : {"before", "after"})
            if (const auto* found = value.if_contains(image)) line += ' ' + boost::json::serialize(*found);
        lines.push_back(line);
    }
    return lines;
}

TEST(envelope, is_debeziums_to_the_letter) {
    const auto made = of(model::row_change{
        orders(), row_operation::insert, before_image::absent, {}, {text("1"), text("a \"b\""), null_cell}});
    ASSERT_EQ(made.size(), 1U);
    EXPECT_EQ(made[0].table, "public.orders");
    EXPECT_EQ(made[0].key, R"({"id":1})");
    EXPECT_EQ(
        made[0].value,
        R"({"before":null,"after":{"id":1,"note":"a \"b\"","amount":null},)"
        R"("source":{"version":"0.1.0","connector":"postgresql","name":"crossfade.app","ts_ms":-1,"ts_us":-1,)"
        R"("snapshot":"false","db":"shop","schema":"public","table":"orders","txId":4000000000,)"
        R"("lsn":97500059720,"timeline":3,"ordinal":2,"part":0,"position":"7301234567890123456/3/16/B374D848/2"},)"
        R"("op":"c","ts_ms":1700000000123})");
}

TEST(envelope, is_made_of_every_kind_of_event) {
    const model::row row{text("1"), text("x"), null_cell};
    const model::row old_key{text("1"), null_cell, null_cell};
    const model::row other{text("2"), unchanged, text("1.50")};
    const model::row patched{text("1"), unchanged, text("1.50")};
    const auto rel = orders();
    const auto full = orders(replica_identity::full);
    const auto none = orders(replica_identity::nothing);
    const auto change = [](auto r, row_operation op, before_image kind, model::row before, model::row after) {
        return outline(of(model::row_change{r, op, kind, std::move(before), std::move(after)}));
    };
    using enum row_operation;
    using enum before_image;
    EXPECT_THAT(change(rel, insert, absent, {}, row),
                ElementsAre(R"(c {"id":1} null {"id":1,"note":"x","amount":null})"));
    EXPECT_THAT(change(none, insert, absent, {}, row), ElementsAre(R"(c - null {"id":1,"note":"x","amount":null})"));
    EXPECT_THAT(change(rel, update, absent, {}, patched),
                ElementsAre(R"(u {"id":1} null {"id":1,"note":"__debezium_unavailable_value","amount":"1.50"})"));
    EXPECT_THAT(change(full, update, whole, row, patched),
                ElementsAre(R"(u - {"id":1,"note":"x","amount":null} {"id":1,"note":"x","amount":"1.50"})"))
        << "the row as it was has the value that the row as it is lacks";
    EXPECT_THAT(change(rel, update, before_image::key, old_key, other),
                ElementsAre(R"(d {"id":1} {"id":1,"note":null,"amount":null} null)",
                            R"(c {"id":2} null {"id":2,"note":"__debezium_unavailable_value","amount":"1.50"})"));
    EXPECT_THAT(change(rel, update, before_image::key, old_key, {unchanged, text("y"), null_cell}),
                ElementsAre(R"(u {"id":1} null {"id":1,"note":"y","amount":null})"))
        << "a long key that stayed is sent with the change, too";
    EXPECT_THAT(change(rel, remove, before_image::key, old_key, {}),
                ElementsAre(R"(d {"id":1} {"id":1,"note":null,"amount":null} null)"));
    EXPECT_THAT(change(full, remove, whole, row, {}), ElementsAre(R"(d - {"id":1,"note":"x","amount":null} null)"));
    EXPECT_THAT(outline(of(model::truncate{{rel, full}, true, true})), ElementsAre("t - null null", "t - null null"));
    EXPECT_THAT(outline(of(model::heartbeat{model::source_time{1s}})), ElementsAre());
}

TEST(envelope, has_keys_by_which_a_topic_may_be_compacted) {
    const envelope_source compactable{"0.1.0", "crossfade.app", "shop", envelope_keys::compactable};
    const auto keys = [&](decltype(model::change_event::body) body) {
        std::vector<std::string> found;
        for (const auto& each : envelopes(event_of(std::move(body)), compactable, now))
            found.push_back(
                (each.value.empty() ? "tombstone" : boost::json::parse(each.value).at("op").as_string().c_str()) +
                (' ' + each.key));
        return found;
    };
    const auto rel = orders();
    const auto full = orders(replica_identity::full);
    const model::row row{text("1"), text("x"), null_cell};
    const model::row old_key{text("1"), null_cell, null_cell};
    const std::string one = R"({"id":1,"__dbz__physicalTableIdentifier":"crossfade.app.public.orders"})";
    const std::string two = R"({"id":2,"__dbz__physicalTableIdentifier":"crossfade.app.public.orders"})";
    const std::string once =
        R"({"position":"7301234567890123456/3/16/B374D848/2","__dbz__physicalTableIdentifier":"crossfade.app.public.orders"})";
    using enum row_operation;
    EXPECT_THAT(keys(model::row_change{rel, insert, before_image::absent, {}, row}), ElementsAre("c " + one));
    EXPECT_THAT(keys(model::row_change{rel, remove, before_image::key, old_key, {}}),
                ElementsAre("d " + one, "tombstone " + one));
    EXPECT_THAT(keys(model::row_change{rel, update, before_image::key, old_key, {text("2"), text("x"), null_cell}}),
                ElementsAre("d " + one, "tombstone " + one, "c " + two));
    EXPECT_THAT(keys(model::row_change{full, remove, before_image::whole, row, {}}), ElementsAre("d " + once))
        << "of a row without identity nothing is to go";
    EXPECT_THAT(keys(model::truncate{{rel}, false, false}),
                ElementsAre(R"(t {"__dbz__physicalTableIdentifier":"crossfade.app.public.orders"})"));
    EXPECT_THAT(keys(model::logical_message{"audit", "x"}),
                ElementsAre(R"(m {"prefix":"audit","position":"7301234567890123456/3/16/B374D848/2"})"));
}

TEST(envelope, counts_an_events_messages) {
    const auto parts = [](const std::vector<envelope>& all) {
        std::vector<std::int64_t> found;
        for (const auto& each : all) found.push_back(boost::json::parse(each.value).at("source").at("part").as_int64());
        return found;
    };
    const auto rel = orders();
    EXPECT_THAT(parts(of(model::truncate{{rel, rel, rel}, false, false})), ElementsAre(0, 1, 2));
    EXPECT_THAT(parts(of(model::row_change{rel,
                                           row_operation::update,
                                           before_image::key,
                                           {text("1"), null_cell, null_cell},
                                           {text("2"), null_cell, null_cell}})),
                ElementsAre(0, 1));
}

TEST(envelope, carries_a_logical_message_as_bytes) {
    const auto made = of(model::logical_message{"audit", std::string{"\0\xff!", 3}});
    ASSERT_EQ(made.size(), 1U);
    EXPECT_EQ(made[0].table, "");
    EXPECT_EQ(made[0].key, R"({"prefix":"audit"})");
    EXPECT_TRUE(made[0].value.starts_with(R"({"message":{"prefix":"audit","content":"AP8h"},"source":{)"))
        << made[0].value;
    EXPECT_THAT(outline(made), ElementsAre(R"(m {"prefix":"audit"})"));
}

TEST(envelope, has_the_message_of_a_resync_from_nobody_else) {
    auto event = event_of(model::logical_message{std::string{resync_prefix}, {}});
    EXPECT_TRUE(envelopes(event, from, now).empty()) << "of the WAL";
    event.at.ordinal = 0;
    const auto made = envelopes(event, from, now);
    EXPECT_THAT(outline(made), ElementsAre(R"(m {"prefix":"crossfade.resync"})"));
}

TEST(envelope, has_nothing_of_crossfades_own_rows) {
    auto rel = std::make_shared<model::relation>(*orders());
    rel->table = {"crossfade", "sentinel"};
    EXPECT_TRUE(
        of(model::row_change{rel, row_operation::insert, before_image::absent, {}, {text("1"), text("x"), null_cell}})
            .empty());
}

TEST(envelope, writes_as_json_what_json_has_and_the_rest_as_postgresqls_text) {
    struct {
        std::uint32_t type;
        const char* value;
        const char* json;
    } const cases[]{
        {16, "t", "true"},
        {16, "f", "false"},
        {20, "-9223372036854775808", "-9223372036854775808"},
        {21, "7", "7"},
        {23, "0", "0"},
        {700, "1.5", "1.5"},
        {701, "1e+300", "1e+300"},
        {701, "NaN", R"("NaN")"},
        {701, "-Infinity", R"("-Infinity")"},
        {1700, "1.10", R"("1.10")"},
        {17, "\\x00ff", R"("\\x00ff")"},
        {1184, "2026-01-02 03:04:05.678+00", R"("2026-01-02 03:04:05.678+00")"},
        {3802, "{\"a\": 1}", R"("{\"a\": 1}")"},
        {1007, "{1,2}", R"("{1,2}")"},
        // A type of the database's own over one of these is text: its OID says nothing.
        {16400, "5", R"("5")"},
    };
    for (const auto& [type, value, json] : cases) {
        SCOPED_TRACE(value);
        const auto rel = std::make_shared<const model::relation>(
            model::relation{1, {"s", "t"}, replica_identity::nothing, {{"v", type, -1, false}}});
        const auto made = of(model::row_change{rel, row_operation::insert, before_image::absent, {}, {text(value)}});
        EXPECT_THAT(made[0].value, testing::HasSubstr(std::string{R"("after":{"v":)"} + json + '}'));
        EXPECT_NO_THROW(boost::json::parse(made[0].value));
    }
}

TEST(json_text, keeps_every_text_and_no_bytes_that_are_none) {
    const auto string = [](std::string_view text) {
        std::string made;
        append_json_string(made, text);
        return made;
    };
    for (const char* text :
         {"", "plain", "tab\tline\nreturn\r", "\x01\x1f\x7f", "\"\\/", "größe €  😀", "\xED\x9F\xBF\xEE\x80\x80"})
        EXPECT_EQ(boost::json::parse(string(text)).as_string(), text);
    EXPECT_EQ(string("\x01"), "\"\\u0001\"");
    struct {
        std::string_view bytes;
        std::string_view text;
    } const bad[]{{"a\xff"
                   "b",
                   "a�b"},
                  {"\xC3", "�"},
                  {"\xC0\x80", "��"},
                  {"\xE2\x82", "��"},
                  {"\xED\xA0\x80", "���"},
                  {"\xF4\x90\x80\x80", "����"},
                  {"\xE2\x82z", "��z"}};
    for (const auto& [bytes, text] : bad) EXPECT_EQ(boost::json::parse(string(bytes)).as_string(), text);
}

TEST(json_text, tells_numbers_from_what_looks_like_one) {
    for (const char* number : {"0", "-0", "10", "-1.5", "0.001", "1e9", "1E-9", "2.5e+10"})
        EXPECT_TRUE(is_json_number(number)) << number;
    for (const char* other :
         {"", "-", "+1", "007", "1.", ".5", "1e", "1e+", "0x1", "1 ", "NaN", "Infinity", "1,5", "--1"})
        EXPECT_FALSE(is_json_number(other)) << other;
}

TEST(json_text, pads_base64) {
    for (const auto& [bytes, expected] : {std::pair{"", R"("")"},
                                          {"f", R"("Zg==")"},
                                          {"fo", R"("Zm8=")"},
                                          {"foo", R"("Zm9v")"},
                                          {"foobar", R"("Zm9vYmFy")"}}) {
        std::string made;
        append_json_base64(made, bytes);
        EXPECT_EQ(made, expected);
    }
}

}  // namespace
}  // namespace crossfade::events
