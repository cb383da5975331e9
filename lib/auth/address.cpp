#include "lib/auth/address.hpp"

#include <arpa/inet.h>

#include <algorithm>
#include <charconv>

namespace crossfade::auth {
namespace {

constexpr unsigned v4_prefix = 96;  // of ::ffff:0:0/96
constexpr unsigned all_bits = 128;

ip_address masked(const ip_address& one, unsigned prefix) {
    auto bytes = one.bytes();
    for (unsigned at = 0; at < bytes.size(); ++at) {
        const unsigned kept = std::clamp(prefix, at * 8, at * 8 + 8) - at * 8;
        bytes[at] = static_cast<unsigned char>(bytes[at] & 0xFF00U >> kept);
    }
    return ip_address(bytes);
}

}  // namespace

ip_address::ip_address(v4_bytes of) {
    bytes_[10] = bytes_[11] = 0xFF;
    std::copy(of.begin(), of.end(), bytes_.begin() + 12);
}

bool ip_address::is_v4() const {
    return std::all_of(bytes_.begin(), bytes_.begin() + 10, [](unsigned char each) { return each == 0; }) &&
           bytes_[10] == 0xFF && bytes_[11] == 0xFF;
}

std::optional<ip_address> parse_ip_address(std::string_view text) {
    const std::string ended(text);
    if (ended.find('\0') != std::string::npos) return std::nullopt;
    ip_address::v4_bytes four{};
    if (::inet_pton(AF_INET, ended.c_str(), four.data()) == 1) return ip_address(four);
    ip_address::v6_bytes six{};
    if (::inet_pton(AF_INET6, ended.c_str(), six.data()) == 1) return ip_address(six);
    return std::nullopt;
}

std::string to_string(const ip_address& of) {
    std::array<char, INET6_ADDRSTRLEN> text{};
    const bool four = of.is_v4();
    ::inet_ntop(four ? AF_INET : AF_INET6, of.bytes().data() + (four ? 12 : 0), text.data(), text.size());
    return text.data();
}

bool address_range::holds(const ip_address& one) const {
    return first.is_v4() == one.is_v4() && masked(one, prefix) == first;
}

std::optional<address_range> parse_address_range(std::string_view text) {
    const auto slash = text.find('/');
    const auto address = parse_ip_address(text.substr(0, slash));
    if (!address) return std::nullopt;
    if (slash == std::string_view::npos) return address_range{*address, all_bits};

    // Written as IPv4 the prefix counts IPv4's bits; ::ffff:10.0.0.0/104 is another way to say 10.0.0.0/8.
    const bool as_v4 = text.find(':') == std::string_view::npos;
    const auto length = text.substr(slash + 1);
    unsigned prefix = 0;
    const auto* end = length.data() + length.size();
    const auto [stopped, failed] = std::from_chars(length.data(), end, prefix);
    if (failed != std::errc{} || stopped != end || prefix > (as_v4 ? all_bits - v4_prefix : all_bits))
        return std::nullopt;
    const address_range read{*address, as_v4 ? prefix + v4_prefix : prefix};
    if (masked(read.first, read.prefix) != read.first) return std::nullopt;
    return read;
}

std::string to_string(const address_range& of) {
    if (of.prefix == all_bits) return to_string(of.first);
    return to_string(of.first) + '/' + std::to_string(of.first.is_v4() ? of.prefix - v4_prefix : of.prefix);
}

address_range party_of(const ip_address& one) {
    if (one.is_v4()) return {one, all_bits};
    return {masked(one, 64), 64};
}

}  // namespace crossfade::auth
