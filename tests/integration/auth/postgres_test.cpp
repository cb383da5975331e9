#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <fstream>
#include <random>

#include "lib/auth/saslprep.hpp"
#include "lib/pgclient/connection.hpp"
#include "tests/integration/auth/wire.hpp"
#include "tests/support/postgres.hpp"

namespace crossfade::auth {
namespace {

const std::string composed = "p\xc3\xa4ssword";
const std::string decomposed = "pa\xcc\x88ssword";

// A server that wants a password, in each of the ways that it has.
class real_servers : public testing::Test {
  protected:
    static void SetUpTestSuite() {
        server_ = new support::postgres_cluster;
        file("pg_hba.conf",
             "local all all trust\nhost all crossfade 127.0.0.1/32 trust\nhost all by_md5,hashed 127.0.0.1/32 md5\n"
             "host all in_clear 127.0.0.1/32 password\nhost all all 127.0.0.1/32 scram-sha-256\n");
        const auto shown = make_certificate();
        file("server.crt", shown.pem);
        file("server.key", shown.key_pem);
        std::ofstream(server_->data_dir() / "postgresql.conf", std::ios::app) << "ssl = on\n";
        server_->start();
        for (const char* user : {"ann", "in_clear", "expired"})
            server_->exec(std::string("CREATE ROLE ") + user + " LOGIN PASSWORD 'pencil'");
        server_->exec("ALTER ROLE expired VALID UNTIL '2020-01-01'");
        server_->exec("CREATE ROLE accents LOGIN PASSWORD '" + composed + "'");
        server_->exec("CREATE ROLE apart LOGIN PASSWORD '" + decomposed + "'");
        server_->exec(
            "SET password_encryption = 'md5'; CREATE ROLE by_md5 LOGIN PASSWORD 'pencil'; "
            "CREATE ROLE hashed LOGIN PASSWORD 'pencil'");
    }
    static void TearDownTestSuite() {
        delete server_;
        server_ = nullptr;
    }

    static void file(const std::string& name, const std::string& content) {
        const auto path = server_->data_dir() / name;
        std::ofstream(path, std::ios::trunc) << content;
        struct stat owner {};
        ASSERT_EQ(::stat(server_->data_dir().c_str(), &owner), 0);
        ASSERT_EQ(::chown(path.c_str(), owner.st_uid, owner.st_gid), 0);
        ASSERT_EQ(::chmod(path.c_str(), 0600), 0);
    }
    static scram_verifier verifier_of(const std::string& user) {
        return parse_scram_verifier(server_->value("SELECT rolpassword FROM pg_authid WHERE rolname = '" + user + "'"))
            .value();
    }
    static std::string log_in(const std::string& user, login_secret secret, encrypted tls = encrypted::no) {
        return auth::log_in(server_->port(), user, std::move(secret), tls);
    }

    static inline support::postgres_cluster* server_ = nullptr;
};

TEST_F(real_servers, let_us_in_by_scram) {
    for (const auto tls : {encrypted::no, encrypted::yes}) {
        EXPECT_EQ(log_in("ann", clear_password{"pencil"}, tls), "ready");
        EXPECT_EQ(log_in("ann", clear_password{"Pencil"}, tls), "28P01");
        EXPECT_EQ(log_in("nobody", clear_password{"pencil"}, tls), "28P01");
        EXPECT_EQ(log_in("expired", clear_password{"pencil"}, tls), "28P01");
    }
}

TEST_F(real_servers, hold_verifiers_as_we_make_them) {
    const auto theirs = verifier_of("ann");
    EXPECT_EQ(theirs, make_scram_verifier("pencil", theirs.salt, theirs.iterations));
    EXPECT_EQ(theirs.iterations, default_scram_iterations);
    EXPECT_EQ(theirs.salt.size(), scram_salt_length);
    // And the other way round.
    server_->exec("CREATE ROLE made LOGIN PASSWORD '" + build(make_scram_verifier("crayon", "some salt", 5000)) + "'");
    EXPECT_EQ(log_in("made", clear_password{"crayon"}), "ready");
}

TEST_F(real_servers, let_us_in_by_the_keys_of_a_log_in) {
    const auto theirs = verifier_of("ann");
    const auto keys = scram_keys_of("pencil", theirs.salt, theirs.iterations);
    for (const auto tls : {encrypted::no, encrypted::yes}) EXPECT_EQ(log_in("ann", keys, tls), "ready");
    EXPECT_EQ(log_in("ann", scram_keys_of("pencil", "other salt", 4096)), "28P01");
    EXPECT_EQ(log_in("in_clear", keys), "the server asks for a password in clear, and none is known");
}

TEST_F(real_servers, let_us_in_by_md5_and_in_clear) {
    const md5_hash hash{server_->value("SELECT rolpassword FROM pg_authid WHERE rolname = 'hashed'")};
    EXPECT_EQ(log_in("by_md5", clear_password{"pencil"}), "ready");
    EXPECT_EQ(log_in("hashed", hash), "ready");
    EXPECT_EQ(log_in("by_md5", hash), "28P01");
    EXPECT_EQ(log_in("by_md5", clear_password{"Pencil"}), "28P01");
    EXPECT_EQ(log_in("in_clear", clear_password{"pencil"}), "ready");
    EXPECT_EQ(log_in("in_clear", clear_password{"Pencil"}), "28P01");
}

TEST_F(real_servers, normalise_passwords_as_we_do) {
    for (const char* user : {"accents", "apart"}) {
        EXPECT_EQ(log_in(user, clear_password{composed}), "ready");
        EXPECT_EQ(log_in(user, clear_password{decomposed}), "ready");
    }
}

std::string utf8_of(unsigned code) {
    const auto tail = [&](unsigned shift) { return static_cast<char>(0x80 | ((code >> shift) & 0x3f)); };
    if (code < 0x80) return {static_cast<char>(code)};
    if (code < 0x800) return {static_cast<char>(0xc0 | (code >> 6)), tail(0)};
    if (code < 0x10000) return {static_cast<char>(0xe0 | (code >> 12)), tail(6), tail(0)};
    return {static_cast<char>(0xf0 | (code >> 18)), tail(12), tail(6), tail(0)};
}

// Not what we believe RFC 4013 to say, but what the server makes of it, is what lets a client in.
TEST_F(real_servers, prepare_passwords_of_all_characters_as_we_do) {
    std::vector<std::string> passwords{"a\xe2\x80\x8b", "\xc2\xad", "\xc2\xa0", "\xe2\x85\xa8", "\xc2\xaa"};
    std::mt19937 random{4013};
    const auto among = [&](unsigned first, unsigned last) {
        return utf8_of(std::uniform_int_distribution<unsigned>{first, last}(random));
    };
    // Where characters that change, are refused, or run from right to left lie close together; Hangul; beyond the BMP.
    constexpr std::array<std::pair<unsigned, unsigned>, 14> blocks{{{0x80, 0x24f},
                                                                    {0x300, 0x3ff},
                                                                    {0x400, 0x52f},
                                                                    {0x590, 0x6ff},
                                                                    {0x900, 0xdff},
                                                                    {0xe00, 0x10ff},
                                                                    {0x1100, 0x11ff},
                                                                    {0x1e00, 0x1fff},
                                                                    {0x2000, 0x24ff},
                                                                    {0x3000, 0x33ff},
                                                                    {0x4e00, 0x4fff},
                                                                    {0xac00, 0xd7a3},
                                                                    {0xf900, 0xfffd},
                                                                    {0x1d100, 0x1f6ff}}};
    for (const auto& [first, last] : blocks) {
        for (int each = 0; each < 60; ++each) {
            std::string made;
            for (int length = 1 + each % 4; length > 0; --length)
                made += random() % 4 == 0 ? among(0x21, 0x7e) : among(first, last);
            passwords.push_back(made);
        }
    }
    int prepared = 0;
    for (const auto& each : passwords) {
        server_->exec("ALTER ROLE ann PASSWORD " + pgclient::quote_literal(each));
        const auto theirs = verifier_of("ann");
        EXPECT_EQ(theirs, make_scram_verifier(each, theirs.salt, theirs.iterations)) << testing::PrintToString(each);
        prepared += saslprep(each) == each ? 0 : 1;
    }
    server_->exec("ALTER ROLE ann PASSWORD 'pencil'");
    EXPECT_GT(prepared, 100);
}

// The default query's columns, under the settings that it wants.
TEST_F(real_servers, answer_the_query_for_a_user) {
    const auto ask = [](const std::string& user) {
        std::string sql(default_credential_query);
        sql.replace(sql.find("$1"), 2, "'" + user + "'");
        std::vector<credential_row> rows;
        for (const auto& row :
             server_->exec("SET TimeZone = 'UTC'; SET DateStyle = 'ISO'; SET search_path = pg_catalog, "
                           "pg_temp; " +
                           sql)) {
            rows.emplace_back();
            // The test's own exec() gives null as "".
            for (const auto& column : row) rows.back().push_back(column.empty() ? std::nullopt : std::optional(column));
        }
        return read_credential(rows, user).value();
    };
    const auto now = parse_timestamp("2026-11-20 12:00:00+00").value();
    EXPECT_EQ(ask("nobody"), std::nullopt);
    auto of = ask("ann");
    EXPECT_EQ(judge(&*of, now), verdict::usable);
    EXPECT_EQ(of->verifier, verifier_of("ann"));
    of = ask("expired");
    EXPECT_EQ(judge(&*of, now), verdict::expired);
    of = ask("crossfade");
    EXPECT_EQ(judge(&*of, now), verdict::no_password);
    of = ask("hashed");
    EXPECT_EQ(judge(&*of, now), verdict::no_scram);
}

}  // namespace
}  // namespace crossfade::auth
