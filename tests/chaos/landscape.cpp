#include "tests/chaos/landscape.hpp"

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
    }
    return "";
}

landscape::landscape(landscape_options options)
    : options_(std::move(options)),
      legacy(options_.legacy),
      modern(options_.modern),
      listen_(support::free_port()),
      proxy_admin_(support::free_port()),
      cdc_admin_(support::free_port()),
      proxy("crossfade-proxy", configuration(), proxy_admin_),
      cdc("crossfade-cdc", configuration(), cdc_admin_) {
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
    proxy.start();
    cdc.start();
    if (!proxy.wait_ready(60s) || !cdc.wait_ready(60s)) throw std::runtime_error("not ready\n" + logs());
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
    const auto at = [](std::uint16_t port) { return "\"127.0.0.1:" + std::to_string(port) + '"'; };
    return "legacy: { dsn: \"" + legacy.dsn() + "\" }\nmodern: { dsn: \"" + modern.dsn() +
           "\" }\nkafka: { brokers: \"" + broker.brokers() +
           "\" }\nstream: { name: app, tables: [\"public.*\"] }\nproxy: { listen: " + at(listen_) +
           ", admin: " + at(proxy_admin_) + " }\ncdc: { admin: " + at(cdc_admin_) + options_.cdc_settings +
           " }\nflags:\n" + (flags.empty() ? "  dual_write_strategy: legacy-primary\n" : flags);
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
    for (const auto port : {proxy_admin_, cdc_admin_}) {
        const auto reply = support::http_get(port, "/readyz");
        if (reply.status != 200) found += "not ready: " + reply.body + '\n';
        if (support::sample_value(support::http_get(port, "/metrics").body, "crossfade_stream_stopped") != 0)
            found += "stream stopped\n";
    }
    return found;
}

std::string landscape::logs() const {
    return "--- proxy\n" + tail(proxy.log()) + "--- cdc\n" + tail(cdc.log()) + "--- broker\n" + tail(broker.log());
}

}  // namespace crossfade::chaos
