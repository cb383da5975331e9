#pragma once

#include <gtest/gtest.h>
#include <prometheus/registry.h>

#include <boost/asio/io_context.hpp>
#include <boost/asio/post.hpp>
#include <functional>
#include <future>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "lib/pgwire/bytes.hpp"
#include "lib/pgwire/diagnostics.hpp"
#include "lib/pgwire/session_status.hpp"
#include "lib/pgwire/startup.hpp"
#include "lib/settings/reload.hpp"
#include "lib/telemetry/metrics.hpp"
#include "proxy/frontend/front.hpp"
#include "tests/scripted/proxy/peer.hpp"
#include "tests/support/eventually.hpp"
#include "tests/support/http.hpp"
#include "tests/support/ports.hpp"

namespace crossfade::proxy::test {

// The front of the proxy, run here, between fake databases and fake clients.
class proxy_between {
  public:
    using change = std::function<void(settings::configuration&)>;

    // `passed`: sockets that listen already, instead of the one that client() connects to.
    explicit proxy_between(
        const change& changed = [](auto&) {}, const std::vector<int>& passed = {}) {
        settings::configuration config;
        config.legacy = {"", {"127.0.0.1", legacy.port()}, "app"};
        config.modern = {"", {"127.0.0.1", modern.port()}, "app_modern"};
        config.proxy.listen = {"127.0.0.1", support::free_port()};
        config.proxy.threads = 2;
        changed(config);
        port_ = config.proxy.listen.port;
        in_force_ = std::make_shared<settings::in_force>(settings::in_force{config, 1});
        front_ = std::make_unique<frontend::front>(
            home_, [this] { return std::atomic_load(&in_force_); }, registry_, passed);
        front_->start();
        thread_ = std::thread{[this] {
            const auto work = boost::asio::make_work_guard(home_);
            home_.run();
        }};
    }

    ~proxy_between() {
        home_.stop();
        thread_.join();
    }

    peer client() const { return peer::connect(port_); }

    struct pair {
        peer client;
        peer server;
    };
    // A session whose start-up is over.
    pair session(std::uint32_t pid = 42, const std::string& key = "key!") {
        pair both{client(), peer{-1}};
        const auto opening = pgwire::build(pgwire::startup_message{{}, {{"user", "ann"}, {"database", "app"}}});
        both.client.send(opening);
        both.server = legacy.accept();
        both.server.expect(opening);
        const auto welcome = pgwire::build_authentication(pgwire::authentication::ok) +
                             pgwire::build_backend_key_data({pid, key}) +
                             pgwire::build_ready_for_query(pgwire::transaction_status::idle);
        both.server.send(welcome);
        both.client.expect(welcome);
        return both;
    }

    void drain() {
        boost::asio::post(home_, [this] { front_->drain([this] { drained_.set_value(); }); });
    }
    bool drained_within(std::chrono::milliseconds time) {
        return drained_.get_future().wait_for(time) == std::future_status::ready;
    }
    void cut() {
        boost::asio::post(home_, [this] { front_->cut(); });
    }
    void reload(const change& changed) {
        auto next = *std::atomic_load(&in_force_);
        changed(next.config);
        ++next.epoch;
        std::atomic_store(&in_force_, settings::snapshot{std::make_shared<settings::in_force>(std::move(next))});
        front_->reloaded();
    }
    // From here on there are consoles.
    void open_desk(console::provider& desk) { front_->open_desk(desk); }
    unsigned sessions() const { return front_->sessions(); }
    double metric(const std::string& sample) {
        front_->update_metrics();
        return support::sample_value(telemetry::exposition(registry_), sample);
    }

    fake_database legacy;
    fake_database modern;

  private:
    boost::asio::io_context home_;
    prometheus::Registry registry_;
    settings::snapshot in_force_;
    std::uint16_t port_ = 0;
    std::promise<void> drained_;
    std::unique_ptr<frontend::front> front_;
    std::thread thread_;
};

// The ErrorResponse with which a connection ends, as "SQLSTATE message"; what else came when it isn't one.
inline std::string farewell(peer& from) {
    const auto bytes = from.read_to_end();
    if (bytes.size() < 6 || bytes[0] != 'E') return "no error: " + bytes;
    const auto parsed = pgwire::parse_diagnostics(std::string_view{bytes}.substr(5));
    if (!parsed || parsed->severity() != "FATAL") return "not fatal: " + bytes;
    return std::string{parsed->sqlstate()} + ' ' + std::string{parsed->message()};
}

}  // namespace crossfade::proxy::test
