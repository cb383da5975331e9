#include "tests/chaos/shop.hpp"

#include "tests/chaos/client.hpp"
#include "tests/chaos/workload.hpp"

namespace crossfade::chaos {
namespace {

template <class Most, class Value>
void raise(std::atomic<Most>& most, Value to) {
    for (auto now = most.load(); to > now && !most.compare_exchange_weak(now, to);) {
    }
}

outcome known_by(answer got) {
    return got == answer::done ? outcome::acknowledged : got == answer::refused ? outcome::aborted : outcome::unknown;
}

}  // namespace

const char* shop::schema() {
    return "CREATE TABLE orders (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, tag text NOT NULL UNIQUE,"
           " port int DEFAULT inet_server_port(), taken_at timestamptz DEFAULT clock_timestamp());"
           "CREATE TABLE lines (id serial PRIMARY KEY, order_id bigint NOT NULL REFERENCES orders, note text)";
}

void shop::run(unsigned client) {
    using clock = std::chrono::steady_clock;
    connection to;
    for (std::uint64_t sequence = 0; !stopping(); ++sequence) {
        if (!to) to = connect(dsn());
        if (!to) {
            ++errors_;
            pause_after_failure();
            continue;
        }
        const auto tag = this->tag(client, sequence);
        const auto began = clock::now();
        const auto got = execute(to.get(), "WITH o AS (INSERT INTO orders (tag) VALUES ('" + tag +
                                               "') RETURNING id) INSERT INTO lines (order_id, note) SELECT id, '" +
                                               tag + "' FROM o, generate_series(1, 3)");
        raise(longest_, std::chrono::duration_cast<std::chrono::microseconds>(clock::now() - began).count());
        if (got == answer::done) {
            ++acknowledged_;
        } else {
            failed(tag, to.get());
        }
        knows(client, tag, known_by(got));
        pause_after_failure();  // and after success: what is watched is not how much the machine can bear
        if ((client % 2 == 1 && !stay_) || got == answer::lost || got == answer::nothing) to.reset();
    }
}

void bypass::run(unsigned client) {
    connection to;
    for (std::uint64_t sequence = 0; !stopping(); ++sequence) {
        if (!to) to = connect(dsn());
        if (!to) {
            pause_after_failure();
            continue;
        }
        const auto tag = this->tag(client, sequence);
        const auto got = execute(to.get(), "INSERT INTO orders (tag) VALUES ('" + tag + "')");
        knows(client, tag, known_by(got));
        if (got == answer::done) ++acknowledged_;
        if (got == answer::refused) ++refused_;
        if (got == answer::lost || got == answer::nothing) to.reset();
        pause_after_failure();
    }
}

application::application(const landscape& world, unsigned proxies, const std::string& name) {
    for (unsigned proxy = 0; proxy < proxies; ++proxy) {
        const auto its = name + static_cast<char>('a' + proxy);
        workloads_.push_back(std::make_unique<workload>(world.dsn_of_proxy(proxy), 1, scale, 'w' + its));
        shops_.push_back(std::make_unique<shop>(world.dsn_of_proxy(proxy), 2, 's' + its));
    }
}

void application::start() {
    for (const auto& each : workloads_) each->start();
    for (const auto& each : shops_) each->start();
}

void application::stop() {
    for (const auto& each : workloads_) each->stop();
    for (const auto& each : shops_) each->stop();
}

std::uint64_t application::acknowledged() const {
    std::uint64_t sum = 0;
    for (const auto& each : workloads_) sum += each->acknowledged();
    for (const auto& each : shops_) sum += each->acknowledged();
    return sum;
}

std::uint64_t application::errors() const {
    std::uint64_t sum = 0;
    for (const auto& each : workloads_) sum += each->errors();
    for (const auto& each : shops_) sum += each->errors();
    return sum;
}

double application::take_longest_ms() const {
    std::chrono::microseconds most{0};
    for (const auto& each : shops_) most = std::max(most, each->take_longest());
    return static_cast<double>(most.count()) / 1000;
}

std::string application::first_error() const {
    std::string all;
    for (const auto& each : shops_)
        if (const auto one = each->first_error(); !one.empty()) all += one + '\n';
    return all;
}

void application::expect_kept_on(const support::postgres_cluster& side) const {
    for (const auto& each : workloads_)
        expect_kept(each->ledger(), side, "SELECT rtrim(filler), count(*) FROM pgbench_history GROUP BY 1");
    for (const auto& each : shops_) expect_kept(each->ledger(), side, order_tags);
}

}  // namespace crossfade::chaos
