#include "tests/chaos/trial.hpp"

#include <iostream>

#include "tests/support/eventually.hpp"

namespace crossfade::chaos {

using namespace std::chrono_literals;

void trial::SetUp() {
    if (!support::kafka_broker::available()) GTEST_SKIP() << "no Kafka: set CROSSFADE_KAFKA_LIBS";
    if (over_links_ && !support::toxiproxy::available())
        GTEST_SKIP() << "no toxiproxy: script/bootstrap --toxiproxy --no-build";
    std::vector<std::string> of_legacy{"max_prepared_transactions=10"};
    // What a broken link leaves behind: the slot's reader.
    if (over_links_) of_legacy.emplace_back("wal_sender_timeout=4s");
    std::string schema = std::string{workload::schema()} + ';' + turmoil::schema();
    // Without a key nothing of it is mirrored but by the stream.
    if (strategy_ == "mirror") schema += "; ALTER TABLE pgbench_history ADD COLUMN id bigserial PRIMARY KEY";
    // Batches as small as can be, so that a large transaction is applied in parts.
    world_ = std::make_unique<landscape>(landscape_options{.scale = scale,
                                                           .schema = std::move(schema),
                                                           .cdc_settings = ", batch_bytes: 64KiB",
                                                           .proxy_settings = proxy_settings_,
                                                           .strategy = strategy_,
                                                           .legacy = {.extra_settings = std::move(of_legacy)},
                                                           .over_links = over_links_,
                                                           .partitions = partitions_});
}

void trial::TearDown() {
    turmoil_.reset();
    load_.reset();
    if (HasFailure() && world_) std::cerr << world_->logs();
    world_.reset();
}

void trial::start_load(std::chrono::milliseconds pause) {
    load_ =
        std::make_unique<workload>(world_->client_dsn(), clients_, scale, 'c' + std::to_string(loads_) + '-', pause);
    turmoil_ = std::make_unique<turmoil>(world_->client_dsn(), world_->modern.dsn(), loads_ * 1'000'000, 10 * pause);
    ++loads_;
    load_->start();
    turmoil_->start();
}

bool trial::goes_on(std::uint64_t more) const {
    const auto target = load_->acknowledged() + more;
    const auto rounds = turmoil_->rounds() + 3;
    return support::eventually(60s, [&] { return load_->acknowledged() >= target && turmoil_->rounds() >= rounds; });
}

void trial::stop_load_and_check() {
    turmoil_->stop();
    load_->stop();
    EXPECT_EQ(load_->hung() + turmoil_->hung(), 0U) << "sessions without an answer";
    EXPECT_EQ(turmoil_->refused(), 0U) << turmoil_->last_refusal();

    EXPECT_EQ(world_->settle(180s), "");
    EXPECT_EQ(world_->complaints(), "");
    for (const auto* side : {&world_->legacy, &world_->modern}) {
        SCOPED_TRACE(side == &world_->legacy ? "legacy" : "modern");
        expect_kept(load_->ledger(), *side, "SELECT rtrim(filler), count(*) FROM pgbench_history GROUP BY 1");
    }
    std::cout << load_->acknowledged() << " transactions acknowledged, " << load_->errors() << " client errors, "
              << turmoil_->rounds() << " rounds of the other kind\n";
}

}  // namespace crossfade::chaos
