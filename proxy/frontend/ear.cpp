#include "proxy/frontend/ear.hpp"

namespace crossfade::proxy::frontend {
namespace {

// Only the loop's own thread changes its tallies, so that one can be set by what it lacks.
void set(tally& of, std::uint64_t now) {
    const auto before = of.value();
    if (before != now) of.add(now - before);
}

}  // namespace

ear::ear(portrait::notebook& notes, loop_stats& counts, portrait::hearing::since when)
    : notes_(notes), counts_(counts), heard_(notes, when) {
    count();
}

ear::ear(portrait::notebook& notes, loop_stats& counts, portrait::hearing::memory of)
    : notes_(notes), counts_(counts), heard_(notes, std::move(of)) {
    count();
}

ear::~ear() {
    counts_.unclear_sessions.add(counted_unclear_ ? ~std::uint64_t{0} : 0);
    counts_.unnamed_bytes.add(std::uint64_t{0} - counted_bytes_);
}

void ear::settled(pgwire::transaction_status status) {
    heard_.settled(status);
    count();
}

void ear::count() {
    if (const bool unclear = !heard_.clear(); unclear != counted_unclear_) {
        counts_.unclear_sessions.add(unclear ? 1 : ~std::uint64_t{0});
        counted_unclear_ = unclear;
    }
    if (const auto bytes = heard_.kept_bytes(); bytes != counted_bytes_) {
        counts_.unnamed_bytes.add(bytes - counted_bytes_);
        counted_bytes_ = bytes;
    }
    const auto& statements = notes_.statements;
    const auto& counted = statements.counted();
    if (counted.hits == counts_.statement_hits.value() && counted.misses == counts_.statement_misses.value()) return;
    set(counts_.statement_hits, counted.hits);
    set(counts_.statement_misses, counted.misses);
    set(counts_.statement_evictions, counted.evicted);
    set(counts_.statements, statements.entries());
    set(counts_.statement_bytes, statements.bytes());
    set(counts_.setting_names, notes_.names.all().size());
}

}  // namespace crossfade::proxy::frontend
