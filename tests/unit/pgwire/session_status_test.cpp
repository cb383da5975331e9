#include "lib/pgwire/session_status.hpp"

#include <gtest/gtest.h>

namespace crossfade::pgwire {
namespace {

using namespace std::string_literals;

std::string_view body_of(const std::string& message) {
    return std::string_view{message}.substr(5);
}

TEST(session_status, ready_for_query_knows_three_states) {
    for (const auto status : {transaction_status::idle, transaction_status::in_transaction, transaction_status::failed})
        EXPECT_EQ(parse_ready_for_query(body_of(build_ready_for_query(status))), status);
    for (const char* other : {"", "X", "II"}) EXPECT_FALSE(parse_ready_for_query(other)) << other;
}

TEST(session_status, backend_key_data_has_a_key_of_4_to_256_bytes) {
    for (const auto length : {4, 32, 256}) {
        const backend_key_data key{4711, std::string(static_cast<std::size_t>(length), 'k')};
        const auto back = parse_backend_key_data(body_of(build_backend_key_data(key)));
        ASSERT_TRUE(back);
        EXPECT_EQ(back->pid, 4711U);
        EXPECT_EQ(back->secret_key, key.secret_key);
    }
    EXPECT_FALSE(parse_backend_key_data("\0\0\0"s));
    EXPECT_FALSE(parse_backend_key_data("\0\0\0\1"s));
    EXPECT_FALSE(parse_backend_key_data(std::string(4 + 257, 'k')));
}

TEST(session_status, parameter_status_comes_back) {
    const auto message = build_parameter_status("TimeZone", "UTC");
    const auto back = parse_parameter_status(body_of(message));
    ASSERT_TRUE(back);
    EXPECT_EQ(back->name, "TimeZone");
    EXPECT_EQ(back->value, "UTC");
    EXPECT_FALSE(parse_parameter_status("TimeZone\0UTC"s));
    EXPECT_FALSE(parse_parameter_status("TimeZone\0UTC\0x"s));
}

TEST(session_status, authentication_has_a_code) {
    EXPECT_EQ(parse_authentication(body_of(build_authentication(authentication::sasl, "SCRAM-SHA-256\0\0"s))),
              authentication::sasl);
    EXPECT_FALSE(parse_authentication("\0\0\0"s));
}

TEST(session_status, notification_names_its_sender) {
    const auto body = "\0\0\0\x09jobs\0now\0"s;
    const auto parsed = parse_notification_response(body);
    ASSERT_TRUE(parsed);
    EXPECT_EQ(parsed->pid, 9U);
    EXPECT_EQ(parsed->channel, "jobs");
    EXPECT_EQ(parsed->payload, "now");
    for (std::size_t length = 0; length < body.size(); ++length)
        EXPECT_FALSE(parse_notification_response(std::string_view{body}.substr(0, length))) << length;
}

TEST(session_status, negotiation_lists_options_and_a_lying_count_is_refused) {
    const auto parsed = parse_negotiate_protocol_version("\0\0\0\0\0\0\0\1_pq_.x\0"s);
    ASSERT_TRUE(parsed);
    EXPECT_EQ(parsed->unrecognised_options, std::vector<std::string>{"_pq_.x"});
    EXPECT_FALSE(parse_negotiate_protocol_version("\0\0\0\0\xff\xff\xff\xff_pq_.x\0"s));
    EXPECT_FALSE(parse_negotiate_protocol_version("\0\0\0\0\0\0\0\0_pq_.x\0"s));
}

// As PostgreSQL 18 answers the same openings: see the comment at the struct for the first number.
TEST(session_status, what_goes_beyond_3_2_is_settled_and_said) {
    const struct {
        protocol_version asked;
        std::vector<std::pair<std::string, std::string>> parameters;
        protocol_version settled;
        std::string said;
    } table[] = {{{3, 0}, {{"user", "ann"}}, {3, 0}, ""},
                 {{3, 2}, {{"user", "ann"}, {"database", "_pq_.app"}}, {3, 2}, ""},
                 {{3, 3}, {{"user", "ann"}}, {3, 2}, "v\0\0\0\x0c\0\3\0\2\0\0\0\0"s},
                 {{3, 0}, {{"_pq_.a", "1"}, {"user", "ann"}}, {3, 0}, "v\0\0\0\x13\0\3\0\0\0\0\0\1_pq_.a\0"s},
                 {{3, 9999},
                  {{"user", "ann"}, {"_pq_.a", ""}, {"_pq_.b", ""}},
                  {3, 2},
                  "v\0\0\0\x1a\0\3\0\2\0\0\0\2_pq_.a\0_pq_.b\0"s}};
    for (const auto& [asked, parameters, settled, said] : table) {
        startup_message opening{asked, parameters};
        EXPECT_EQ(settle_version(opening), said);
        EXPECT_EQ(opening.version, settled);
        EXPECT_EQ(opening.parameter("user"), "ann");
        EXPECT_EQ(settle_version(opening), "") << "what is left is settled";
        if (said.empty()) continue;
        const auto parsed = parse_negotiate_protocol_version(std::string_view{said}.substr(5));
        ASSERT_TRUE(parsed);
        EXPECT_EQ(parsed->newest, settled);
        EXPECT_EQ(build_negotiate_protocol_version(*parsed), said);
    }
}

}  // namespace
}  // namespace crossfade::pgwire
