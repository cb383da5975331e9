#include "lib/auth/saslprep.hpp"

#include <gtest/gtest.h>

#include <string>

#include "lib/auth/scram_verifier.hpp"

namespace crossfade::auth {
namespace {

// RFC 4013, section 3, and what PostgreSQL adds: whatever is refused is taken as it is.
TEST(saslprep, does_as_rfc_4013_and_postgresql_do) {
    const struct {
        const char* what;
        std::string password;
        std::string prepared;
    } table[] = {
        {"nothing", "", ""},
        {"ASCII", "pencil", "pencil"},
        {"ASCII, of which nothing is refused",
         "pen\x01"
         "cil\x7f",
         "pen\x01"
         "cil\x7f"},
        {"SOFT HYPHEN is mapped to nothing", "I\xc2\xadX", "IX"},
        {"... but not all of it", "\xc2\xad", "\xc2\xad"},
        {"a space is a space",
         "a\xc2\xa0"
         "b",
         "a b"},
        {"case stays", "\xc3\x84", "\xc3\x84"},
        {"NFKC: FEMININE ORDINAL INDICATOR", "\xc2\xaa", "a"},
        {"NFKC: ROMAN NUMERAL NINE", "\xe2\x85\xa8", "IX"},
        {"put together", "pa\xcc\x88ss", "p\xc3\xa4ss"},
        {"a control character beside others", "\xc3\xa4\x07", "\xc3\xa4\x07"},
        {"ARABIC LETTER ALEF in front of a digit",
         "\xd8\xa7"
         "1\xc2\xaa",
         "\xd8\xa7"
         "1\xc2\xaa"},
        {"younger than Unicode 3.2", "\xf0\x9f\x98\x80\xc2\xaa", "\xf0\x9f\x98\x80\xc2\xaa"},
        {"no UTF-8", "\xc3(\xc2\xaa", "\xc3(\xc2\xaa"},
        {"cut", "\xc2\xaa\xc3", "\xc2\xaa\xc3"},
        {"a NUL", std::string{"\xc2\xaa\0b", 4}, std::string{"\xc2\xaa\0b", 4}},
    };
    for (const auto& each : table) EXPECT_EQ(saslprep(each.password), each.prepared) << each.what;
}

TEST(saslprep, makes_one_verifier_of_one_text) {
    EXPECT_EQ(make_scram_verifier("p\xc3\xa4ss", "salt", 1), make_scram_verifier("pa\xcc\x88ss", "salt", 1));
    EXPECT_NE(make_scram_verifier("p\xc3\xa4ss", "salt", 1), make_scram_verifier("pass", "salt", 1));
}

}  // namespace
}  // namespace crossfade::auth
