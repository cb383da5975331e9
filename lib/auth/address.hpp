#pragma once

#include <array>
#include <optional>
#include <string>
#include <string_view>

namespace crossfade::auth {

// An IP address. IPv4's are kept as IPv6's with the prefix ::ffff:0:0/96, so that a client that came over a socket for
// both is the same as one that came over IPv4.
class ip_address {
  public:
    using v4_bytes = std::array<unsigned char, 4>;
    using v6_bytes = std::array<unsigned char, 16>;  // network order, as Asio's to_bytes() gives them

    ip_address() = default;  // ::
    explicit ip_address(v4_bytes of);
    explicit ip_address(v6_bytes of) : bytes_(of) {}

    const v6_bytes& bytes() const { return bytes_; }
    bool is_v4() const;

    friend bool operator==(const ip_address&, const ip_address&) = default;

  private:
    v6_bytes bytes_{};
};

// "10.1.2.3", "fe80::1", without zone or brackets.
std::optional<ip_address> parse_ip_address(std::string_view text);
std::string to_string(const ip_address& of);

// All addresses that begin with the same bits. One of IPv4 holds none of IPv6, and the other way round.
struct address_range {
    ip_address first;
    unsigned prefix = 128;  // bits, of IPv6's 128

    bool holds(const ip_address& one) const;

    friend bool operator==(const address_range&, const address_range&) = default;
};

// "10.0.0.0/8", "fd00::/8", or one address. Nothing when there are bits behind the prefix: 10.0.0.1/8 is a slip.
std::optional<address_range> parse_address_range(std::string_view text);
std::string to_string(const address_range& of);

// The addresses that one party has at will: its own, or with IPv6 its whole /64.
address_range party_of(const ip_address& one);

}  // namespace crossfade::auth
