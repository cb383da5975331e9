#pragma once

#include <gtest/gtest.h>

#include <chrono>
#include <cstdint>
#include <memory>
#include <string>

#include "tests/chaos/landscape.hpp"
#include "tests/chaos/turmoil.hpp"
#include "tests/chaos/workload.hpp"

namespace crossfade::chaos {

// A landscape under load in which things are killed. At the end nothing that a client was told may be missing, on
// either side, nothing may be there twice, and no row may differ.
class trial : public testing::Test {
  protected:
    static constexpr unsigned scale = 2;

    explicit trial(bool over_links = false, unsigned clients = 8, unsigned partitions = 0,
                   std::string strategy = "legacy-primary", std::string proxy_settings = {})
        : over_links_(over_links),
          clients_(clients),
          partitions_(partitions),
          strategy_(std::move(strategy)),
          proxy_settings_(std::move(proxy_settings)) {}
    void SetUp() override;
    void TearDown() override;

    // `pause`: see workload; ten times that between the rounds of the other kind.
    void start_load(std::chrono::milliseconds pause = {});
    void stop_load_and_check();

    // Waits until the application has done this many more transactions.
    [[nodiscard]] bool goes_on(std::uint64_t more) const;
    std::uint64_t errors() const { return load_->errors(); }
    std::string last_error() const { return load_->last_error(); }

    landscape& world() { return *world_; }
    const landscape& world() const { return *world_; }
    unsigned clients() const { return clients_; }

  private:
    const bool over_links_;
    const unsigned clients_;
    const unsigned partitions_;   // see landscape_options
    const std::string strategy_;  // likewise
    const std::string proxy_settings_;
    std::unique_ptr<landscape> world_;
    std::unique_ptr<workload> load_;
    std::unique_ptr<turmoil> turmoil_;
    unsigned loads_ = 0;
};

}  // namespace crossfade::chaos
