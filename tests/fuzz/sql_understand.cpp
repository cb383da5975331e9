#include <string>

#include "lib/sql/statement_cache.hpp"
#include "tests/fuzz/input.hpp"

using namespace crossfade;

namespace {

void check(const sql::statement& it) {
    using sql::statement_kind;
    if (it.read_only)
        fuzz::require(it.kind == statement_kind::read && !it.writes_rows && it.calls <= sql::volatility::stable);
    if (it.kind == statement_kind::write) fuzz::require(it.writes_rows);
    if (it.kind == statement_kind::read) fuzz::require(!it.writes_rows && !it.modifying_cte);
    for (const auto& table : it.tables) {
        fuzz::require(table.read || table.written || table.locked || table.defined);
        fuzz::require(!it.read_only || table == sql::table_use{table.schema, table.name, true});
    }
    if (const auto* prepare = std::get_if<sql::effect::prepare>(&it.effect)) check(*prepare->prepared);
}

}  // namespace

// What is known of a text holds together, lies within it, and is the same a second time and from a cache.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    const auto text = fuzz::input(data, size).rest();
    const auto known = sql::understand(text);
    static sql::statement_cache cache({.entries = 100});
    const auto kept = cache.understand(text);
    fuzz::require(kept->has_value() == known.has_value());
    fuzz::require(cache.understand(text) == kept || text.size() > sql::statement_cache::bounds{}.text);
    if (!known) return 0;

    fuzz::require(known->size() == (*kept)->size());
    std::size_t end = 0;
    for (const auto& it : *known) {
        check(it);
        fuzz::require(it.offset >= end && it.length <= text.size() - it.offset);
        end = it.offset + it.length;
        // A statement of several is understood the same alone.
        const auto alone = sql::understand(text.substr(it.offset, it.length));
        fuzz::require(alone && alone->size() == 1 && alone->front().kind == it.kind &&
                      alone->front().fingerprint == it.fingerprint && alone->front().tables == it.tables);
    }
    return 0;
}
