#include "lib/pgwire/startup.hpp"

#include <gtest/gtest.h>

#include <random>

#include "lib/pgwire/bytes.hpp"

namespace crossfade::pgwire {
namespace {

using namespace std::string_literals;

std::string packet(std::uint32_t code, std::string_view body) {
    std::string bytes;
    put_u32(bytes, static_cast<std::uint32_t>(8 + body.size()));
    put_u32(bytes, code);
    return bytes.append(body);
}

constexpr std::uint32_t version_3_0 = 3U << 16;

TEST(startup, parameters_come_back_in_order_with_repeats_and_protocol_options) {
    const startup_message sent{
        {3, 9999}, {{"user", "ann"}, {"options", "-c a=b"}, {"_pq_.test", "1"}, {"database", "x"}, {"database", "y"}}};
    const auto parsed = parse_startup(build(sent));
    ASSERT_TRUE(parsed);
    const auto& back = std::get<startup_message>(*parsed);
    EXPECT_EQ(back.version, (protocol_version{3, 9999}));
    EXPECT_EQ(back.parameters, sent.parameters);
    EXPECT_EQ(back.database(), "y") << "the server takes the last";
}

TEST(startup, database_is_the_user_when_it_is_not_named) {
    EXPECT_EQ((startup_message{{}, {{"user", "ann"}}}).database(), "ann");
    EXPECT_EQ((startup_message{{}, {{"user", "ann"}, {"database", ""}}}).database(), "ann");
}

TEST(startup, requests_come_back) {
    EXPECT_TRUE(std::holds_alternative<ssl_request>(parse_startup(build(ssl_request{})).value()));
    EXPECT_TRUE(std::holds_alternative<gssenc_request>(parse_startup(build(gssenc_request{})).value()));
    for (const auto& key : {"\x01\x00\x00\x02"s, std::string(256, 'k')}) {
        const auto parsed = parse_startup(build(cancel_request{77, key}));
        ASSERT_TRUE(parsed);
        EXPECT_EQ(std::get<cancel_request>(*parsed).pid, 77U);
        EXPECT_EQ(std::get<cancel_request>(*parsed).secret_key, key);
    }
}

struct refused {
    const char* what;
    std::string bytes;
    startup_fault fault;
};

TEST(startup, refuses_what_is_not_one) {
    const refused table[] = {
        {"no terminator", packet(version_3_0, "user\0a\0"s), startup_fault::malformed},
        {"bytes behind the terminator", packet(version_3_0, "user\0a\0\0x"s), startup_fault::malformed},
        {"name without value", packet(version_3_0, "user\0"s), startup_fault::malformed},
        {"unterminated name", packet(version_3_0, "user"s), startup_fault::malformed},
        {"no user", packet(version_3_0, "database\0a\0\0"s), startup_fault::malformed},
        {"empty user", packet(version_3_0, "user\0\0\0"s), startup_fault::malformed},
        {"protocol 2", packet(2U << 16, "user\0a\0\0"s), startup_fault::unknown_version},
        {"protocol 4", packet(4U << 16, "user\0a\0\0"s), startup_fault::unknown_version},
        {"SSLRequest with a body", packet(1234U << 16 | 5679, "x"), startup_fault::malformed},
        {"CancelRequest without a key", packet(1234U << 16 | 5678, "\0\0\0\1"s), startup_fault::malformed},
        {"CancelRequest cut off", packet(1234U << 16 | 5678, "\0\0"s), startup_fault::malformed},
        {"CancelRequest with too long a key", build(cancel_request{1, std::string(257, 'k')}),
         startup_fault::malformed},
    };
    for (const auto& [what, bytes, fault] : table) {
        const auto parsed = parse_startup(bytes);
        ASSERT_FALSE(parsed) << what;
        EXPECT_EQ(parsed.error(), fault) << what;
    }
}

// anchors: a length that overflows, and a CancelRequest of 2 GiB before authentication.
TEST(startup, extent_is_bounded_before_anything_is_buffered) {
    const auto extent = [](std::uint32_t length) {
        std::string bytes;
        put_u32(bytes, length);
        return startup_extent(bytes);
    };
    for (const auto length : {0U, 4U, 7U}) EXPECT_EQ(extent(length).error(), startup_fault::too_short) << length;
    for (const auto length : {10005U, 0x7FFFFFFFU, 0x80000000U, 0xFFFFFFFFU})
        EXPECT_EQ(extent(length).error(), startup_fault::too_long) << length;
    EXPECT_EQ(extent(10004)->needed, 10004U);
    EXPECT_FALSE(extent(8)->complete);
}

TEST(startup, extent_is_complete_at_the_last_byte_and_not_before) {
    const auto whole = build(startup_message{{}, {{"user", "ann"}}});
    for (std::size_t length = 0; length <= whole.size() + 3; ++length) {
        const auto extent = startup_extent((whole + "Q\0\0"s).substr(0, length));
        ASSERT_TRUE(extent);
        EXPECT_EQ(extent->complete, length >= whole.size()) << length;
    }
}

TEST(startup, any_bytes_are_survived) {
    std::mt19937 random{7};
    for (int round = 0; round < 20000; ++round) {
        std::string body(random() % 40, '\0');
        for (char& byte : body) byte = static_cast<char>(random() % 3 == 0 ? 0 : random());
        const std::uint32_t codes[] = {version_3_0, 1234U << 16 | 5678, 1234U << 16 | 5679,
                                       static_cast<std::uint32_t>(random())};
        const auto parsed = parse_startup(packet(codes[random() % 4], body));
        if (parsed && std::holds_alternative<startup_message>(*parsed)) {
            EXPECT_FALSE(std::get<startup_message>(*parsed).parameter("user").empty());
        }
        (void)parse_startup(body);
    }
}

}  // namespace
}  // namespace crossfade::pgwire
