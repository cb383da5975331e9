#include "tests/scripted/proxy/script.hpp"

#include "tests/scripted/proxy/messages.hpp"

namespace crossfade::proxy::test {
namespace {

constexpr std::size_t long_step = 1000;

struct ends {
    peer& from;
    peer& to;
};
ends of(proxy_between::pair& both, const step& one) {
    if (one.sender == step::side::client) return {both.client, both.server};
    return {both.server, both.client};
}

std::vector<std::size_t> cuts(std::string_view bytes) {
    std::vector<std::size_t> places;
    if (bytes.size() <= long_step) {
        for (std::size_t at = 1; at < bytes.size(); ++at) places.push_back(at);
        return places;
    }
    for (std::size_t at = 0; at < bytes.size();) {
        for (std::size_t in = at == 0 ? 1 : 0; in <= 6 && at + in < bytes.size(); ++in) places.push_back(at + in);
        pgwire::byte_reader header{bytes.substr(at + 1)};
        at += header.u32() + 1;
    }
    return places;
}

}  // namespace

void pacemaker::beat() {
    pair_.client.send(pgwire::build_flush());
    pair_.server.expect(pgwire::build_flush());
    pair_.server.send(notice());
    pair_.client.expect(notice());
}

void play(proxy_between::pair& on, const script& steps, std::size_t pieces) {
    for (const auto& one : steps) {
        const auto [from, to] = of(on, one);
        from.send(one.bytes, one.bytes.size() > long_step ? 0 : pieces);
        to.expect(one.bytes);
    }
}

void play_coalesced(proxy_between::pair& on, const script& steps) {
    step asked = client({});
    step answered = server({});
    for (const auto& one : steps) (one.sender == step::side::client ? asked : answered).bytes += one.bytes;
    play(on, {asked, answered});
}

unsigned play_cut_everywhere(proxy_between::pair& on, const script& steps, pacemaker& pace) {
    unsigned played = 0;
    for (std::size_t cut = 0; cut < steps.size(); ++cut) {
        for (const auto place : cuts(steps[cut].bytes)) {
            SCOPED_TRACE("step " + std::to_string(cut) + " cut at byte " + std::to_string(place));
            play(on, {steps.begin(), steps.begin() + static_cast<std::ptrdiff_t>(cut)});
            const auto [from, to] = of(on, steps[cut]);
            const std::string_view bytes = steps[cut].bytes;
            from.send(bytes.substr(0, place));
            pace.beat();
            from.send(bytes.substr(place));
            to.expect(bytes);
            play(on, {steps.begin() + static_cast<std::ptrdiff_t>(cut) + 1, steps.end()});
            ++played;
            if (testing::Test::HasFailure()) return played;
        }
    }
    return played;
}

}  // namespace crossfade::proxy::test
