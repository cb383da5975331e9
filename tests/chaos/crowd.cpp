#include "tests/chaos/crowd.hpp"

#include <gtest/gtest.h>

#include <unordered_map>

namespace crossfade::chaos {

void crowd::start() {
    for (unsigned client = 0; client < ledgers_.size(); ++client)
        threads_.emplace_back([this, client] { run(client); });
}

void crowd::stop() {
    stopping_ = true;
    for (auto& thread : threads_) thread.join();
    threads_.clear();
}

void crowd::failed(const std::string& tag, PGconn* on) {
    ++errors_;
    const std::lock_guard alone{mutex_};
    if (first_error_.empty()) first_error_ = tag + ": " + (on != nullptr ? PQerrorMessage(on) : "no connection");
}

std::string crowd::first_error() const {
    const std::lock_guard alone{mutex_};
    return first_error_;
}

crowd::transaction_end crowd::transact(PGconn* on, const std::vector<std::string>& statements) {
    auto got = execute(on, "BEGIN");
    for (const auto& each : statements) {
        if (got != answer::done) break;
        got = execute(on, each);
    }
    if (got != answer::done) return {got, outcome::aborted};
    got = execute(on, "COMMIT");
    return {got, got == answer::done      ? outcome::acknowledged
                 : got == answer::refused ? outcome::aborted
                                          : outcome::unknown};
}

std::vector<entry> crowd::ledger() const {
    std::vector<entry> all;
    for (const auto& one : ledgers_) all.insert(all.end(), one.begin(), one.end());
    return all;
}

void expect_kept(const std::vector<entry>& ledger, const support::postgres_cluster& side, const std::string& tags) {
    std::unordered_map<std::string, unsigned> there;
    for (const auto& row : side.exec(tags)) there[row[0]] = static_cast<unsigned>(std::stoul(row[1]));
    unsigned lost = 0;
    unsigned twice = 0;
    unsigned ghosts = 0;
    for (const auto& [tag, result] : ledger) {
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
