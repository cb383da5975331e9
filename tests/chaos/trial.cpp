#include "tests/chaos/trial.hpp"

#include <iostream>
#include <unordered_map>

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

void trial::start_load() {
    load_ = std::make_unique<workload>(world_->client_dsn(), clients_, scale, 'c' + std::to_string(loads_) + '-');
    turmoil_ = std::make_unique<turmoil>(world_->client_dsn(), world_->modern.dsn(), loads_ * 1'000'000);
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
    {
        SCOPED_TRACE("legacy");
        check_ledger(world_->legacy);
    }
    {
        SCOPED_TRACE("modern");
        check_ledger(world_->modern);
    }
    std::cout << load_->acknowledged() << " transactions acknowledged, " << load_->errors() << " client errors, "
              << turmoil_->rounds() << " rounds of the other kind\n";
}

// Every tag's fate on one side against what its client knows.
void trial::check_ledger(const support::postgres_cluster& side) const {
    std::unordered_map<std::string, unsigned> there;
    for (const auto& row : side.exec("SELECT rtrim(filler), count(*) FROM pgbench_history GROUP BY 1"))
        there[row[0]] = static_cast<unsigned>(std::stoul(row[1]));
    unsigned lost = 0;
    unsigned twice = 0;
    unsigned ghosts = 0;
    for (const auto& [tag, result] : load_->ledger()) {
        const auto found = there.find(tag);
        const unsigned copies = found == there.end() ? 0 : found->second;
        if (result == outcome::acknowledged && copies == 0) ++lost;
        if (result == outcome::aborted && copies != 0) ++ghosts;
        if (copies > 1) ++twice;
    }
    EXPECT_EQ(lost, 0U) << "acknowledged and missing";
    EXPECT_EQ(twice, 0U) << "applied more than once";
    EXPECT_EQ(ghosts, 0U) << "never committed and there";
}

}  // namespace crossfade::chaos
