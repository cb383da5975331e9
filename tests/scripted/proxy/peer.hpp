#pragma once

#include <cstdint>
#include <limits>
#include <string>
#include <string_view>

namespace crossfade::proxy::test {

// One end of a loopback connection in the hands of a test: blocking, each wait bounded by some seconds.
class peer {
  public:
    explicit peer(int connected);
    static peer connect(std::uint16_t port);
    static peer connect(const std::string& directory, std::uint16_t port);  // by its Unix socket
    ~peer();
    peer(peer&& other) noexcept;
    peer& operator=(peer&& other) noexcept;

    // `pieces`: bytes to a packet; 0: all in one.
    void send(std::string_view bytes, std::size_t pieces = 0);
    // Reads exactly these bytes; a test failure that shows both when others come, or none.
    void expect(std::string_view bytes);
    std::string read(std::size_t count);
    // What is left until the other side closes.
    std::string read_to_end();
    void expect_closed();
    void half_close();
    void reset();  // closes with a TCP reset
    bool open() const { return fd_ >= 0; }

    // As much as there is room for right now.
    std::size_t send_what_fits(std::string_view chunk);
    // Reads and forgets so many bytes, or until the other side closes or says nothing for some seconds; how many.
    std::size_t skip(std::size_t bytes);
    std::size_t drain() { return skip(std::numeric_limits<std::size_t>::max()); }
    // Sends as long as the other side takes bytes; how many it took before it let us wait.
    std::size_t send_until_blocked(std::string_view chunk);

  private:
    int fd_ = -1;
};

// A listening socket on a free port of the loopback address.
struct listening {
    int socket;
    std::uint16_t port;
};
listening listen_on_loopback();

// A server's listening socket on a free port, or in a directory.
class fake_database {
  public:
    fake_database();
    explicit fake_database(const std::string& directory);
    ~fake_database();

    std::uint16_t port() const { return port_; }
    peer accept();  // waits some seconds
    bool nobody_waits() const;

  private:
    int fd_ = -1;
    std::uint16_t port_ = 0;
};

}  // namespace crossfade::proxy::test
