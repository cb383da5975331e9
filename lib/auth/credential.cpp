#include "lib/auth/credential.hpp"

#include <boost/throw_exception.hpp>
#include <stdexcept>

namespace crossfade::auth {

std::string_view to_string(verdict of) {
    switch (of) {
        case verdict::usable:
            return "usable";
        case verdict::unknown_user:
            return "no such user";
        case verdict::no_password:
            return "no password is set";
        case verdict::expired:
            return "the password has expired";
        case verdict::no_scram:
            return "the password is stored as md5, which SCRAM can't use";
    }
    return "";
}

verdict judge(const credential* found, wall_time now) {
    if (found == nullptr) return verdict::unknown_user;
    if (!found->secret) return verdict::no_password;
    if (found->valid_until && *found->valid_until < now) return verdict::expired;
    return found->verifier ? verdict::usable : verdict::no_scram;
}

scram_subject subject_for(const credential* found, std::string_view user, wall_time now, const scram_mock& mock) {
    if (judge(found, now) == verdict::usable) return {*found->verifier, true};
    // One that has expired keeps its salt: it is no stranger from one second to the next.
    if (found != nullptr && found->verifier) return {*found->verifier, false};
    return {mock.verifier_for(user), false};
}

std::string_view to_string(credential_fault fault) {
    switch (fault) {
        case credential_fault::several_rows:
            return "more than one row";
        case credential_fault::wrong_columns:
            return "other columns than three: name, password, VALID UNTIL";
        case credential_fault::another_user:
            return "another user than the one asked for";
        case credential_fault::unknown_secret:
            return "a password that is neither a SCRAM-SHA-256 verifier nor an md5 hash";
        case credential_fault::unreadable_time:
            return "a VALID UNTIL that is no timestamp in ISO form";
    }
    return "";
}

void throw_exception_from_error(credential_fault fault, const boost::source_location& where) {
    boost::throw_exception(std::runtime_error(std::string{to_string(fault)}), where);
}

boost::system::result<std::optional<credential>, credential_fault> read_credential(std::span<const credential_row> rows,
                                                                                   std::string_view user) {
    using answer = std::optional<credential>;
    if (rows.empty()) return answer{};
    if (rows.size() > 1) return credential_fault::several_rows;
    const auto& row = rows.front();
    if (row.size() != 3) return credential_fault::wrong_columns;
    const auto& [name, secret, until] = std::tie(row[0], row[1], row[2]);
    if (name != user) return credential_fault::another_user;

    credential read;
    if (secret) {
        read.secret = parse_stored_secret(*secret);
        if (!read.secret || std::holds_alternative<clear_password>(*read.secret))
            return credential_fault::unknown_secret;
        if (const auto* verifier = std::get_if<scram_verifier>(&*read.secret)) read.verifier = *verifier;
    }
    if (until) {
        read.valid_until = parse_timestamp(*until);
        if (!read.valid_until) return credential_fault::unreadable_time;
    }
    return answer{std::move(read)};
}

}  // namespace crossfade::auth
