#pragma once

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "tests/chaos/crowd.hpp"
#include "tests/chaos/landscape.hpp"

namespace crossfade::chaos {

// What draws from sequences: orders and their lines, in one transaction each, by clients of which every other one comes
// anew for each of them. Each order says which server took it, and when.
class shop : public crowd {
  public:
    // `stay`: no client comes anew.
    shop(std::string dsn, unsigned clients, std::string name, bool stay = false)
        : crowd(std::move(dsn), clients, std::move(name)), stay_(stay) {}
    ~shop() override { stop(); }

    static const char* schema();
    // The longest that one of them has waited for an answer since this was asked last.
    std::chrono::microseconds take_longest() { return std::chrono::microseconds{longest_.exchange(0)}; }

  private:
    void run(unsigned client) override;

    const bool stay_;
    std::atomic<std::chrono::microseconds::rep> longest_{0};
};

// Who writes to either server itself, round the proxies: the fence refuses it on one of them, and these rows are
// nobody's.
class bypass : public crowd {
  public:
    bypass(std::string dsn, std::string name) : crowd(std::move(dsn), 1, std::move(name)) {}
    ~bypass() override { stop(); }

    std::uint64_t refused() const { return refused_; }

  private:
    void run(unsigned client) override;

    std::atomic<std::uint64_t> refused_{0};
};

// An application of workload and shop at each of a landscape's proxies.
class application {
  public:
    static constexpr unsigned scale = 1;  // of pgbench's tables

    application(const landscape& world, unsigned proxies, const std::string& name);

    void start();
    void stop();
    std::uint64_t acknowledged() const;
    std::uint64_t errors() const;
    double take_longest_ms() const;   // see shop
    std::string first_error() const;  // likewise
    // After stop(): all that it was told is there, once, and nothing else.
    void expect_kept_on(const support::postgres_cluster& side) const;

  private:
    std::vector<std::unique_ptr<crowd>> workloads_;
    std::vector<std::unique_ptr<shop>> shops_;
};

inline constexpr const char* order_tags = "SELECT tag, count(*) FROM orders GROUP BY 1";

}  // namespace crossfade::chaos
