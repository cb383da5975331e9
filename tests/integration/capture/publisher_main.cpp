// A stream_publisher and nothing else: publisher DSN BROKERS STREAM. Ends on SIGTERM.
#include <pthread.h>

#include <csignal>
#include <iostream>

#include "proxy/capture/stream_publisher.hpp"

int main(int argc, char** argv) {
    if (argc != 4) {
        std::cerr << "usage: publisher DSN BROKERS STREAM\n";
        return 2;
    }
    // Blocked before any thread is started, so that it is sigwait's alone.
    sigset_t ending;
    sigemptyset(&ending);
    sigaddset(&ending, SIGTERM);
    pthread_sigmask(SIG_BLOCK, &ending, nullptr);

    auto settings = std::make_shared<crossfade::settings::in_force>();
    settings->config.legacy.dsn = argv[1];
    settings->config.kafka.brokers = argv[2];
    settings->config.stream.name = argv[3];
    prometheus::Registry metrics;
    crossfade::proxy::capture::stream_publisher publisher{settings, metrics};
    publisher.start();
    int received = 0;
    sigwait(&ending, &received);
    publisher.stop();
    return 0;
}
