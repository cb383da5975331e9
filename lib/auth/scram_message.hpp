#pragma once

#include <boost/system/result.hpp>
#include <optional>
#include <string>
#include <string_view>

#include "lib/auth/crypto.hpp"

// The four messages of RFC 5802, section 7. Parsers never throw, take what PostgreSQL and libpq take, and hold views
// into what they were given.
namespace crossfade::auth {

inline constexpr std::string_view scram_sha_256 = "SCRAM-SHA-256";
inline constexpr std::string_view scram_sha_256_plus = "SCRAM-SHA-256-PLUS";

// PostgreSQL's PG_MAX_SASL_MESSAGE_LENGTH; here for both directions.
inline constexpr std::size_t max_scram_message = 1024;

enum class scram_fault {
    too_long,
    malformed,
    out_of_order,
    authorization_identity,   // one was asked for; there is none but the user's
    mandatory_extension,      // "m=": unknown to all
    channel_binding_unknown,  // a type other than tls-server-end-point
    channel_binding_absent,   // asked for where it isn't offered, or not used though chosen
    channel_binding_refused,  // "y": the client believes that it wasn't offered, but it was
    channel_binding_wrong,    // bound to another channel, or c= contradicts the first message
    wrong_nonce,
    wrong_proof,
    too_many_iterations,
    wrong_signature,  // the server doesn't know the verifier
    server_error      // "e=" in place of a signature
};
// For a log or an error's detail; holds nothing of what the peer sent.
std::string_view to_string(scram_fault fault);
[[noreturn]] void throw_exception_from_error(scram_fault fault, const boost::source_location& where);
template <class T>
using or_scram_fault = boost::system::result<T, scram_fault>;

struct client_first {
    char binding = 'n';             // gs2-cbind-flag: n: can't; y: could, but not offered; p: does
    std::string_view binding_type;  // after "p="
    std::string_view gs2_header;    // with its last comma
    std::string_view bare;          // what is behind it
    std::string_view nonce;
};
// gs2-header, ["m=" …,] "n=" user name (ignored, as PostgreSQL does: the start-up message's counts), "r=" nonce,
// [extensions]
or_scram_fault<client_first> parse_client_first(std::string_view message);

struct server_first {
    std::string_view nonce;
    std::string salt;  // bytes, not empty
    unsigned iterations = 0;
};
// "r=" nonce, "s=" salt in base64, "i=" iterations from 1 to 2^31-1, [extensions]
or_scram_fault<server_first> parse_server_first(std::string_view message);

struct client_final {
    std::string binding;  // decoded: the gs2-header, and the channel's bytes behind it
    std::string_view nonce;
    std::string_view without_proof;
    key proof{};
};
// "c=" base64, "r=" nonce, [extensions,] "p=" proof
or_scram_fault<client_final> parse_client_final(std::string_view message);

// "v=" signature, or "e=" error (fault server_error), [extensions]
or_scram_fault<key> parse_server_final(std::string_view message);

// A fresh nonce: 18 random bytes in base64, as libpq's.
std::string make_scram_nonce();

// RFC 5802's AuthMessage.
std::string scram_auth_message(std::string_view client_first_bare, std::string_view server_first,
                               std::string_view client_final_without_proof);

}  // namespace crossfade::auth
