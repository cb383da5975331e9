#include "tests/chaos/landscape.hpp"

#include <csignal>
#include <fstream>
#include <stdexcept>

#include "tests/support/eventually.hpp"
#include "tests/support/http.hpp"
#include "tests/support/ports.hpp"
#include "tests/support/programs.hpp"

namespace crossfade::chaos {

using namespace std::chrono_literals;

namespace {

void must(const support::finished& done) {
    if (done.exit_code != 0) throw std::runtime_error("preparing failed: " + done.output + done.errors);
}

void pgbench_init(const support::postgres_cluster& at, const std::string& steps, unsigned scale) {
    must(support::run(
        {(at.bin_dir() / "pgbench").string(), "-i", "-q", "-I", steps, "-s", std::to_string(scale), at.dsn()}, 180s));
}

// The postmaster stands still first and goes on last, so that it makes no child that is left out.
void signal_all(const support::postgres_cluster& cluster, int number) {
    pid_t postmaster = 0;
    std::ifstream{cluster.data_dir() / "postmaster.pid"} >> postmaster;
    if (postmaster == 0) return;
    const auto task = "/proc/" + std::to_string(postmaster) + "/task/" + std::to_string(postmaster) + "/children";
    if (number == SIGSTOP) ::kill(postmaster, number);
    std::ifstream children{task};
    for (pid_t child = 0; children >> child;) ::kill(child, number);
    if (number != SIGSTOP) ::kill(postmaster, number);
}

std::string tail(const std::string& text) {
    return text.substr(text.size() - std::min<std::size_t>(text.size(), 6000));
}

}  // namespace

std::string_view to_string(victim which) {
    switch (which) {
        case victim::proxy:
            return "proxy";
        case victim::cdc:
            return "cdc";
        case victim::broker:
            return "broker";
        case victim::legacy:
            return "legacy";
        case victim::modern:
            return "modern";
        case victim::second_cdc:
            return "second cdc";
    }
    return "";
}

landscape::landscape(landscape_options options)
    : options_(std::move(options)),
      legacy(options_.legacy),
      modern(options_.modern),
      network_(options_.over_links ? std::optional<network>{std::in_place, legacy.port(), modern.port()}
                                   : std::nullopt),
      broker({}, network_ ? network_->listeners() : std::vector<support::kafka_listener>{}),
      listen_(support::free_port()),
      publisher_admin_(support::free_port()),
      proxy_admin_(support::free_port()),
      cdc_admin_(support::free_port()),
      second_admin_(support::free_port()),
      proxy("crossfade-proxy", configuration(), proxy_admin_),
      cdc("crossfade-cdc", configuration_of("crossfade-cdc", {}), cdc_admin_) {
    legacy.start();
    modern.start();
    broker.start();
    if (!options_.create_legacy.empty()) {
        legacy.exec("DROP DATABASE app", "postgres");
        legacy.exec(options_.create_legacy, "postgres");
    }
    if (options_.scale != 0) {
        pgbench_init(legacy, "dtgp", options_.scale);
        pgbench_init(modern, "dtp", options_.scale);
    }
    for (const auto* side : {&legacy, &modern}) side->exec(options_.schema);
    legacy.exec(options_.rows);
    for (const auto& row : legacy.exec("SELECT tablename FROM pg_tables WHERE schemaname = 'public' ORDER BY 1"))
        tables_.push_back(row.front());

    must(crossfade({"init", "--replica-identity-full"}));
    must(crossfade({"backfill"}));
    if (network_) {
        publisher_.emplace("crossfade-proxy", configuration_of("publisher", {}), publisher_admin_);
        publisher_->start();
    }
    proxy.start();
    cdc.start();
    if (options_.partitions != 0) {
        second_cdc_.emplace("crossfade-cdc", configuration_of("second", {}), second_admin_);
        second_cdc_->start();
        if (!second_cdc_->wait_ready(60s)) throw std::runtime_error("not ready\n" + logs());
    }
    start_more_proxies();
    if (publisher_ && !publisher_->wait_ready(60s)) throw std::runtime_error("not ready\n" + logs());
    if (!proxy.wait_ready(60s) || !cdc.wait_ready(60s)) throw std::runtime_error("not ready\n" + logs());
}

void landscape::start_more_proxies() {
    const auto own = "listen: \"127.0.0.1:" + std::to_string(listen_) +
                     "\", admin: \"127.0.0.1:" + std::to_string(proxy_admin_) + '"';
    for (unsigned each = 0; each < options_.more_proxies; ++each) {
        more_listen_.push_back(support::free_port());
        const auto admin = support::free_port();
        auto text = configuration();
        text.replace(text.find(own), own.size(),
                     "listen: \"127.0.0.1:" + std::to_string(more_listen_.back()) + "\", admin: \"127.0.0.1:" +
                         std::to_string(admin) + '"' + (options_.more_publishers ? "" : ", capture: false"));
        more_proxies_.push_back(std::make_unique<support::crossfade_program>("crossfade-proxy", text, admin));
        more_proxies_.back()->start();
    }
    for (const auto& each : more_proxies_)
        if (!each->wait_ready(60s)) throw std::runtime_error("not ready\n" + logs());
}

std::string landscape::dsn_of_proxy(unsigned which) const {
    const auto port = which == 0 ? listen_ : more_listen_[which - 1];
    return "postgresql://crossfade@127.0.0.1:" + std::to_string(port) + "/app";
}

support::finished landscape::crossfade(std::vector<std::string> arguments,
                                       std::vector<std::pair<std::string, std::string>> environment) const {
    arguments.insert(arguments.begin(),
                     {support::program_path("crossfade").string(), "--config", proxy.config_path().string()});
    return support::run(std::move(arguments), 180s, std::move(environment));
}

std::string landscape::client_dsn() const {
    return "postgresql://crossfade@127.0.0.1:" + std::to_string(listen_) + "/app";
}

std::string landscape::configuration(const std::string& flags) const {
    return configuration_of("crossfade-proxy", flags);
}

std::string landscape::configuration_of(std::string_view program, const std::string& flags) const {
    const auto at = [](std::uint16_t port) { return "\"127.0.0.1:" + std::to_string(port) + '"'; };
    const bool second_s = program == "second";
    const bool cdc_s = second_s || program == "crossfade-cdc";
    const bool publisher_s = program == "publisher";
    std::string to_legacy = legacy.dsn();
    std::string to_modern = modern.dsn();
    std::string to_kafka = '"' + broker.brokers() + '"';
    std::string front = "listen: " + at(publisher_s ? support::free_port() : listen_) +
                        ", admin: " + at(publisher_s ? publisher_admin_ : proxy_admin_);
    if (network_) {
        const auto over = [&](link which) {
            return "postgresql://crossfade@127.0.0.1:" + std::to_string(network_->port(which)) + "/app";
        };
        to_legacy = over(cdc_s || publisher_s ? link::replication : link::clients);
        to_modern = over(cdc_s ? link::apply : link::mirror);
        if (cdc_s || publisher_s) to_kafka = at(network_->port(cdc_s ? link::consume : link::publish));
        // What bounds silence, as short as a busy machine allows.
        to_kafka += ", properties: { socket.timeout.ms: 4000, request.timeout.ms: 3000 }";
        // A statement that is at work for long isn't silence.
        front += ", query_timeout: 6s, capture: " + std::string{publisher_s ? "true" : "false"};
    }
    return "legacy: { dsn: \"" + to_legacy + "\" }\nmodern: { dsn: \"" + to_modern +
           "\" }\nkafka: { brokers: " + to_kafka + " }\nstream: { name: app, tables: [\"public.*\"]" +
           (network_ ? ", silence_timeout: 2s" : "") + (options_.both_ways ? ", both_ways: true" : "") +
           (options_.partitions != 0 ? ", ordering: key, partitions: " + std::to_string(options_.partitions) : "") +
           " }\nproxy: { " + front + options_.proxy_settings +
           " }\ncdc: { admin: " + at(second_s ? second_admin_ : cdc_admin_) + options_.cdc_settings + " }\n" +
           options_.scopes + "flags:\n" +
           (flags.empty() ? "  dual_write_strategy: " + options_.strategy + "\n" : flags);
}

bool landscape::noticed(link which) const {
    const auto publishes = [&] {
        return support::sample_value(support::http_get(publisher_admin_, "/metrics").body,
                                     "crossfade_publisher_state{state=\"publishing\"") != 0;
    };
    switch (which) {
        case link::clients:
        case link::mirror:
            return false;  // it shows to them
        case link::replication:
            return !publishes();
        case link::publish:
            return !publishes() || support::http_get(publisher_admin_, "/api/v1/status").body.find("not acknowledge") !=
                                       std::string::npos;
        case link::consume:
        case link::apply:
            return support::http_get(cdc_admin_, "/readyz").status != 200;
    }
    return false;
}

void landscape::kill(victim which) {
    switch (which) {
        case victim::proxy:
            return proxy.kill9();
        case victim::cdc:
            return cdc.kill9();
        case victim::broker:
            return broker.kill9();
        case victim::legacy:
            return legacy.kill9();
        case victim::modern:
            return modern.kill9();
        case victim::second_cdc:
            return second_cdc_->kill9();
    }
}

void landscape::revive(victim which) {
    switch (which) {
        case victim::proxy:
            return proxy.start();
        case victim::cdc:
            return cdc.start();
        case victim::broker:
            return broker.start();
        case victim::legacy:
            return legacy.start();
        case victim::modern:
            return modern.start();
        case victim::second_cdc:
            return second_cdc_->start();
    }
}

void landscape::signal(victim which, int number) {
    switch (which) {
        case victim::proxy:
            return proxy.signal(number);
        case victim::cdc:
            return cdc.signal(number);
        case victim::second_cdc:
            return second_cdc_->signal(number);
        case victim::legacy:
            return signal_all(legacy, number);
        case victim::modern:
            return signal_all(modern, number);
        case victim::broker:
            break;
    }
}

std::string landscape::difference() const {
    std::string found;
    for (const auto& table : tables_) {
        // Doesn't depend on the rows' order and counts each copy of a row.
        const auto sql =
            "SELECT count(*) || ' rows, ' || coalesce(sum(('x' || left(md5(t::text), 16))::bit(64)::bigint::"
            "numeric), 0) FROM public.\"" +
            table + "\" t";
        const auto there = legacy.value(sql);
        const auto here = modern.value(sql);
        if (there != here) found += table + ": legacy " + there + ", modern " + here + '\n';
    }
    return found;
}

std::string landscape::settle(std::chrono::milliseconds timeout) const {
    std::string last;
    support::eventually(timeout, [&] {
        try {
            last = difference();
        } catch (const std::exception& error) {
            last = error.what();
        }
        return last.empty();
    });
    return last;
}

std::string landscape::complaints() const {
    std::string found;
    for (const auto& row :
         modern.exec("SELECT table_name, kind, state, count(*) FROM crossfade.drift GROUP BY 1, 2, 3"))
        found += "drift " + row[0] + ' ' + row[1] + ' ' + row[2] + ": " + row[3] + '\n';
    for (const auto& row : modern.exec("SELECT table_name, sqlstate, reason FROM crossfade.dead_letters LIMIT 5"))
        found += "dead letter " + row[0] + ' ' + row[1] + ": " + row[2] + '\n';
    std::vector<std::uint16_t> admins{proxy_admin_, cdc_admin_};
    if (publisher_) admins.push_back(publisher_admin_);
    if (second_cdc_) admins.push_back(second_admin_);
    for (const auto port : admins) {
        const auto reply = support::http_get(port, "/readyz");
        if (reply.status != 200) found += "not ready: " + reply.body + '\n';
        for (const auto* stream : {"app", "app_back"})
            if (support::sample_value(support::http_get(port, "/metrics").body,
                                      std::string{"crossfade_stream_stopped{stream=\""} + stream + '"') > 0)
                found += std::string{"stream "} + stream + " stopped\n";
    }
    return found;
}

std::string landscape::logs() const {
    std::string more;
    for (const auto& each : more_proxies_) more += "--- another proxy\n" + tail(each->log());
    return "--- proxy\n" + tail(proxy.log()) + more + (publisher_ ? "--- publisher\n" + tail(publisher_->log()) : "") +
           "--- cdc\n" + tail(cdc.log()) + (second_cdc_ ? "--- second cdc\n" + tail(second_cdc_->log()) : "") +
           "--- broker\n" + tail(broker.log());
}

}  // namespace crossfade::chaos
