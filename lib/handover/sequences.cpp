#include "lib/handover/sequences.hpp"

#include <algorithm>
#include <map>
#include <set>
#include <string_view>

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
           "  ON d.classid = 'pg_attrdef'::regclass AND d.objid = a.oid AND d.refclassid = 'pg_class'::regclass),"
           " found AS (SELECT n.nspname || '.' || c.relname || '.' || a.attname AS column, u.seq, u.relid::text"
           "  FROM used u JOIN tables t USING (relid) JOIN pg_class c ON c.oid = u.relid JOIN pg_namespace n"
           "  ON n.oid = c.relnamespace JOIN pg_attribute a ON a.attrelid = u.relid AND a.attnum = u.attnum"
           // What a table owns that isn't the stream's stays with it, and what an extension has made with that.
           " UNION ALL SELECT '', f.oid, '' FROM pg_class f WHERE f.relkind = 'S' AND f.relpersistence <> 't'"
           "  AND f.relnamespace IN (SELECT c.relnamespace FROM tables t JOIN pg_class c ON c.oid = t.relid)"
           "  AND NOT EXISTS (SELECT FROM used u JOIN tables t USING (relid) WHERE u.seq = f.oid)"
           "  AND NOT EXISTS (SELECT FROM pg_depend d WHERE d.classid = 'pg_class'::regclass AND d.objid = f.oid"
           "   AND (d.deptype = 'e' OR (d.refclassid = 'pg_class'::regclass AND d.deptype IN ('a', 'i')))))"
           " SELECT f.column, s.seqrelid::regclass::text, s.seqincrement, s.seqmin, s.seqmax, s.seqcache, s.seqstart,"
           " s.seqcycle, CASE WHEN has_sequence_privilege(s.seqrelid, 'USAGE, SELECT') THEN"
           " pg_sequence_last_value(s.seqrelid) END, f.relid, has_sequence_privilege(s.seqrelid, 'USAGE, SELECT'),"
           " has_sequence_privilege(s.seqrelid, 'UPDATE') FROM found f JOIN pg_sequence s ON s.seqrelid = f.seq"
           " ORDER BY 1, 2";
}

std::vector<sequence> read_sequences(const pgclient::rows& from) {
    std::vector<sequence> all;
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
        one.may_read = from.boolean(i, 10);
        one.may_set = from.boolean(i, 11);
        all.push_back(std::move(one));
    }
    return all;
}

matched_sequences match(const std::vector<sequence>& drawing, const std::vector<sequence>& joining) {
    std::map<std::string_view, std::vector<std::size_t>> by_name;
    std::map<std::string_view, std::vector<std::size_t>> by_column;
    for (std::size_t i = 0; i < joining.size(); ++i) {
        by_name[joining[i].name].push_back(i);
        if (!joining[i].free()) by_column[joining[i].column].push_back(i);
    }
    matched_sequences made;
    std::vector<bool> named(drawing.size());
    std::vector<bool> has_namesake(joining.size());
    std::vector<bool> paired(drawing.size());
    const auto pair = [&](std::size_t one, std::size_t other) {
        made.pairs.push_back({drawing[one], joining[other]});
        paired[one] = true;
    };
    for (std::size_t i = 0; i < drawing.size(); ++i) {
        const auto found = by_name.find(drawing[i].name);
        if (found == by_name.end()) continue;
        for (const auto other : found->second) {
            if (!drawing[i].free() && !joining[other].free() && drawing[i].column != joining[other].column) continue;
            named[i] = has_namesake[other] = true;
            pair(i, other);
        }
    }
    for (std::size_t i = 0; i < drawing.size(); ++i) {
        const auto found = by_column.find(drawing[i].column);
        if (found != by_column.end())
            for (const auto other : found->second)
                if (!named[i] || !has_namesake[other]) pair(i, other);
        if (!paired[i]) made.alone.push_back(drawing[i]);
    }
    return made;
}

std::vector<std::string> serving_several(const std::vector<sequence_pair>& pairs) {
    std::map<std::string, std::set<std::string>> served;
    for (const auto& [drawing, joining] : pairs) served[joining.name].insert(drawing.name);
    std::vector<std::string> all;
    for (const auto& [name, of] : served)
        if (of.size() > 1) all.push_back(name);
    return all;
}

move plan_move(const sequence& from, const sequence& onto) {
    if (!from.may_read) return {{}, from.name + " may not be read where it was drawn from"};
    if (!onto.may_read || !onto.may_set) return {{}, onto.name + " may not be read, or not set ahead"};
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
