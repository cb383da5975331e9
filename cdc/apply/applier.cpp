#include "cdc/apply/applier.hpp"

#include <algorithm>

#include "cdc/apply/fault.hpp"
#include "lib/failpoint/failpoint.hpp"
#include "lib/store/applied.hpp"
#include "lib/store/schema.hpp"

namespace crossfade::cdc::apply {

// A batch without what is left out, and why that was.
struct applier::sorted {
    std::vector<placed_event> events;
    batch_plan plan;
    std::map<std::string, std::uint64_t> applied;
    std::map<std::string, std::uint64_t> skipped;
    std::map<std::string, model::lsn> stale;    // tables of which rows are left out, and since when
    std::string unfinished;                     // a table whose copy was broken off
    std::string overfull;                       // one that waits for DDL, with no room for more
    std::shared_ptr<const table_mapping> tied;  // one whose rows may be in each other's way
};

namespace {

apply_report tied(const table_mapping& by) {
    apply_report report;
    report.what = apply_report::outcome::tied;
    report.table = to_string(by.target);
    report.constraint = *by.tied_by;
    return report;
}

std::string_view kind_of(const model::change_event& event) {
    struct {
        std::string_view operator()(const model::row_change& change) const {
            switch (change.operation) {
                case model::row_operation::insert:
                    return "insert";
                case model::row_operation::update:
                    return "update";
                case model::row_operation::remove:
                    break;
            }
            return "delete";
        }
        std::string_view operator()(const model::truncate&) const { return "truncate"; }
        std::string_view operator()(const model::logical_message&) const { return "message"; }
        std::string_view operator()(const model::heartbeat&) const { return "heartbeat"; }
    } name;
    return std::visit(name, event.body);
}

bool asks_to_be_told(const std::vector<consume::received>& events) {
    return std::ranges::any_of(events, [](const consume::received& each) {
        const auto* message = std::get_if<model::logical_message>(&each.event.body);
        return message != nullptr && message->prefix == model::telling_prefix;
    });
}

void add_up(std::map<std::string, std::uint64_t>& into, const std::map<std::string, std::uint64_t>& more) {
    for (const auto& [name, count] : more) into[name] += count;
}

}  // namespace

applier::applier(session& to, target_catalog& catalog, careful_settings settings, store::progress from,
                 recent_transactions& recent)
    : to_(to),
      catalog_(catalog),
      settings_(std::move(settings)),
      progress_(std::move(from)),
      letters_(to_, catalog_, settings_),
      recent_(recent) {}

pgclient::result<void> applier::load_tables() {
    // The fingerprint first: what changes between the two queries is noticed as a difference.
    auto fingerprint = to_.db.exec(std::string{store::tables_fingerprint_sql()}, {settings_.stream});
    if (!fingerprint) return fingerprint.error();
    auto loaded = store::load_tables(to_.db, settings_.stream);
    if (!loaded) return loaded.error();
    fingerprint_ = fingerprint->text(0, 0);
    tables_.clear();
    for (auto& table : *loaded) {
        auto& known = tables_[table.table];
        known.copied_at = source_snapshot::parse(table.snapshot);
        static_cast<store::table_state&>(known) = std::move(table);
    }
    if (auto letters = letters_.load(); !letters) return letters;
    reload_ = false;
    return to_.refresh_origins(settings_.stream);
}

applier::treatment applier::treat(const model::table_name& table, const model::change_event& event) {
    if (tables_.empty()) return treatment::apply;
    const auto found = tables_.find(model::to_string(table));
    if (found == tables_.end()) return treatment::apply;
    const auto& known = found->second;
    if (known.state == "copying") return treatment::unfinished;
    if (known.state == "new") return treatment::left_out;
    if (known.state == "backfilling") {
        recent_.note(event.xid);
        if (!known.whole) {
            const bool newer = known.settled_lsn && event.at.commit_lsn >= *known.settled_lsn;
            return newer ? treatment::settling : treatment::copied_over;
        }
        // Before there is a snapshot, everything will be in it.
        return !known.copied_at || known.copied_at->has(event.xid) ? treatment::copied : treatment::apply;
    }
    return known.copied_lsn && event.at.commit_lsn < *known.copied_lsn ? treatment::copied : treatment::apply;
}

pgclient::result<applier::sorted> applier::sort(const std::vector<consume::received>& events, scope_filter& scopes) {
    sorted made;
    batch_planner planner;
    const auto treated = [&](const model::table_name& table, const model::change_event& event) {
        const auto as = treat(table, event);
        if (as == treatment::unfinished) made.unfinished = model::to_string(table);
        return as;
    };
    catalog_.forget_refused();
    const auto& waiting = letters_.rows();
    bool waits = false;
    for (const auto& each : events) {
        const auto& at = each.event.at;
        if (const auto* change = std::get_if<model::row_change>(&each.event.body)) {
            auto mapping = catalog_.mapping(to_.db, change->rel);
            if (!mapping) return mapping.error();
            const auto as = treated(change->rel->table, each.event);
            if (as == treatment::copied || as == treatment::left_out) {
                ++made.skipped[as == treatment::copied ? "copied" : "new"];
                continue;
            }
            if (settings_.by_key && (*mapping)->tied_by) made.tied = *mapping;
            const bool copying = as == treatment::copied_over || as == treatment::settling;
            if (copying && !(*mapping)->key.empty()) {
                // Under legacy-only, too: at its end the copy is to be whole.
                const auto how = as == treatment::settling ? strictness::settling : strictness::copied_over;
                planner.add(*change, *mapping, how);
                made.events.push_back({&each, {*mapping}, how});
                ++made.applied[std::string{kind_of(each.event)}];
                continue;
            }
            if (!copying && !scopes.applies(change->rel->table, tenant_of(**mapping, *change))) {
                ++made.skipped["legacy-only"];
                made.stale.try_emplace(model::to_string(change->rel->table), at.commit_lsn);
                continue;
            }
            waits = waits || (!waiting.empty() && waiting.holds(to_string((*mapping)->target), *change));
            if (waiting.held_changes() >= settings_.most_waiting && waiting.held(to_string((*mapping)->target)))
                made.overfull = to_string((*mapping)->target);
            planner.add(*change, *mapping);
            made.events.push_back({&each, {*mapping}});
        } else if (const auto* emptied = std::get_if<model::truncate>(&each.event.body)) {
            std::vector<std::shared_ptr<const table_mapping>> mappings;
            for (const auto& rel : emptied->relations) {
                const auto as = treated(rel->table, each.event);
                if (as == treatment::copied || as == treatment::left_out) continue;
                // A truncate has no tenant: what holds for the table's group as a whole decides.
                if (as == treatment::apply && !scopes.applies(rel->table, {})) {
                    made.stale.try_emplace(model::to_string(rel->table), at.commit_lsn);
                    continue;
                }
                auto mapping = catalog_.mapping(to_.db, rel);
                if (!mapping) return mapping.error();
                waits = waits || waiting.any(to_string((*mapping)->target));
                mappings.push_back(*mapping);
            }
            if (mappings.empty()) {
                ++made.skipped["truncate"];
                continue;
            }
            planner.add(*emptied, mappings);
            made.events.push_back({&each, std::move(mappings)});
        } else if (events::is_ddl(each.event)) {
            // At its place between the rows, and those behind it may need another mapping.
            waits = true;
            made.events.push_back({&each, {}});
        }
        ++made.applied[std::string{kind_of(each.event)}];
    }
    made.plan = planner.take();
    if (waits || (!to_.replica_role && made.plan.changes > 0)) made.plan.careful = true;
    return made;
}

pgclient::result<apply_report> applier::apply(const std::vector<consume::received>& events,
                                              const std::optional<store::progress>& advance, scope_filter& scopes,
                                              const std::vector<std::uint32_t>& moved) {
    for (int attempt = 0;; ++attempt) {
        if (reload_ && !open_) {
            if (auto loaded = load_tables(); !loaded) return loaded.error();
        }
        if (letters_.asked() && !open_ && advance) {
            if (auto served = serve_letters(); !served) return served.error();
        }
        auto report = write(events, advance, scopes, moved);
        if (!report) {
            give_up(report.error());
            return report.error();
        }
        if (*report) return std::move(**report);
        // crossfade.tables has changed under the batch. A part can't be sorted anew alone: its forerunners were sorted
        // by what is gone.
        if (attempt == 3 || !advance) {
            return pgclient::failure{"40001", "crossfade.tables changes all the time", {}, {}, {}};
        }
    }
}

statement applier::moving(const store::progress& to, const std::vector<std::uint32_t>& moved) const {
    auto parameters = store::advance_parameters(settings_.stream, settings_.partition, progress_, to);
    if (moved.empty()) return {std::string{store::advance_sql()}, std::move(parameters), std::nullopt};
    parameters.emplace_back(store::text_of_partitions(moved));
    return {std::string{store::advance_several_sql()}, std::move(parameters), std::nullopt};
}

std::size_t applier::add_beginning() {
    auto& pipe = *to_.pipe;
    pipe.add("BEGIN");
    pipe.add(statement{std::string{store::try_share_sql}, store::lock_key(store::lock::backfilling, settings_.stream),
                       std::nullopt});
    pipe.add(statement{std::string{store::tables_fingerprint_sql()}, {settings_.stream}, std::nullopt});
    return 3;
}

statement applier::telling(model::lsn end) const {
    return {std::string{store::tell_applied_sql},
            {std::string{store::applied_channel}, store::applied_payload(settings_.stream, end)},
            std::nullopt};
}

pgclient::result<std::optional<apply_report>> applier::write(const std::vector<consume::received>& events,
                                                             const std::optional<store::progress>& advance,
                                                             scope_filter& scopes,
                                                             const std::vector<std::uint32_t>& moved) {
    auto sorting = sort(events, scopes);
    if (!sorting) return sorting.error();
    auto& batch = *sorting;
    auto& pipe = *to_.pipe;
    const bool fresh = !open_;
    apply_report report;
    std::size_t before_rows = 0;
    if (fresh && !batch.overfull.empty()) {
        reload_ = true;  // an operator makes room
        report.what = apply_report::outcome::overfull;
        report.table = batch.overfull;
        return std::optional{std::move(report)};
    }
    if (batch.tied) return std::optional{tied(*batch.tied)};
    if (fresh) {
        so_far_ = {};
        before_rows += add_beginning();
    }
    if (advance) {
        if (asks_to_be_told(events)) {
            pipe.add(telling(advance->end_lsn));
            ++before_rows;
        }
        pipe.add(moving(*advance, moved));
        ++before_rows;
    }
    pipe.add("SAVEPOINT crossfade_batch");
    ++before_rows;
    if (!batch.plan.careful) {
        for (const auto& part : batch.plan.segments) {
            for (const auto& each : many(part, to_.origins, {}, settings_.stream)) pipe.add(each);
        }
    }
    std::vector<pipeline::answer> answers;
    std::optional<pgclient::failure> fault;
    if (auto got = pipe.run(&answers); got) {
        answers = std::move(*got);
    } else if (answers.size() < before_rows || !is_row_fault(got.error())) {
        return got.error();
    } else {
        fault = got.error();
    }
    open_ = true;
    failpoint::pass("apply.begun");

    if (fresh && !answers[1].got.boolean(0, 0)) report.what = apply_report::outcome::backfill;
    if (report.what == apply_report::outcome::applied && fresh && answers[2].got.text(0, 0) != fingerprint_) {
        if (auto done = roll_back(); !done) return done.error();
        reload_ = true;
        return std::optional<apply_report>{};
    }
    if (report.what == apply_report::outcome::applied && !batch.unfinished.empty()) {
        report.what = apply_report::outcome::unfinished;
        report.table = batch.unfinished;
    }
    if (advance && report.what == apply_report::outcome::applied &&
        answers[before_rows - 2].got.affected() != static_cast<int>(std::max<std::size_t>(moved.size(), 1))) {
        report.what = apply_report::outcome::fenced;
    }
    if (report.what != apply_report::outcome::applied) {
        if (auto done = roll_back(); !done) return done.error();
        return std::optional{std::move(report)};
    }
    bool careful = batch.plan.careful || fault;
    for (const auto& each : answers) careful = careful || !each.as_expected();
    if (careful && !batch.events.empty()) {
        pipe.add("ROLLBACK TO SAVEPOINT crossfade_batch");
        if (auto done = pipe.run(); !done) return done.error();
        if (fault) {
            // Perhaps the follower's tables are others by now.
            catalog_.forget();
            auto again = sort(events, scopes);
            if (!again) return again.error();
            batch = std::move(*again);
            if (batch.tied) {
                if (auto done = roll_back(); !done) return done.error();
                return std::optional{tied(*batch.tied)};
            }
        }
        failpoint::pass("apply.careful");
        if (auto done = write_carefully(batch, scopes, report); !done) return done.error();
    }
    mark_stale(batch);
    report.rows = batch.plan.changes;
    add_up(so_far_.applied, batch.applied);
    add_up(so_far_.skipped, batch.skipped);
    so_far_.rows += report.rows;
    so_far_.dead_letters += report.dead_letters;
    so_far_.careful = so_far_.careful || report.careful;
    so_far_.records.insert(so_far_.records.end(), report.records.begin(), report.records.end());
    so_far_.ddl.insert(so_far_.ddl.end(), report.ddl.begin(), report.ddl.end());
    if (!advance) {
        pipe.add("RELEASE SAVEPOINT crossfade_batch");
        if (auto done = pipe.run(); !done) return done.error();
        failpoint::pass("apply.part");
        return std::optional{apply_report{}};
    }
    failpoint::pass("apply.written");
    pipe.add("COMMIT");
    if (auto done = pipe.run(); !done) return done.error();
    failpoint::pass("apply.committed");
    open_ = false;
    progress_ = *advance;
    so_far_.letters = std::exchange(served_, {});
    return std::optional{std::exchange(so_far_, {})};
}

pgclient::result<void> applier::write_carefully(sorted& batch, scope_filter& scopes, apply_report& report) {
    careful_writer writer{*to_.pipe, settings_, to_.origins, letters_.rows()};
    ddl_keeper ddl{to_, settings_};
    bool changed = false;
    for (auto& each : batch.events) {
        const auto& event = each.from->event;
        if (events::is_ddl(event)) {
            const auto applied = [&](const model::table_name& table) {
                return treat(table, event) == treatment::apply && scopes.applies(table, {});
            };
            if (auto done = ddl.apply(*each.from, applied, letters_.rows(), report.ddl); !done) return done;
            catalog_.forget();
            changed = true;
            continue;
        }
        for (auto& mapping : each.mappings) {
            if (!changed) break;
            auto anew = catalog_.mapping(to_.db, mapping->rel);
            if (!anew) return anew.error();
            mapping = std::move(*anew);
        }
        if (auto done = writer.apply(each); !done) return done;
    }
    report.careful = true;
    report.records = writer.records();
    report.dead_letters = writer.dead_letters();
    return {};
}

pgclient::result<void> applier::serve_letters() {
    failpoint::pass("letters.asked");
    auto done = letters_.serve(progress_);
    if (!done) {
        give_up(done.error());
        return done.error();
    }
    served_.replayed += done->replayed;
    served_.refused += done->refused;
    served_.behind += done->behind;
    served_.discarded += done->discarded;
    return load_tables();
}

bool applier::marks_stale(const sorted& batch) const {
    return std::ranges::any_of(batch.stale, [&](const auto& each) {
        const auto known = tables_.find(each.first);
        return known == tables_.end() || known->second.state == "live";
    });
}

void applier::mark_stale(const sorted& batch) {
    for (const auto& [table, since] : batch.stale) {
        const auto known = tables_.find(table);
        if (known != tables_.end() && known->second.state != "live") continue;
        to_.pipe->add(
            statement{"INSERT INTO crossfade.tables AS t (stream, table_name, state, stale_since)"
                      " VALUES ($1::text, $2::text, 'stale', $3::pg_lsn) ON CONFLICT (stream, table_name)"
                      " DO UPDATE SET state = 'stale', stale_since = excluded.stale_since, updated_at = now()"
                      " WHERE t.state = 'live'",
                      {settings_.stream, table, model::to_string(since)},
                      std::nullopt});
        reload_ = true;
    }
}

pgclient::result<bool> applier::prepare(const std::vector<consume::received>& events, scope_filter& scopes,
                                        const std::function<bool(touched_rows)>& admit) {
    if (reload_) {
        if (auto loaded = load_tables(); !loaded) return loaded.error();
    }
    // What is left out of a table that is being copied has to be known to whoever copies it (recent_transactions).
    const bool copying =
        std::ranges::any_of(tables_, [](const auto& each) { return each.second.state == "backfilling"; });
    if (copying || letters_.asked()) return false;
    auto sorting = sort(events, scopes);
    if (!sorting) return sorting.error();
    auto& batch = *sorting;
    auto rows = touched(batch.plan);
    if (!rows || !batch.unfinished.empty() || marks_stale(batch) || !admit(std::move(*rows))) return false;

    auto& pipe = *to_.pipe;
    add_beginning();
    for (const auto& part : batch.plan.segments) {
        for (const auto& each : many(part, to_.origins, {}, settings_.stream)) pipe.add(each);
    }
    const auto answers = pipe.run();
    if (!answers) {
        if (answers.error().connection_lost()) return answers.error();
        // Perhaps the follower's tables are others by now; whatever it is, apply() will meet it alone.
        catalog_.forget();
        if (auto done = roll_back(); !done) return done.error();
        return false;
    }
    open_ = true;
    bool good = (*answers)[1].got.boolean(0, 0) && (*answers)[2].got.text(0, 0) == fingerprint_;
    for (const auto& each : *answers) good = good && each.as_expected();
    if (!good) {
        if (auto done = roll_back(); !done) return done.error();
        return false;
    }
    so_far_ = {};
    so_far_.rows = batch.plan.changes;
    so_far_.applied = std::move(batch.applied);
    so_far_.skipped = std::move(batch.skipped);
    tells_ = asks_to_be_told(events);
    failpoint::pass("lanes.prepared");
    return true;
}

pgclient::result<apply_report> applier::finish(const store::progress& from, const store::progress& to) {
    auto& pipe = *to_.pipe;
    if (std::exchange(tells_, false)) pipe.add(telling(to.end_lsn));
    pipe.add(statement{std::string{store::advance_or_fail_sql()},
                       store::advance_parameters(settings_.stream, settings_.partition, from, to), std::nullopt});
    pipe.add("COMMIT");
    if (auto done = pipe.run(); !done) {
        if (done.error().sqlstate != store::not_advanced) {
            give_up(done.error());
            return done.error();
        }
        if (auto undone = roll_back(); !undone) return undone.error();
        apply_report report;
        report.what = apply_report::outcome::fenced;
        return report;
    }
    failpoint::pass("lanes.committed");
    open_ = false;
    progress_ = to;
    return std::exchange(so_far_, {});
}

// Whatever state the transaction is in, it is of no use.
void applier::give_up(const pgclient::failure& because) {
    if (!because.connection_lost()) (void)roll_back();
    open_ = false;
    reload_ = true;  // what waits is what the database says
}

pgclient::result<void> applier::roll_back() {
    open_ = false;
    so_far_ = {};
    reload_ = true;
    to_.pipe->add("ROLLBACK");
    if (auto done = to_.pipe->run(); !done) return done.error();
    return {};
}

}  // namespace crossfade::cdc::apply
