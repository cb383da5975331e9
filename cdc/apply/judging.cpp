// What proxies have written to the follower themselves, and when that is to be heeded.
#include "cdc/apply/applier.hpp"

#include <algorithm>

#include "lib/store/catalog_pace.hpp"
#include "lib/store/ties.hpp"

namespace crossfade::cdc::apply {

namespace {

constexpr std::chrono::seconds given_up_every{60};
constexpr std::chrono::seconds ties_read_every{1};  // proxies heed them a moment after they are made
constexpr std::chrono::seconds heeded_for{60};      // since a receipt was seen, whatever the flags say

std::vector<store::source_xid> transactions_of(const std::vector<consume::received>& events) {
    std::vector<store::source_xid> made;
    for (const auto& each : events) {
        const bool row = std::holds_alternative<model::row_change>(each.event.body);
        if (row && (made.empty() || made.back() != each.event.xid)) made.push_back(each.event.xid);
    }
    return made;
}

}  // namespace

bool applier::judges(const scope_filter& scopes) const {
    return heeds_receipts() && (scopes.in_force()->config.flags.has(settings::write_strategy::mirror) ||
                                std::chrono::steady_clock::now() < judge_until_);
}

void applier::seen_receipts() {
    judge_until_ = std::chrono::steady_clock::now() + heeded_for;
}

// With the transaction's first statements, if it has not begun.
pgclient::result<applier::beginning> applier::read_receipts(const std::vector<consume::received>& events) {
    auto& pipe = *to_.pipe;
    const bool begins = !open_;
    std::size_t before = begins ? add_beginning() : 0;
    const auto now = std::chrono::steady_clock::now();
    const bool reads_ties = begins && now >= reads_ties_at_;
    if (reads_ties) {
        pipe.add(statement{std::string{store::ties_fingerprint_sql}, {}, std::nullopt});
        ++before;
    }
    // Later parts are of a transaction that was asked for with its first, and have locks that one who mirrors may wait
    // for.
    const auto transactions = begins ? transactions_of(events) : std::vector<store::source_xid>{};
    if (!transactions.empty()) {
        pipe.add(wait_for_mirroring(transactions));
        pipe.add(take_receipts(settings_.stream, transactions));
    }
    // Before the rest is read: their rows would count as ahead for ever.
    const bool gives_up = begins && now >= gives_up_at_;
    if (gives_up) pipe.add(statement{std::string{store::give_up_receipts_sql}, {settings_.stream}, std::nullopt});
    pipe.add(rows_ahead(settings_.stream));
    auto answers = pipe.run();
    if (!answers) return answers.error();
    open_ = true;
    if (reads_ties) {
        reads_ties_at_ = now + ties_read_every;
        catalog_.ties((*answers)[before - 1].got.text(0, 0));
    }
    if (gives_up) {
        gives_up_at_ = now + given_up_every;
        given_up_ = static_cast<std::size_t>((*answers)[answers->size() - 2].got.integer(0, 0).value_or(0));
    }
    if (!transactions.empty()) mirrored_.take(taken_in((*answers)[before + 1].got));
    mirrored_.ahead = marks_in(answers->back().got);
    if (!mirrored_.written.empty() || !mirrored_.ahead.empty()) seen_receipts();
    return begins ? read_beginning(*answers) : beginning::good;
}

pgclient::result<void> applier::look_at(const std::vector<consume::received>& events, batch_judge& judge) {
    for (const auto& each : events) {
        const auto* change = std::get_if<model::row_change>(&each.event.body);
        const bool sweeps = std::holds_alternative<model::truncate>(each.event.body) || events::is_ddl(each.event);
        mirrored_.swept = mirrored_.swept || sweeps;
        if (change == nullptr) continue;
        auto mapping = catalog_.mapping(to_.db, change->rel);
        if (!mapping) return mapping.error();
        mirrored_.meet(each.event.xid, *change, **mapping);
        judge.look_at(each.event, *change, **mapping);
    }
    return {};
}

// Of a row that a receipt is about. The rest of a transaction that comes in parts may show that it isn't its own.
bool applier::believes(const model::change_event& event, const table_mapping& mapping, const scope_filter& scopes) {
    const auto known_within = store::ddl_is_known_within + scopes.in_force()->config.proxy.mirror_timeout;
    const bool doubtful = doubts_.about(event, mapping.rel, known_within);
    // What the stream does to one key may have hit the row of an equal one.
    const bool one_text =
        std::ranges::all_of(mapping.key, [&](auto at) { return mapping.columns[at].target.one_text; });
    return !doubtful && one_text && !mirrored_.unmet.contains(event.xid) &&
           !was_filled_behind(mapping.rel->table, event);
}

}  // namespace crossfade::cdc::apply
