// Kafka in memory for the demo and for a first look: librdkafka's mock cluster in a process of its own. Prints the
// bootstrap address on stdout and runs until SIGTERM or SIGINT, or until a pipe on stdin closes.
#include <poll.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/stat.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <array>
#include <charconv>
#include <iostream>
#include <string>
#include <vector>

#include "tests/support/kafka.hpp"

namespace {

struct wanted_topic {
    std::string name;
    int partitions = 1;
};

wanted_topic parse_topic(const std::string& text) {
    wanted_topic wanted{text.substr(0, text.find(':')), 1};
    if (wanted.name.size() == text.size()) return wanted;
    const char* first = text.data() + wanted.name.size() + 1;
    const char* last = text.data() + text.size();
    const auto [end, error] = std::from_chars(first, last, wanted.partitions);
    if (wanted.name.empty() || error != std::errc{} || end != last || wanted.partitions < 1)
        throw CLI::ValidationError("--topic", "expected name:partitions, found " + text);
    return wanted;
}

// stdin counts only as a pipe that somebody holds: with /dev/null or a terminal there is nobody whose end it tells.
bool stdin_is_held() {
    struct stat about {};
    return ::fstat(STDIN_FILENO, &about) == 0 && (S_ISFIFO(about.st_mode) || S_ISSOCK(about.st_mode));
}

void wait_for_the_end(int signals) {
    std::array<pollfd, 2> watched{pollfd{signals, POLLIN, 0}, pollfd{STDIN_FILENO, POLLIN, 0}};
    const nfds_t count = stdin_is_held() ? 2 : 1;
    while (::poll(watched.data(), count, -1) >= 0 || errno == EINTR) {
        if (watched[0].revents != 0) return;
        std::array<char, 256> ignored{};
        if (watched[1].revents != 0 && ::read(STDIN_FILENO, ignored.data(), ignored.size()) <= 0) return;
    }
}

}  // namespace

int main(int argc, char** argv) {
    CLI::App app{"Kafka in memory, for demonstrations: keeps the last 5 MB of each partition"};
    std::vector<std::string> topics;
    app.add_option("--topic", topics, "name:partitions; may be repeated");
    CLI11_PARSE(app, argc, argv);

    // Blocked before librdkafka starts its threads, so that they inherit it.
    sigset_t ends;
    sigemptyset(&ends);
    sigaddset(&ends, SIGTERM);
    sigaddset(&ends, SIGINT);
    ::sigprocmask(SIG_BLOCK, &ends, nullptr);
    const int signals = ::signalfd(-1, &ends, SFD_CLOEXEC);

    try {
        crossfade::support::mock_kafka cluster;
        for (const auto& text : topics) {
            const auto wanted = parse_topic(text);
            cluster.create_topic(wanted.name, wanted.partitions);
        }
        std::cout << cluster.brokers() << std::endl;
        wait_for_the_end(signals);
    } catch (const std::exception& error) {
        std::cerr << "crossfade-mock-kafka: " << error.what() << '\n';
        return 1;
    }
    return 0;
}
