#pragma once

#include <ostream>
#include <string>
#include <vector>

#include "tests/scripted/proxy/proxy_between.hpp"

namespace crossfade::proxy::test {

// What one side sends, and the other must then have.
struct step {
    enum class side { client, server } sender;
    std::string bytes;
};
inline step client(std::string bytes) {
    return {step::side::client, std::move(bytes)};
}
inline step server(std::string bytes) {
    return {step::side::server, std::move(bytes)};
}
using script = std::vector<step>;

// The other session of a proxy with a single event loop. Its round trip says that what was sent before has been read.
class pacemaker {
  public:
    explicit pacemaker(proxy_between& proxy) : pair_(proxy.session(1, "beat")) {}
    void beat();

  private:
    proxy_between::pair pair_;
};

// All of a step at once; with `pieces`, as many bytes to a packet.
void play(proxy_between::pair& on, const script& steps, std::size_t pieces = 0);
// First all that the client sends, then all that the server sends, each in one go: a client that waits for nothing.
void play_coalesced(proxy_between::pair& on, const script& steps);
// The script again for each place at which a step can be cut in two packets; how often it was played. In long steps
// only the places near a message's header count.
unsigned play_cut_everywhere(proxy_between::pair& on, const script& steps, pacemaker& pace);

}  // namespace crossfade::proxy::test
