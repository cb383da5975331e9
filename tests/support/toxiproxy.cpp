#include "tests/support/toxiproxy.hpp"

#include <unistd.h>

#include <stdexcept>
#include <utility>

#include "tests/support/eventually.hpp"
#include "tests/support/http.hpp"
#include "tests/support/ports.hpp"
#include "tests/support/programs.hpp"

namespace crossfade::support {

namespace {

std::filesystem::path server_path() {
    return source_root() / "build/toxiproxy/toxiproxy-server";
}

}  // namespace

bool toxiproxy::available() {
    return ::access(server_path().c_str(), X_OK) == 0;
}

toxiproxy::toxiproxy()
    : port_(free_port()),
      server_({.argv = {server_path().string(), "-host", "127.0.0.1", "-port", std::to_string(port_)},
               .environment = {{"LOG_LEVEL", "error"}},
               .log = dir_.path() / "log"}) {
    const bool up = eventually(std::chrono::seconds{20},
                               [&] { return !server_.running() || http_get(port_, "/version").status == 200; });
    if (!up || !server_.running())
        throw std::runtime_error("toxiproxy does not start\n" + read_file(dir_.path() / "log"));
}

void toxiproxy::ask(const std::string& method, const std::string& path, const std::string& body) const {
    const auto reply = http_request(port_, method, path, body);
    if (reply.status < 200 || reply.status > 299)
        throw std::runtime_error("toxiproxy: " + method + ' ' + path + ' ' + body + ": " +
                                 std::to_string(reply.status) + ' ' + reply.body + read_file(dir_.path() / "log"));
}

void toxiproxy::create(const std::string& name) const {
    const auto at = [](std::uint16_t port) { return "\"127.0.0.1:" + std::to_string(port) + '"'; };
    const auto& link = links_.at(name);
    ask("POST", "/proxies",
        R"({"name": ")" + name + R"(", "listen": )" + at(link.listen) + R"(, "upstream": )" + at(link.upstream) +
            R"(, "enabled": true})");
}

void toxiproxy::add_link(const std::string& name, std::uint16_t listen, std::uint16_t upstream) {
    links_[name] = {listen, upstream, {}};
    create(name);
}

void toxiproxy::add(const std::string& link, const toxic& what) {
    const std::string stream = what.of == direction::upstream ? "upstream" : "downstream";
    const std::string name = what.type + '_' + stream;
    ask("POST", "/proxies/" + link + "/toxics",
        R"({"name": ")" + name + R"(", "type": ")" + what.type + R"(", "stream": ")" + stream + R"(", "attributes": )" +
            what.attributes + '}');
    links_.at(link).toxics.push_back(name);
}

void toxiproxy::cut(const std::string& link) {
    ask("POST", "/proxies/" + link, R"({"enabled": false})");
}

void toxiproxy::heal(const std::string& link) {
    for (const auto& toxic : std::exchange(links_.at(link).toxics, {}))
        ask("DELETE", "/proxies/" + link + "/toxics/" + toxic);
}

void toxiproxy::renew(const std::string& link) {
    ask("DELETE", "/proxies/" + link);
    links_.at(link).toxics.clear();
    create(link);
}

}  // namespace crossfade::support
