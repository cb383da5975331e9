#include "lib/auth/scram_message.hpp"

#include <gtest/gtest.h>

#include <functional>
#include <random>

namespace crossfade::auth {
namespace {

using namespace std::string_literals;
using enum scram_fault;

const std::string proof = base64(std::string(32, 'p'));

template <class T>
std::optional<scram_fault> fault_of(const or_scram_fault<T>& of) {
    return of ? std::nullopt : std::optional{of.error()};
}

struct refused {
    std::string message;
    scram_fault fault;
};

TEST(client_first, is_taken_apart) {
    const auto plain = parse_client_first("n,,n=user,r=abc");
    ASSERT_TRUE(plain);
    EXPECT_EQ(plain->binding, 'n');
    EXPECT_EQ(plain->gs2_header, "n,,");
    EXPECT_EQ(plain->bare, "n=user,r=abc");
    EXPECT_EQ(plain->nonce, "abc");

    const auto bound = parse_client_first("p=tls-server-end-point,,n=,r=abc,x=any,y=");
    ASSERT_TRUE(bound);
    EXPECT_EQ(bound->binding, 'p');
    EXPECT_EQ(bound->binding_type, "tls-server-end-point");
    EXPECT_EQ(bound->gs2_header, "p=tls-server-end-point,,");
    EXPECT_EQ(bound->bare, "n=,r=abc,x=any,y=");
}

TEST(client_first, is_refused_when_it_is_none) {
    const refused table[] = {
        {"", malformed},
        {"n", malformed},
        {"n,", malformed},
        {"n,,", malformed},
        {"x,,n=,r=a", malformed},
        {"n;,n=,r=a", malformed},
        {"n,a=admin,n=,r=a", authorization_identity},
        {"n,b,n=,r=a", malformed},
        {"p,,n=,r=a", malformed},
        {"p=,,n=,r=a", malformed},
        {"p=tls-unique", malformed},
        {"n,,m=x,n=,r=a", mandatory_extension},
        {"n,,r=a", malformed},
        {"n,,n=", malformed},
        {"n,,n=,r=", malformed},
        {"n,,n=,r=a b", malformed},
        {"n,,n=,r=a\x7f", malformed},
        {"n,,n=,r=\xc3\xa4", malformed},
        {"n,,n=,r=a,", malformed},
        {"n,,n=,r=a,1=x", malformed},
        {"n,,n=,r=a,x", malformed},
        {"n,,n=,r=a\0"s, malformed},
        {"n,,n=,r=" + std::string(max_scram_message, 'a'), too_long},
    };
    for (const auto& [message, fault] : table) EXPECT_EQ(fault_of(parse_client_first(message)), fault) << message;
}

TEST(server_first, is_taken_apart) {
    const auto read = parse_server_first("r=abcdef,s=c2FsdA==,i=4096,x=any");
    ASSERT_TRUE(read);
    EXPECT_EQ(read->nonce, "abcdef");
    EXPECT_EQ(read->salt, "salt");
    EXPECT_EQ(read->iterations, 4096U);
    EXPECT_EQ(parse_server_first("r=a,s=c2FsdA==,i=2147483647")->iterations, 2147483647U);
}

TEST(server_first, is_refused_when_it_is_none) {
    const refused table[] = {
        {"", malformed},
        {"r=a,s=c2FsdA==", malformed},
        {"r=a,i=4096,s=c2FsdA==", malformed},
        {"s=c2FsdA==,r=a,i=4096", malformed},
        {"m=x,r=a,s=c2FsdA==,i=4096", mandatory_extension},
        {"r=,s=c2FsdA==,i=4096", malformed},
        {"r=a,s=,i=4096", malformed},
        {"r=a,s=c2Fsd,i=4096", malformed},
        {"r=a,s=c2FsdA==,i=", malformed},
        {"r=a,s=c2FsdA==,i=0", malformed},
        {"r=a,s=c2FsdA==,i=-1", malformed},
        {"r=a,s=c2FsdA==,i=+1", malformed},
        {"r=a,s=c2FsdA==,i=0x10", malformed},
        {"r=a,s=c2FsdA==,i=4096 ", malformed},
        {"r=a,s=c2FsdA==,i=2147483648", too_many_iterations},
        {"r=a,s=c2FsdA==,i=99999999999999999999", too_many_iterations},
        {"r=a,s=c2FsdA==,i=4096,", malformed},
        {"r=a,s=c2FsdA==\0,i=4096"s, malformed},
        {"r=a,s=c2FsdA==,i=4096,x=" + std::string(max_scram_message, 'a'), too_long},
    };
    for (const auto& [message, fault] : table) EXPECT_EQ(fault_of(parse_server_first(message)), fault) << message;
}

TEST(client_final, is_taken_apart) {
    const auto message = "c=biws,r=abc,x=any,p=" + proof;
    const auto read = parse_client_final(message);
    ASSERT_TRUE(read);
    EXPECT_EQ(read->binding, "n,,");
    EXPECT_EQ(read->nonce, "abc");
    EXPECT_EQ(read->without_proof, "c=biws,r=abc,x=any");
    EXPECT_EQ(bytes_of(read->proof), std::string(32, 'p'));
}

TEST(client_final, is_refused_when_it_is_none) {
    const refused table[] = {
        {"", malformed},
        {"c=biws,r=abc", malformed},
        {"c=biws,p=" + proof, malformed},
        {"r=abc,c=biws,p=" + proof, malformed},
        {"c=biw,r=abc,p=" + proof, malformed},
        {"c=biws,r=,p=" + proof, malformed},
        {"c=biws,r=abc,p=", malformed},
        {"c=biws,r=abc,p=" + proof.substr(4), malformed},
        {"c=biws,r=abc,p=" + proof + ",x=y", malformed},
        {"c=biws,r=abc,p=" + proof + ",", malformed},
        {"c=biws,r=abc,x,p=" + proof, malformed},
        {"c=biws,r=abc,p=" + proof + "\0"s, malformed},
        {"c=biws,r=abc,x=" + std::string(max_scram_message, 'a') + ",p=" + proof, too_long},
    };
    for (const auto& [message, fault] : table) EXPECT_EQ(fault_of(parse_client_final(message)), fault) << message;
}

TEST(server_final, is_a_signature_or_an_error) {
    EXPECT_EQ(bytes_of(parse_server_final("v=" + proof).value()), std::string(32, 'p'));
    EXPECT_TRUE(parse_server_final("v=" + proof + ",x=any"));
    const refused table[] = {
        {"", malformed},
        {"v=", malformed},
        {"v=" + proof.substr(4), malformed},
        {"x=" + proof, malformed},
        {"v=" + proof + ",", malformed},
        {"e=other-error", server_error},
        {"e", malformed},
        {"v=" + proof + ",x=" + std::string(max_scram_message, 'a'), too_long},
    };
    for (const auto& [message, fault] : table) EXPECT_EQ(fault_of(parse_server_final(message)), fault) << message;
}

TEST(nonces, are_fresh_and_printable) {
    const auto one = make_scram_nonce();
    EXPECT_EQ(one.size(), 24U);
    EXPECT_NE(one, make_scram_nonce());
    EXPECT_TRUE(parse_client_first("n,,n=,r=" + one));
}

TEST(scram_messages, of_any_bytes_are_survived) {
    std::mt19937 random{7};  // NOLINT: the same bytes each time
    constexpr std::string_view favourites = "npyrscmvieax=,,,==AAAA0129 \0\xff";
    for (int round = 0; round < 50000; ++round) {
        std::string text(random() % 60, '\0');
        for (char& c : text) c = favourites[random() % favourites.size()];
        (void)parse_client_first(text);
        (void)parse_server_first(text);
        (void)parse_client_final(text);
        (void)parse_server_final(text);
    }
}

}  // namespace
}  // namespace crossfade::auth
