#include "tests/chaos/network.hpp"

#include "tests/support/ports.hpp"

namespace crossfade::chaos {

namespace {

using support::toxic;

std::vector<toxic> both_ways(const std::string& type, const std::string& attributes = "{}") {
    return {{type, support::direction::upstream, attributes}, {type, support::direction::downstream, attributes}};
}

std::vector<toxic> operator+(std::vector<toxic> some, const std::vector<toxic>& more) {
    some.insert(some.end(), more.begin(), more.end());
    return some;
}

}  // namespace

std::string_view to_string(link which) {
    switch (which) {
        case link::clients:
            return "clients";
        case link::replication:
            return "replication";
        case link::publish:
            return "publish";
        case link::consume:
            return "consume";
        case link::apply:
            return "apply";
        case link::mirror:
            return "mirror";
    }
    return "";
}

const std::vector<network_fault>& all_network_faults() {
    // Milliseconds, bytes, and of the bandwidth kilobytes a second.
    static const std::vector<network_fault> all{
        {"latency", both_ways("latency", R"({"latency": 30, "jitter": 20})")},
        {"bandwidth", both_ways("bandwidth", R"({"rate": 200})")},
        {"slicer", both_ways("slicer", R"({"average_size": 80, "size_variation": 60, "delay": 20})")},
        {"limit_data", both_ways("limit_data", R"({"bytes": 30000})"), false, true},
        {"slow_close", both_ways("limit_data", R"({"bytes": 30000})") + both_ways("slow_close", R"({"delay": 1000})"),
         false, true},
        {"reset_peer", both_ways("reset_peer"), true, true},
        {"cut", {}, true, true},
        // Connections stay, are acknowledged by TCP, and nothing arrives: as behind a middlebox whose other side is
        // gone.
        {"half-open", both_ways("timeout"), true},
        {"half-open upstream", {{"timeout", support::direction::upstream}}, true},
        {"half-open downstream", {{"timeout", support::direction::downstream}}, true},
    };
    return all;
}

network::network(std::uint16_t legacy, std::uint16_t modern) {
    for (auto& port : ports_) port = support::free_port();
    listeners_ = {{"PUBLISH", support::free_port(), port(link::publish)},
                  {"CONSUME", support::free_port(), port(link::consume)}};
    const std::array<std::uint16_t, all_links.size()> servers{legacy, legacy, listeners_[0].port, listeners_[1].port,
                                                              modern, modern};
    for (const auto which : all_links)
        proxy_.add_link(std::string{to_string(which)}, port(which), servers[static_cast<std::size_t>(which)]);
}

void network::strike(link where, const network_fault& with) {
    const std::string name{to_string(where)};
    ill_.emplace_back(where, !with.ends_connections && !with.lets_nothing_through);
    if (with.toxics.empty()) proxy_.cut(name);
    for (const auto& each : with.toxics) proxy_.add(name, each);
}

void network::heal() {
    for (const auto& [where, goes_on] : std::exchange(ill_, {})) {
        const std::string name{to_string(where)};
        goes_on ? proxy_.heal(name) : proxy_.renew(name);
    }
}

}  // namespace crossfade::chaos
