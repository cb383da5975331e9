#include "tests/chaos/workload.hpp"

#include <random>

#include "tests/chaos/client.hpp"

namespace crossfade::chaos {

namespace {

constexpr unsigned accounts_a_branch = 100'000;
constexpr unsigned tellers_a_branch = 10;

std::string quoted(const std::string& text) {
    return '\'' + text + '\'';
}

// Statements of one transaction without BEGIN and COMMIT.
std::vector<std::string> statements(const std::string& tag, const std::string& earlier, unsigned scale,
                                    std::mt19937& random) {
    const auto pick = [&](unsigned count) { return std::to_string(1 + random() % count); };
    const auto aid = pick(scale * accounts_a_branch);
    const auto tid = pick(scale * tellers_a_branch);
    const auto bid = pick(scale);
    const auto delta = std::to_string(static_cast<int>(random() % 10'000) - 5'000);
    std::vector<std::string> all{
        "UPDATE pgbench_accounts SET abalance = abalance + " + delta + " WHERE aid = " + aid,
        "UPDATE pgbench_tellers SET tbalance = tbalance + " + delta + " WHERE tid = " + tid,
        "UPDATE pgbench_branches SET bbalance = bbalance + " + delta + " WHERE bid = " + bid,
        "INSERT INTO pgbench_history (tid, bid, aid, delta, mtime, filler) VALUES (" + tid + ", " + bid + ", " + aid +
            ", " + delta + ", now(), " + quoted(tag) + ')',
        // Beyond 2 kB and hardly compressible, so that it lives in a TOAST table.
        "INSERT INTO document (id, note, body) SELECT " + quoted(tag) +
            ", NULL, string_agg(md5(random()::text), '') FROM generate_series(1, 100)",
    };
    if (!earlier.empty()) {
        switch (random() % 3) {
            case 0:  // body stays as it is: not in the WAL
                all.push_back("UPDATE document SET note = " + quoted(tag) + " WHERE id = " + quoted(earlier));
                break;
            case 1:
                all.push_back("UPDATE document SET id = id || 'b' WHERE id = " + quoted(earlier));
                break;
            default:
                all.push_back("DELETE FROM document WHERE id = " + quoted(earlier));
        }
    }
    return all;
}

}  // namespace

const char* workload::schema() {
    return "CREATE TABLE document (id text PRIMARY KEY, note text, body text NOT NULL)";
}

workload::workload(std::string dsn, unsigned clients, unsigned scale, std::string name, std::chrono::milliseconds pause)
    : crowd(std::move(dsn), clients, std::move(name)), scale_(scale), pause_(pause) {}

void workload::run(unsigned client) {
    std::mt19937 random{client};
    connection to;
    std::string earlier;
    const auto failed = [&](const char* where, answer how) {
        last_state_ = where;
        ++errors_;
        if (how == answer::nothing) ++hung_;
        if (how != answer::refused) to.reset();
    };
    for (std::uint64_t sequence = 0; !stopping(); ++sequence) {
        if (!to) {
            to = connect(dsn());
            if (!to) {
                failed("connect", answer::lost);
                pause_after_failure();
                continue;
            }
        }
        const std::string tag = this->tag(client, sequence);
        answer got = execute(to.get(), "BEGIN");
        for (const auto& sql : statements(tag, earlier, scale_, random)) {
            if (got != answer::done) break;
            got = execute(to.get(), sql);
        }
        if (got != answer::done) {
            failed("statement", got);
            if (to && execute(to.get(), "ROLLBACK") != answer::done) to.reset();
            knows(client, tag, outcome::aborted);
            continue;
        }
        got = execute(to.get(), "COMMIT");
        if (got == answer::done) {
            knows(client, tag, outcome::acknowledged);
            ++acknowledged_;
            earlier = tag;
            pause_for(pause_);
        } else {
            failed("commit", got);
            knows(client, tag, got == answer::refused ? outcome::aborted : outcome::unknown);
        }
    }
}

}  // namespace crossfade::chaos
