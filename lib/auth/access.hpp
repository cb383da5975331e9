#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "lib/auth/address.hpp"

// Who may come in, and how he shows who he is; after pg_hba.conf.
namespace crossfade::auth {

enum class access_method {
    relay,  // the database authenticates
    scram,  // SCRAM-SHA-256, by us
    cert,   // the client certificate's common name is the user's
    reject
};
std::string_view to_string(access_method method);

enum class tls_demand { any, required, forbidden };
std::string_view to_string(tls_demand demand);

// Where connections come from.
struct origins {
    bool all = true;
    bool local = false;  // Unix sockets; with `all` too
    std::vector<address_range> ranges;

    friend bool operator==(const origins&, const origins&) = default;
};
// Exact names, in the catalog's case.
struct names {
    bool all = true;
    std::vector<std::string> exact;

    friend bool operator==(const names&, const names&) = default;
};

struct access_rule {
    origins from;
    names users;
    names databases;
    tls_demand tls = tls_demand::any;
    access_method method = access_method::relay;

    friend bool operator==(const access_rule&, const access_rule&) = default;
};
using access_rules = std::vector<access_rule>;

// PostgreSQL takes the first 63 bytes of a user's or database's name (up to version 16), so the rules look at no more:
// otherwise a longer name would pass by the rule that refuses it and be cut to it behind.
inline constexpr std::size_t longest_name = 63;

struct connection_facts {
    std::optional<ip_address> address;  // none: a Unix socket
    bool tls = false;
    std::optional<std::string> certificate_name;  // the common name, of a certificate that was verified
    std::string user;
    std::string database;
    std::string known_as{};  // another name of it that rules may mean it by; empty: none
};

struct access_allowed {
    access_method method = access_method::relay;  // never reject
};
struct access_refused {
    std::string reason;   // for the log, with the rule's number, counted from 1; no names that the client gave
    std::string message;  // for the client, FATAL 28000 (pgwire::sqlstate::invalid_authorization_specification)
};

// The first rule that fits decides; where none does, or there is none, the connection is refused. Pure.
std::variant<access_allowed, access_refused> decide(const access_rules& rules, const connection_facts& of);

}  // namespace crossfade::auth
