#include "lib/settings/dsn.hpp"

#include <libpq-fe.h>
#include <strings.h>

#include <memory>
#include <optional>

#include "lib/settings/values.hpp"

namespace crossfade::settings {
namespace {

struct free_options {
    void operator()(PQconninfoOption* of) const { PQconninfoFree(of); }
};

class options {
  public:
    explicit options(const std::string& dsn) {
        // libpq's message repeats parts of the string, passwords among them: freed unread.
        char* dropped = nullptr;
        parsed_.reset(PQconninfoParse(dsn.c_str(), &dropped));
        PQfreemem(dropped);
    }
    bool readable() const { return parsed_ != nullptr; }

    // What the string itself says; libpq's defaults and environment are left out.
    std::string operator[](std::string_view name) const {
        for (const auto* each = parsed_.get(); each->keyword != nullptr; ++each)
            if (name == each->keyword && each->val != nullptr) return each->val;
        return {};
    }

  private:
    std::unique_ptr<PQconninfoOption, free_options> parsed_;
};

// What the relay can't give: it doesn't speak GSS, and a client's channel binding ends at the proxy.
bool asks_too_much(const options& of) {
    return of["gssencmode"] == "require" || of["channel_binding"] == "require";
}

// What libpq heeds for Crossfade's own connections, and the relay would silently do without.
std::optional<objection> unheeded(const options& of) {
    for (const std::string each : {"ssl_max_protocol_version", "requirepeer", "require_auth", "sslcertmode"})
        if (!of[each].empty()) return objection::because("no " + each + ": the relay of sessions doesn't heed it");
    return std::nullopt;
}

std::optional<std::string> oldest_version(const std::string& named) {
    const auto is = [&](const char* name) { return ::strcasecmp(named.c_str(), name) == 0; };
    if (is("TLSv1.3")) return "1.3";
    // The relay speaks nothing older whatever is allowed.
    if (named.empty() || is("TLSv1") || is("TLSv1.1") || is("TLSv1.2")) return "1.2";
    return std::nullopt;
}

or_objection<server_tls> read_tls(const options& given) {
    server_tls read;
    const auto mode = given["sslmode"];
    if (mode.empty() || mode == "prefer") {
        read.mode = tls_mode::prefer;
    } else if (mode == "require") {
        read.mode = tls_mode::require;
    } else if (mode == "verify-ca") {
        read.mode = tls_mode::verify_ca;
    } else if (mode == "verify-full") {
        read.mode = tls_mode::verify_full;
    } else if (mode != "disable" && mode != "allow") {
        return objection::because("sslmode=disable, allow, prefer, require, verify-ca or verify-full");
    }
    read.ca_file = given["sslrootcert"];
    read.cert_file = given["sslcert"];
    read.key_file = given["sslkey"];
    read.sni = given["sslsni"] != "0";
    read.crl_file = given["sslcrl"];
    read.crl_dir = given["sslcrldir"];
    const auto oldest = oldest_version(given["ssl_min_protocol_version"]);
    if (!oldest) return objection::because("ssl_min_protocol_version=TLSv1, TLSv1.1, TLSv1.2 or TLSv1.3");
    read.min_version = *oldest;
    if (read.mode >= tls_mode::verify_ca && read.ca_file.empty())
        return objection::because(
            "sslrootcert beside sslmode=verify-ca or verify-full: a file with the authorities to believe");
    if ((!read.crl_file.empty() || !read.crl_dir.empty()) && !read.verifies_authority())
        return objection::because(
            "sslrootcert and sslmode=require, verify-ca or verify-full beside sslcrl or sslcrldir: otherwise no "
            "certificate is looked at");
    if (read.cert_file.empty() != read.key_file.empty())
        return objection::because("both sslcert and sslkey, or neither");
    return read;
}

}  // namespace

or_objection<database> read_dsn(const std::string& dsn) {
    if (dsn.find('\0') != std::string::npos) return objection::because("text without a zero byte");
    const options given(dsn);
    if (!given.readable())
        return objection::because(
            "a libpq connection string: postgresql://user@host:5432/dbname (characters such as @ : / % in a password "
            "written as %40 and so on), or host=… port=… dbname=… user=…");

    if (!given["service"].empty())
        return objection::because("host, port and dbname in the dsn itself instead of service=");
    const auto host = given["host"];
    const auto address = given["hostaddr"];
    const auto port = given["port"];
    if (host.empty() && address.empty())
        return objection::because("a dsn that names the host: postgresql://user@host:5432/dbname");
    if ((host + address + port).find(',') != std::string::npos)
        return objection::because(
            "one host: sessions are relayed to a single server (put a load balancer or a virtual IP in front of "
            "several)");
    if (host.starts_with('@'))
        return objection::because("a host name, an address, or a directory with a Unix socket that begins with /");
    if (asks_too_much(given))
        return objection::because(
            "no gssencmode=require and no channel_binding=require: sessions are relayed, and neither goes through a "
            "relay (sslmode=verify-full protects the way to the database)");
    if (auto one = unheeded(given)) return *one;
    auto tls = read_tls(given);
    if (!tls) return tls.error();
    if (host.starts_with('/') && address.empty()) tls->mode = tls_mode::disable;  // as libpq does
    if (given["dbname"].empty())
        return objection::because("a dsn that names the database: postgresql://user@host:5432/dbname");

    const auto number = port.empty() ? std::optional<std::uint64_t>(5432) : read_integer(port);
    if (!number || *number == 0 || *number > 65535) return objection::because("a port from 1 to 65535");
    return database{dsn,
                    {address.empty() ? host : address, static_cast<std::uint16_t>(*number)},
                    given["dbname"],
                    std::move(*tls),
                    host.empty() ? address : host};
}

}  // namespace crossfade::settings
