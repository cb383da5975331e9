#include "lib/handover/gates.hpp"

#include <map>
#include <optional>
#include <set>

#include "lib/handover/coordinator.hpp"
#include "lib/handover/division.hpp"
#include "lib/handover/gates_parts.hpp"
#include "lib/handover/sequences.hpp"
#include "lib/handover/wholeness.hpp"
#include "lib/preflight/listing.hpp"
#include "lib/store/authority.hpp"
#include "lib/store/fence.hpp"

namespace crossfade::handover {
namespace {

using gates::ask;
using gates::column;
using gates::end;
using model::quoted;
using preflight::findings;
using preflight::listing;
using settings::side;

// By what the file says of groups, the databases of authorities.
struct judgement {
    const settings::configuration& config;
    const intent& what;

    std::string_view group_of(const store::fenced_table& table) const { return config.flags.group_of(table.stream); }
    bool moves(const store::fenced_table& table) const { return handover::moves(what, config.flags, table); }
    bool divides(const store::fenced_table& table) const { return handover::divides(what, config.flags, table); }
    // Whether tenants go away from others of their table.
    bool divides_any(const std::vector<store::fenced_table>& of) const {
        return std::ranges::any_of(of, [&](const auto& each) { return moves(each) && divides(each); });
    }
    // Of those that have a word of their own, and whoever hasn't, "".
    std::set<std::string> tenants() const {
        std::set<std::string> all{{}};
        for (const auto* each : {&what.before, &what.after})
            for (const auto& [scope, ignored] : each->apart) all.insert(scope.tenant);
        return all;
    }
};

void look_at_audit(const end& on, findings& into) {
    const std::string id = on.name + ".audit";
    if (ask(on.db, "looking for the audit log", "SELECT to_regclass('crossfade.audit') IS NOT NULL").boolean(0, 0))
        into.ok(id, "the audit log is there");
    else
        into.fail(id, "there is no audit log, and no flip goes without its entry", "crossfade init");
}

void look_at_fence(const judgement& by, const end& on, findings& into) {
    std::vector<std::string> without;
    std::vector<std::string> wrong;
    for (const auto& each : on.tables) {
        if (!each.prepared) without.push_back(each.name);
        if (each.prepared && each.now != store::fence_of(by.what.before, on.which, by.config.flags, each))
            wrong.push_back(each.name);
    }
    const std::string id = on.name + ".fence";
    if (on.tables.empty())
        into.fail(id, "publication crossfade_" + on.stream + " has no tables", "crossfade init");
    else if (!without.empty())
        into.fail(id, "tables without the fence: " + listing(without), "crossfade init");
    else if (!wrong.empty())
        into.fail(id, "tables that refuse other writes than they are to: " + listing(wrong), "crossfade init");
    else if (by.what.before.apart.empty())
        into.ok(id, std::to_string(on.tables.size()) + " tables, " +
                        (by.what.before.everything == on.which ? "the application's writes pass"
                                                               : "the application's writes are refused"));
    else
        into.ok(id, std::to_string(on.tables.size()) + " tables, each passes what is its own");
}

// Their rows would stay where they are, and the sessions that write to them would not.
std::vector<std::string> left_out(const settings::configuration& config, const end& of, const end& other) {
    const auto found =
        ask(of.db, "looking for tables that are not in the stream",
            "SELECT n.nspname, c.relname FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace WHERE"
            " c.relkind IN ('r', 'p') AND c.relpersistence = 'p' AND NOT c.relispartition AND n.nspname NOT IN"
            " ('information_schema', 'crossfade') AND n.nspname !~ '^pg_' AND NOT EXISTS (SELECT FROM pg_publication p"
            " JOIN pg_publication_rel r ON r.prpubid = p.oid WHERE p.pubname = $1::name AND r.prrelid = c.oid)"
            " ORDER BY 1, 2",
            {"crossfade_" + of.stream});
    std::vector<std::string> all;
    for (int i = 0; i < found.size(); ++i) {
        const model::table_name table{std::string{found.text(i, 0)}, std::string{found.text(i, 1)}};
        if (std::ranges::none_of(config.stream.tables,
                                 [&](const auto& pattern) { return model::matches(pattern, table); }))
            continue;
        // What is new on modern, and not on legacy, may stay there.
        if (of.which == side::legacy || ask(other.db, "looking for tables that are on both sides",
                                            "SELECT to_regclass($1::text) IS NOT NULL", {quoted(table)})
                                            .boolean(0, 0))
            all.push_back(to_string(table));
    }
    return all;
}

void look_at_tables(const judgement& by, const end& from, const end& to, findings& into) {
    const auto publication = [](const end& of) {
        const auto found = ask(of.db, "reading publications",
                               "SELECT n.nspname || '.' || c.relname FROM pg_publication p JOIN pg_publication_rel r ON"
                               " r.prpubid = p.oid JOIN pg_class c ON c.oid = r.prrelid JOIN pg_namespace n ON n.oid ="
                               " c.relnamespace WHERE p.pubname = $1::name AND n.nspname <> 'crossfade' ORDER BY 1",
                               {"crossfade_" + of.stream});
        const auto all = column(found);
        return std::set<std::string>(all.begin(), all.end());
    };
    const auto here = publication(from);
    const auto there = publication(to);
    std::vector<std::string> odd;
    for (const auto& each : here)
        if (!there.contains(each)) odd.push_back(each + " (not on " + to.name + ")");
    for (const auto& each : there)
        if (!here.contains(each)) odd.push_back(each + " (not on " + from.name + ")");
    if (!odd.empty())
        return into.fail("tables", "carried one way alone: " + listing(odd),
                         "create it on the side that lacks it, or drop it on the other; then crossfade init");
    if (const auto none = left_out(by.config, from, to); !none.empty())
        return into.fail("tables", "of stream.tables, and not in the stream: " + listing(none),
                         from.which == side::legacy
                             ? "create them on " + to.name + ", crossfade init, crossfade backfill --tables ..."
                             : "crossfade init, and what it says of them; or drop them on " + to.name);

    const auto lacking = column(ask(to.db, "reading crossfade.tables", not_whole_sql, {from.stream}));
    if (!lacking.empty())
        return into.fail("tables", to.name + " lacks rows of " + listing(lacking),
                         to.which == side::legacy ? "crossfade --back backfill" : "crossfade backfill --live");
    const auto copies = column(ask(to.db, "reading crossfade.backfills", unfinished_copies_sql,
                                   {from.stream, names_of_moving(by.what, by.config.flags, from.tables)}));
    if (!copies.empty())
        return into.fail("tables",
                         "copies that are not done would go over what " + to.name + " takes then: " + listing(copies),
                         "wait until crossfade status shows none; crossfade backfill --live goes on with what stands"
                         " still");
    into.ok("tables", std::to_string(here.size()) + " are whole on " + to.name);
}

// That Crossfade's role can't do with a sequence what a flip does.
void add_unfit(const std::map<std::string, std::set<std::string>>& by_side, findings& into) {
    std::vector<std::string> which;
    std::string way_out;
    for (const auto& [side, names] : by_side) {
        std::string list;
        for (const auto& each : names) {
            which.push_back(each + " on " + side);
            list += (list.empty() ? "" : ", ") + each;
        }
        way_out += (way_out.empty() ? "" : "; ") + ("GRANT SELECT, UPDATE ON SEQUENCE " + list) + " TO the role of " +
                   side + ".dsn";
    }
    into.fail("sequences", "may not be read, or not be set ahead: " + listing(which), way_out);
}

void look_at_sequences(const judgement& by, const end& from, const end& to, findings& into) {
    const auto read = [](const end& of) {
        return read_sequences(ask(of.db, "reading sequences", sequences_sql(), {"crossfade_" + of.stream}));
    };
    std::map<std::string, const store::fenced_table*> here;
    std::map<std::string, const store::fenced_table*> there;
    for (const auto& each : from.tables) here[each.oid] = &each;
    for (const auto& each : to.tables) there[each.oid] = &each;
    const auto known = [](const auto& tables, const std::string& oid) {
        const auto found = tables.find(oid);
        return found == tables.end() ? nullptr : found->second;
    };
    const auto drawing_ones = read(from);
    std::map<std::string, std::set<std::string>> groups;  // that draw from it
    for (const auto& each : drawing_ones)
        if (const auto* of = known(here, each.table)) groups[each.name].emplace(by.group_of(*of));
    const auto found = match(drawing_ones, read(to));
    std::vector<std::string> against;
    std::map<std::string, std::set<std::string>> unfit;  // by side
    std::set<std::string> ahead;
    std::vector<sequence_pair> divided;
    for (const auto& pair : found.pairs) {
        const auto& [drawing, joining] = pair;
        const bool free = drawing.free() && joining.free();
        const auto* of = drawing.free() ? known(there, joining.table) : known(here, drawing.table);
        if (!free && (of == nullptr || !by.moves(*of))) continue;
        if (!drawing.may_read) unfit[from.name].insert(drawing.name);
        if (!joining.may_read || !joining.may_set) unfit[to.name].insert(joining.name);
        if (!drawing.may_read || !joining.may_read || !joining.may_set) continue;
        const auto what = free ? "" : (drawing.free() ? joining.column : drawing.column) + ": ";
        if (!free && by.divides(*of)) {
            if (drawing.free() || joining.free()) {
                against.push_back(what + "draws from no sequence on " + (drawing.free() ? from.name : to.name) +
                                  " by itself");
                continue;
            }
            divided.push_back(pair);
            const auto planned = plan_division(drawing.last.value_or(drawing.start), drawing.increment, joining);
            if (drawing.cycles || joining.cycles)
                against.push_back(what + drawing.name + " cycles, and two sides would draw the same");
            else if ((drawing.increment > 0) != (joining.increment > 0))
                against.push_back(what + joining.name + " counts the other way than " + drawing.name);
            else if (!planned.objection.empty())
                against.push_back(what + planned.objection);
            continue;
        }
        ahead.insert(joining.name);
        if (auto planned = plan_move(drawing, joining); !planned.objection.empty())
            against.push_back(what + planned.objection);
        if (groups[drawing.name].size() > 1)
            against.push_back(what + "tables of other groups draw from " + drawing.name + ", too");
    }
    for (const auto& each : serving_several(divided)) against.push_back("several sequences go with " + each);
    std::vector<std::string> missing;
    for (const auto& each : found.alone) {
        const auto* of = known(here, each.table);
        if (each.free())
            missing.push_back(each.name);
        else if (of != nullptr && by.moves(*of))
            against.push_back(each.column + " draws from no sequence on " + to.name);
    }
    if (!unfit.empty()) return add_unfit(unfit, into);
    if (!against.empty())
        return into.fail("sequences", listing(against), "make the columns alike on both sides, each table's its own");
    if (!missing.empty())
        return into.warn(
            "sequences",
            "not on " + to.name + ", and drawn from by no column, but by whoever names them: " + listing(missing),
            "CREATE SEQUENCE there, as they are on " + from.name + "; or say --force, if nobody draws from them there");
    std::string told = std::to_string(ahead.size()) + " can be set ahead on " + to.name;
    if (!divided.empty())
        told += ", " + std::to_string(divided.size()) +
                " will count by steps twice as long, so that the two sides never meet";
    into.ok("sequences", told);
}

// A key that leads out of what changes hands would tie rows of two authorities.
void look_at_ties(const judgement& by, const end& on, findings& into) {
    std::map<std::string, const store::fenced_table*> tables;
    for (const auto& each : on.tables) tables[each.oid] = &each;
    const auto keys = ask(on.db, "reading foreign keys",
                          "SELECT conrelid::oid::text, confrelid::oid::text, conrelid::regclass || ' -> ' ||"
                          " confrelid::regclass || ' (' || conname || ')' FROM pg_constraint"
                          " WHERE contype = 'f' AND conparentid = 0 ORDER BY 3");
    std::vector<std::string> outside;
    std::vector<std::string> out;
    std::vector<std::string> shared;
    for (int i = 0; i < keys.size(); ++i) {
        const auto one = tables.find(std::string{keys.text(i, 0)});
        const auto other = tables.find(std::string{keys.text(i, 1)});
        if (one == tables.end() && other == tables.end()) continue;
        const std::string edge{keys.text(i, 2)};
        if (one == tables.end() || other == tables.end()) {
            outside.push_back(edge);
            continue;
        }
        const auto tenants = by.tenants();
        const bool group_is_left = std::ranges::any_of(tenants, [&](const auto& tenant) {
            return by.what.after.of(by.group_of(*one->second), tenant) !=
                   by.what.after.of(by.group_of(*other->second), tenant);
        });
        if (group_is_left && (by.moves(*one->second) || by.moves(*other->second)))
            out.push_back(edge);
        else if (by.divides(*one->second) != by.divides(*other->second))
            shared.push_back(edge);
    }
    const std::string id = on.name + ".foreign_keys";
    if (!outside.empty())
        into.fail(id, "lead out of the stream's tables: " + listing(outside),
                  "take both tables of each into stream.tables, then crossfade init");
    else if (!out.empty())
        into.fail(id, "lead out of what changes hands: " + listing(out), "take both tables of each into one group");
    else if (!shared.empty())
        into.warn(id,
                  "tie rows of a tenant to rows that all tenants share, which stay where they are: " + listing(shared),
                  "leave those shared rows as they are while tenants are apart, and say --force");
    else
        into.ok(id, "none leads out of what changes hands");
}

// What is unique among all tenants is not looked after between two databases.
void look_at_keys(const judgement& by, const end& on, findings& into) {
    if (!by.divides_any(on.tables)) return;
    if (on.db.server_version() < 140000)
        return into.fail(on.name + ".version", "PostgreSQL older than 14 can't change a fence's tenants",
                         "move whole groups, or everything");
    std::map<std::string, const store::fenced_table*> tables;
    for (const auto& each : on.tables) tables[each.oid] = &each;
    // A key of one column that is drawn from a sequence, or of type uuid, is the tenant's own all the same.
    const auto keys =
        ask(on.db, "reading unique keys",
            "WITH t AS (" + std::string{store::stream_tables_sql} +
                "), drawn AS (SELECT d.refobjid AS relid, d.refobjsubid AS attnum FROM pg_depend d JOIN"
                " pg_class s ON s.oid = d.objid AND s.relkind = 'S' WHERE d.classid = 'pg_class'::regclass"
                " AND d.refclassid = 'pg_class'::regclass AND d.deptype IN ('a', 'i')"
                " UNION SELECT a.adrelid, a.adnum FROM pg_attrdef a JOIN pg_depend d ON d.classid ="
                " 'pg_attrdef'::regclass AND d.objid = a.oid JOIN pg_class s ON s.oid = d.refobjid AND"
                " s.relkind = 'S')"
                " SELECT i.indrelid::oid::text, i.indexrelid::regclass::text FROM pg_index i WHERE"
                " i.indrelid IN (TABLE t) AND (i.indisunique OR i.indisexclusion) AND NOT EXISTS (SELECT FROM"
                " pg_inherits h WHERE h.inhrelid = i.indexrelid) AND NOT EXISTS (SELECT FROM pg_attribute a"
                " WHERE a.attrelid = i.indrelid AND a.attnum = ANY (i.indkey::int2[]) AND (a.attname ="
                " $2::name OR a.atttypid = 'uuid'::regtype OR EXISTS (SELECT FROM drawn WHERE drawn.relid ="
                " a.attrelid AND drawn.attnum = a.attnum))) ORDER BY 2",
            {"crossfade_" + on.stream, by.config.tenants.column});
    std::vector<std::string> all;
    for (int i = 0; i < keys.size(); ++i) {
        const auto of = tables.find(std::string{keys.text(i, 0)});
        if (of != tables.end() && by.divides(*of->second)) all.emplace_back(keys.text(i, 1));
    }
    const std::string id = on.name + ".unique_keys";
    if (all.empty())
        into.ok(id, "no tenant can take another one's");
    else
        into.warn(id, "are unique among all tenants, and both sides may give out the same: " + listing(all),
                  "take " + by.config.tenants.column + " into them, or see to it in the application and say --force");
}

// Who is at home where, as the proxies route.
void look_at_tenant(const judgement& by, const end& from, findings& into) {
    std::vector<std::string> moved;
    std::vector<std::string> left;
    for (const auto& each : from.tables) {
        if (each.is_part) continue;
        const auto group = by.group_of(each);
        const bool some = std::ranges::any_of(by.tenants(), [&](const auto& tenant) {
            return !tenant.empty() && by.what.before.of(group, tenant) != by.what.after.of(group, tenant);
        });
        const bool whole = by.what.before.of(group, {}) != by.what.after.of(group, {});
        if (some && !whole) (each.by_tenant ? moved : left).push_back(each.name);
    }
    if (moved.empty() && left.empty()) return;
    if (moved.empty())
        into.fail("tenant", "no table has column " + by.config.tenants.column + " (tenants.column)",
                  "name the column by which rows tell their tenant");
    else if (!left.empty())
        into.warn("tenant",
                  "have no column " + by.config.tenants.column + ", and stay: " + listing(left) +
                      "; the tenant's sessions can't write to them once it has moved",
                  "see that its sessions only read them, and say --force");
    else
        into.ok("tenant", std::to_string(moved.size()) + " tables have column " + by.config.tenants.column);
}

void look_at_transactions(const end& from, findings& into) {
    const auto prepared =
        column(ask(from.db, "reading prepared transactions",
                   "SELECT gid FROM pg_prepared_xacts WHERE database = current_database() ORDER BY prepared"));
    if (!prepared.empty())
        into.fail("prepared_transactions", std::to_string(prepared.size()) + " on " + from.name + " hold their locks",
                  "COMMIT PREPARED or ROLLBACK PREPARED them");
    const auto long_ones =
        ask(from.db, "reading transactions",
            "SELECT pid || ' of ' || usename || ', for ' || date_trunc('second', clock_timestamp() -"
            " xact_start) FROM pg_stat_activity WHERE datname = current_database() AND backend_xid IS"
            " NOT NULL AND clock_timestamp() - xact_start > interval '1 second' ORDER BY xact_start");
    if (!long_ones.empty())
        into.warn("transactions",
                  "that have written run for long on " + from.name + ": process " + listing(column(long_ones)),
                  "wait for their end, or end them; a flip that meets them is undone");
    else if (prepared.empty())
        into.ok("transactions", "none on " + from.name + " is long");
}

void look_at_flags(const settings::configuration& config, const intent& what, findings& into) {
    const auto to = what.to;
    const auto leaves_out =
        to == side::modern ? settings::write_strategy::legacy_only : settings::write_strategy::modern_only;
    if (config.flags.has(leaves_out))
        into.fail("strategy", "under " + std::string{to_string(leaves_out)} + " the other side does not get all rows",
                  to == side::modern ? "legacy-primary or mirror for every scope" : "prefer-modern for every scope");
    if (to == side::legacy)
        for (const auto& each : scopes_that_move(what, config.flags))
            if (config.flags.resolve(each.group, each.tenant).cutover_completed)
                return into.fail("cutover", "cutover_completed is true for " + to_string(each) + " in the file",
                                 "cutover_completed: false, as long as crossfade flip --complete was not said");
}

}  // namespace

bool passes_by_itself(const findings& found) {
    return std::ranges::all_of(found.all(), [](const preflight::finding& each) {
        return each.outcome < preflight::verdict::warn || each.id == "transactions";
    });
}

findings look(const settings::configuration& config, const intent& what, pgclient::connection& legacy,
              pgclient::connection& modern, const std::stop_token& give_up) {
    const auto to = what.to;
    const auto old_end = gates::end_at(config, side::legacy, legacy);
    const auto new_end = gates::end_at(config, side::modern, modern);
    const judgement by{config, what};
    const auto& from = to == side::modern ? old_end : new_end;
    const auto& onto = to == side::modern ? new_end : old_end;
    findings found;
    look_at_flags(config, what, found);
    gates::look_at_rights(from, found);
    gates::look_at_rights(onto, found);
    look_at_audit(from, found);
    look_at_audit(onto, found);
    look_at_fence(by, from, found);
    look_at_fence(by, onto, found);
    look_at_tables(by, from, onto, found);
    look_at_tenant(by, from, found);
    look_at_ties(by, from, found);
    look_at_ties(by, onto, found);
    look_at_keys(by, from, found);
    look_at_keys(by, onto, found);
    look_at_sequences(by, from, onto, found);
    gates::look_at_differences(config.flags, what, from, onto, found);
    look_at_transactions(from, found);
    gates::look_at_sessions(from, found);
    gates::look_at_settings(from, onto, found);
    gates::look_at_way(from, onto, give_up, found);
    gates::look_at_way(onto, from, give_up, found);
    return found;
}

}  // namespace crossfade::handover
