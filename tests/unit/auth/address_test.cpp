#include "lib/auth/address.hpp"

#include <gtest/gtest.h>

namespace crossfade::auth {
namespace {

TEST(addresses, come_back) {
    for (const char* text : {"0.0.0.0", "10.1.2.3", "255.255.255.255", "::", "::1", "fe80::1", "2001:db8::ff"})
        EXPECT_EQ(to_string(parse_ip_address(text).value()), text);
    EXPECT_EQ(parse_ip_address("::ffff:10.1.2.3"), parse_ip_address("10.1.2.3")) << "over a socket for both";
    EXPECT_EQ(ip_address(ip_address::v4_bytes{10, 1, 2, 3}), parse_ip_address("10.1.2.3"));
    EXPECT_EQ(ip_address(ip_address::v6_bytes{0xfe, 0x80}), parse_ip_address("fe80::"));
}

TEST(addresses, are_nothing_else) {
    for (const std::string& text : {std::string(), std::string("10.1.2"), std::string("10.1.2.256"),
                                    std::string("010.1.2.3"), std::string("[::1]"), std::string("fe80::1%eth0"),
                                    std::string("localhost"), std::string("10.1.2.3 "), std::string("10.1.2.3\0", 9)})
        EXPECT_FALSE(parse_ip_address(text)) << text;
}

TEST(ranges, hold_what_begins_with_the_same_bits) {
    struct {
        const char* range;
        const char* address;
        bool held;
    } table[] = {
        {"10.0.0.0/8", "10.255.255.255", true},
        {"10.0.0.0/8", "11.0.0.0", false},
        {"10.0.0.0/8", "::ffff:10.1.1.1", true},
        {"10.128.0.0/9", "10.127.255.255", false},
        {"10.128.0.0/9", "10.128.0.0", true},
        {"192.0.2.7", "192.0.2.7", true},
        {"192.0.2.7", "192.0.2.6", false},
        {"192.0.2.7/32", "192.0.2.7", true},
        {"192.0.2.6/31", "192.0.2.7", true},
        {"0.0.0.0/0", "255.1.2.3", true},
        {"0.0.0.0/0", "::1", false},
        {"::/0", "2001:db8::1", true},
        {"::/0", "10.1.2.3", false},
        {"::/0", "::ffff:10.1.2.3", false},
        {"fd00::/8", "fdff::1", true},
        {"fd00::/8", "fe00::1", false},
        {"2001:db8::/33", "2001:db8:7fff::", true},
        {"2001:db8::/33", "2001:db8:8000::", false},
        {"::1", "::1", true},
        {"::1", "127.0.0.1", false},
        {"::ffff:10.0.0.0/104", "10.1.2.3", true},
    };
    for (const auto& [range, address, held] : table)
        EXPECT_EQ(parse_address_range(range).value().holds(parse_ip_address(address).value()), held)
            << range << ' ' << address;
}

TEST(ranges, come_back) {
    for (const char* text : {"10.0.0.0/8", "192.0.2.7", "0.0.0.0/0", "::/0", "fd00::/8", "::1"})
        EXPECT_EQ(to_string(parse_address_range(text).value()), text);
}

TEST(ranges, are_nothing_else) {
    for (const char* text : {"", "/8", "10.0.0.0/", "10.0.0.0/33", "10.0.0.0/-1", "10.0.0.0/8x", "10.0.0.0/ 8",
                             "10.0.0.1/8", "10.0.0.0/255.0.0.0", "::/129", "fd00::1/8", "10.0.0.0/8/8", "all", "10.*"})
        EXPECT_FALSE(parse_address_range(text)) << text;
}

TEST(parties, have_their_address_or_their_network) {
    EXPECT_EQ(to_string(party_of(parse_ip_address("10.1.2.3").value())), "10.1.2.3");
    EXPECT_EQ(to_string(party_of(parse_ip_address("2001:db8:1:2:3:4:5:6").value())), "2001:db8:1:2::/64");
}

}  // namespace
}  // namespace crossfade::auth
