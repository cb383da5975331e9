#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "lib/auth/crypto.hpp"

namespace crossfade::auth {

// The two keys that a password is worth (RFC 5802, section 3). Who has them can log in to every server that holds the
// verifier they belong to; a client's proof gives away the first, the verifier has the second.
struct scram_keys {
    key client;
    key server;

    friend bool operator==(const scram_keys&, const scram_keys&) = default;
};

// What a server keeps of a password. It doesn't give the password away, but lets its holder pretend to be the server.
struct scram_verifier {
    unsigned iterations = 0;
    std::string salt;  // bytes
    key stored{};      // SHA-256 of the client's key
    key server{};

    friend bool operator==(const scram_verifier&, const scram_verifier&) = default;
};

// PostgreSQL's own defaults (scram-common.h).
inline constexpr unsigned default_scram_iterations = 4096;
inline constexpr std::size_t scram_salt_length = 16;

// As pg_authid.rolpassword has it: SCRAM-SHA-256$<iterations>:<salt>$<StoredKey>:<ServerKey>, all but the iterations in
// base64. Nothing when it is anything else; salts of 1 to 256 bytes, iterations of 1 to 2^31-1.
std::optional<scram_verifier> parse_scram_verifier(std::string_view text);
std::string build(const scram_verifier& of);
// Whether a text is meant for one, though it may be damaged. Never to be taken for a password.
bool looks_like_scram_verifier(std::string_view text);

// `password` is prepared first, as saslprep() says.
scram_keys scram_keys_of(std::string_view password, std::string_view salt, unsigned iterations);
scram_verifier make_scram_verifier(std::string_view password, std::string salt, unsigned iterations);

// Stands in for the users that there are not, so that nobody can tell them from those that there are: each has a salt
// that stays the same for as long as this object lives, and the iterations that the others have. Nobody knows a
// password for what comes out.
class scram_mock {
  public:
    explicit scram_mock(unsigned iterations = default_scram_iterations, std::string secret = random_bytes(32))
        : iterations_(iterations), secret_(std::move(secret)) {}

    std::string salt_for(std::string_view user) const;
    scram_verifier verifier_for(std::string_view user) const;
    unsigned iterations() const { return iterations_; }

  private:
    unsigned iterations_;
    std::string secret_;
};

}  // namespace crossfade::auth
