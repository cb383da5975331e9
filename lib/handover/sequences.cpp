#include "lib/handover/sequences.hpp"

#include <algorithm>

#include "lib/store/authority.hpp"

namespace crossfade::handover {
namespace {

// Drawn on the old side after they were read here: by sessions that go round the proxy, whose rows the fence refuses.
constexpr std::int64_t margin = 100;

// Saturating: a limit is a limit.
std::int64_t ahead(std::int64_t value, std::int64_t steps, std::int64_t increment, const sequence& within) {
    std::int64_t distance = 0;
    std::int64_t reached = 0;
    if (__builtin_mul_overflow(steps, increment, &distance) || __builtin_add_overflow(value, distance, &reached))
        return increment > 0 ? within.greatest : within.least;
    return std::clamp(reached, within.least, within.greatest);
}

// The next value from there on that is whole steps away from what it has drawn: it may have half of a divided sequence
// (division.hpp), or give out ranges. Its end is its end.
std::int64_t in_row(std::int64_t from, std::int64_t drawn, const sequence& of) {
    const auto limit = of.increment > 0 ? of.greatest : of.least;
    std::int64_t distance = 0;
    if (__builtin_sub_overflow(from, drawn, &distance)) return limit;
    const auto missing = (of.increment - distance % of.increment) % of.increment;
    std::int64_t to = 0;
    if (__builtin_add_overflow(from, missing, &to)) return limit;
    return std::clamp(to, of.least, of.greatest);
}

}  // namespace

std::string sequences_sql() {
    return "WITH tables AS (" + std::string{store::stream_tables_sql} +
           "),"
           " used AS (SELECT d.refobjid AS relid, d.refobjsubid::int AS attnum, d.objid AS seq FROM pg_depend d"
           "  WHERE d.classid = 'pg_class'::regclass AND d.refclassid = 'pg_class'::regclass AND d.deptype IN ('a', "
           "'i')"
           " UNION SELECT a.adrelid, a.adnum::int, d.refobjid FROM pg_attrdef a JOIN pg_depend d"
           "  ON d.classid = 'pg_attrdef'::regclass AND d.objid = a.oid AND d.refclassid = 'pg_class'::regclass)"
           " SELECT n.nspname || '.' || c.relname || '.' || a.attname, u.seq::regclass::text, s.seqincrement, s.seqmin,"
           " s.seqmax, s.seqcache, s.seqstart, s.seqcycle, pg_sequence_last_value(u.seq), u.relid::text"
           " FROM used u JOIN tables t USING (relid) JOIN pg_sequence s ON s.seqrelid = u.seq"
           " JOIN pg_class c ON c.oid = u.relid JOIN pg_namespace n ON n.oid = c.relnamespace"
           " JOIN pg_attribute a ON a.attrelid = u.relid AND a.attnum = u.attnum ORDER BY 1, 2";
}

std::map<std::string, sequence> read_sequences(const pgclient::rows& from) {
    std::map<std::string, sequence> all;
    for (int i = 0; i < from.size(); ++i) {
        sequence one;
        one.column = from.text(i, 0);
        one.name = from.text(i, 1);
        one.increment = from.integer(i, 2).value_or(1);
        one.least = from.integer(i, 3).value_or(1);
        one.greatest = from.integer(i, 4).value_or(1);
        one.cache = from.integer(i, 5).value_or(1);
        one.start = from.integer(i, 6).value_or(1);
        one.cycles = from.boolean(i, 7);
        one.last = from.integer(i, 8);
        one.table = from.text(i, 9);
        all.emplace(one.column, std::move(one));
    }
    return all;
}

move plan_move(const sequence& from, const sequence& onto) {
    if ((from.increment > 0) != (onto.increment > 0))
        return {{}, onto.name + " counts the other way than " + from.name};
    if (from.cycles || onto.cycles) {
        // Values come again by intent: the place is taken over as it is.
        if (from.last && (*from.last < onto.least || *from.last > onto.greatest))
            return {{}, onto.name + " can't have the value that " + from.name + " has come to"};
        return {from.last == onto.last ? std::nullopt : from.last, {}};
    }
    if (!from.last) return {};
    const bool up = from.increment > 0;
    const auto beyond = [&](std::int64_t left, std::int64_t right) {
        return up ? std::max(left, right) : std::min(left, right);
    };
    const auto used = onto.last ? beyond(*from.last, *onto.last) : *from.last;
    if (used > onto.greatest || used < onto.least)
        return {{}, onto.name + " ends before the values that " + from.name + " has given out"};
    const auto to = ahead(used, std::max(margin, from.cache), onto.increment, onto);
    return {onto.last ? in_row(to, *onto.last, onto) : to, {}};
}

}  // namespace crossfade::handover
