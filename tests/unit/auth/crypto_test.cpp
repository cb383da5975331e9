#include "lib/auth/crypto.hpp"

#include <gtest/gtest.h>

#include <set>

namespace crossfade::auth {
namespace {

using namespace std::string_literals;

std::string hex(const key& of) {
    std::string text;
    for (const auto byte : of) {
        text += "0123456789abcdef"[byte >> 4];
        text += "0123456789abcdef"[byte & 15];
    }
    return text;
}

TEST(crypto, is_what_the_standards_say) {
    EXPECT_EQ(hex(sha256("")), "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
    // RFC 4231, case 2; and an empty key, for which OpenSSL must not take the last one.
    EXPECT_EQ(hex(hmac_sha256("Jefe", "what do ya want for nothing?")),
              "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843");
    EXPECT_EQ(hex(hmac_sha256("", "")), "b613679a0814d9ec772f95d778c35fc5ff1697c493715653c6c712144292c5ad");
    // RFC 7914, section 11.
    EXPECT_EQ(hex(pbkdf2_sha256("passwd", "salt", 1)),
              "55ac046e56e3089fec1691c22544b605f94185216dde0465e68b9d57c20dacbc");
    EXPECT_EQ(md5_hex("message digest"), "f96b697d7cb7938d525a2f31aaf161d0");
}

TEST(crypto, gives_other_random_bytes_each_time) {
    std::set<std::string> seen;
    for (int i = 0; i < 100; ++i) seen.insert(random_bytes(18));
    EXPECT_EQ(seen.size(), 100U);
    EXPECT_EQ(seen.begin()->size(), 18U);
}

TEST(base64, comes_back) {
    for (const auto& bytes : {""s, "f"s, "fo"s, "foo"s, "foob"s, "\0\0\0"s, "\xff\xfe"s, std::string(100, '\x80')})
        EXPECT_EQ(from_base64(base64(bytes)), bytes);
    EXPECT_EQ(base64("foob"), "Zm9vYg==");
}

TEST(base64, is_read_as_an_encoder_writes_it_and_no_other_way) {
    for (const auto& text : {"Zg"s, "Zg="s, "Zg==="s, "Zh=="s, "Zm8"s, "Zm9="s, "Zm9v="s, "Zm9vYg==Zm9v"s, "=Zg="s,
                             "===="s, "Zm 9"s, " Zm9v   "s, "Zm9v\n\n\n\n"s, "Zm-_"s, "Zm9\0"s, "Z\xc3\xa4v"s})
        EXPECT_FALSE(from_base64(text)) << text;
    EXPECT_FALSE(key_from_base64(base64(std::string(31, 'k'))));
    EXPECT_FALSE(key_from_base64(base64(std::string(33, 'k'))));
    EXPECT_TRUE(key_from_base64(base64(std::string(32, 'k'))));
}

TEST(constant_time, compares) {
    EXPECT_TRUE(equal_in_constant_time("", ""));
    EXPECT_TRUE(equal_in_constant_time("ab", "ab"));
    EXPECT_FALSE(equal_in_constant_time("ab", "ac"));
    EXPECT_FALSE(equal_in_constant_time("ab", "abc"));
}

}  // namespace
}  // namespace crossfade::auth
