#include "cdc/apply/applier.hpp"

#include <algorithm>

#include "cdc/apply/fault.hpp"
#include "cdc/apply/sorted.hpp"
#include "lib/failpoint/failpoint.hpp"
#include "lib/store/applied.hpp"
#include "lib/store/authority.hpp"
#include "lib/store/schema.hpp"

namespace crossfade::cdc::apply {

namespace {

apply_report tied(const table_mapping& by) {
    apply_report report;
    report.what = apply_report::outcome::tied;
    report.table = to_string(by.target);
    report.constraint = *by.tied_by;
    return report;
}

bool any_of(const row_marks& these, const row_marks& among) {
    return std::ranges::any_of(these, [&](auto mark) { return among.contains(mark); });
}

constexpr std::string_view lock_not_available = "55P03";
constexpr int most_waits = 20;      // for transactions that mirror, each as long as the session's lock_timeout
constexpr int most_overtaken = 10;  // times that a batch is written anew because of them

void add_up(std::map<std::string, std::uint64_t>& into, const std::map<std::string, std::uint64_t>& more) {
    for (const auto& [name, count] : more) into[name] += count;
}

}  // namespace

void applier::marks::note(const std::vector<consume::received>& events) {
    for (const auto& each : events) {
        const auto* message = std::get_if<model::logical_message>(&each.event.body);
        if (message == nullptr || message->prefix != model::telling_prefix) continue;
        if (const auto one = store::parse_mark(message->content)) {
            auto& known = newest[one->asker];
            known = std::max(known, one->number);
        } else {
            without_number = true;
        }
    }
}

applier::applier(session& to, target_catalog& catalog, careful_settings settings, store::progress from,
                 recent_transactions& recent)
    : to_(to),
      catalog_(catalog),
      settings_(std::move(settings)),
      progress_(std::move(from)),
      letters_(to_, catalog_, settings_),
      recent_(recent),
      doubts_(progress_) {}

pgclient::result<void> applier::load_tables() {
    // The fingerprint first: what changes between the two queries is noticed as a difference.
    const auto question = fingerprinting();
    auto fingerprint = to_.db.exec(question.sql, question.parameters);
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
    at_home_.reset();
    if (!settings_.authority_of.empty()) {
        auto authority = store::load_authority(to_.db, settings_.authority_of);
        if (!authority) return authority.error();
        const auto follower = settings_.ends.follower == to_string(settings::side::modern) ? settings::side::modern
                                                                                           : settings::side::legacy;
        if (*authority && (*authority)->authorities.has(follower))
            at_home_ = at_home{follower, std::move((*authority)->authorities)};
    }
    reload_ = false;
    return to_.refresh_origins(settings_.stream);
}

pgclient::result<apply_report> applier::apply(const std::vector<consume::received>& events,
                                              const std::optional<store::progress>& advance, scope_filter& scopes,
                                              const std::vector<std::uint32_t>& moved) {
    int waits = 0;
    for (int attempt = 0;;) {
        const bool fresh = !open_;
        if (reload_ && fresh) {
            if (auto loaded = load_tables(); !loaded) return loaded.error();
        }
        if (letters_.asked() && fresh) {
            if (auto served = serve_letters(); !served) return served.error();
        }
        auto report = write(events, advance, scopes, moved);
        if (!report) {
            // Who mirrors holds its locks until legacy has committed, or a timeout of the proxy's has ended it.
            const bool again = judging_ && fresh && report.error().sqlstate == lock_not_available;
            give_up(report.error());
            if (again && ++waits < most_waits) continue;
            return report.error();
        }
        if (*report) return std::move(**report);
        // A part can't be sorted anew alone: its forerunners were sorted by what is gone.
        if (++attempt == 4 || !fresh) {
            return pgclient::failure{"40001", "crossfade.tables or crossfade.receipts change all the time", {}, {}, {}};
        }
    }
}

statement applier::moving(const store::progress& to, const std::vector<std::uint32_t>& moved) const {
    auto parameters = store::advance_parameters(settings_.stream, settings_.partition, progress_, to);
    if (moved.empty()) return {std::string{store::advance_sql()}, std::move(parameters), std::nullopt};
    parameters.emplace_back(store::text_of_partitions(moved));
    return {std::string{store::advance_several_sql()}, std::move(parameters), std::nullopt};
}

statement applier::fingerprinting() const {
    if (settings_.authority_of.empty())
        return {std::string{store::tables_fingerprint_sql()}, {settings_.stream}, std::nullopt};
    return {std::string{store::tables_and_authority_fingerprint_sql()},
            {settings_.stream, settings_.authority_of},
            std::nullopt};
}

std::size_t applier::add_beginning() {
    auto& pipe = *to_.pipe;
    pipe.add("BEGIN");
    pipe.add(statement{std::string{store::try_share_sql}, store::lock_key(store::lock::backfilling, settings_.stream),
                       std::nullopt});
    pipe.add(fingerprinting());
    return 3;
}

applier::beginning applier::read_beginning(const std::vector<pipeline::answer>& answers) const {
    if (!answers[1].got.boolean(0, 0)) return beginning::backfill;
    return answers[2].got.text(0, 0) == fingerprint_ ? beginning::good : beginning::other_tables;
}

pgclient::result<std::optional<apply_report>> applier::turn_back(std::optional<apply_report> with) {
    if (open_) {
        if (auto done = roll_back(); !done) return done.error();
    }
    return with;
}

void applier::tell(model::lsn end) {
    for (const auto& [asker, number] : marks_.newest)
        add_telling(store::applied_payload(settings_.stream, store::mark{asker, number}));
    if (marks_.without_number) add_telling(store::applied_payload(settings_.stream, end));
    marks_ = {};
}

void applier::add_telling(std::string payload) {
    to_.pipe->add(statement{
        std::string{store::tell_applied_sql}, {std::string{store::applied_channel}, std::move(payload)}, std::nullopt});
}

pgclient::result<std::optional<apply_report>> applier::write(const std::vector<consume::received>& events,
                                                             const std::optional<store::progress>& advance,
                                                             scope_filter& scopes,
                                                             const std::vector<std::uint32_t>& moved) {
    auto& pipe = *to_.pipe;
    const bool fresh = !open_;
    apply_report report;
    const auto turned_back = [&](beginning by) {
        if (by == beginning::other_tables) return turn_back(std::nullopt);
        report.what = apply_report::outcome::backfill;
        return turn_back(std::move(report));
    };
    if (fresh) {
        so_far_ = {};
        amiss_ = false;
        marks_ = {};
        judging_ = judges(scopes);
        mirrored_ = {};
    }
    if (judging_) {
        auto began = read_receipts(events);
        if (!began) return began.error();
        if (*began != beginning::good) return turned_back(*began);
    }
    auto sorting = sort(events, scopes);
    if (!sorting) return sorting.error();
    auto& batch = *sorting;
    if (fresh && !batch.overfull.empty()) {
        report.what = apply_report::outcome::overfull;
        report.table = batch.overfull;
        reload_ = true;  // an operator makes room
        return turn_back(std::move(report));
    }
    if (batch.tied) return std::optional{tied(*batch.tied)};
    const bool begins = !open_;
    std::size_t before_rows = begins ? add_beginning() : 0;
    if (advance) {
        pipe.add(moving(*advance, moved));
        ++before_rows;
    }
    pipe.add("SAVEPOINT crossfade_batch");
    ++before_rows;
    auto tried = write_at_once(batch, before_rows);
    if (!tried) return tried.error();
    open_ = true;
    failpoint::pass("apply.begun");

    if (begins) {
        if (const auto began = read_beginning(tried->answers); began != beginning::good) return turned_back(began);
    }
    if (!batch.unfinished.empty()) {
        report.what = apply_report::outcome::unfinished;
        report.table = batch.unfinished;
    } else if (advance && tried->answers[before_rows - 2].got.affected() !=
                              static_cast<int>(std::max<std::size_t>(moved.size(), 1))) {
        report.what = apply_report::outcome::fenced;
    }
    if (report.what != apply_report::outcome::applied) return turn_back(std::move(report));
    auto seen = see_through(batch, std::move(*tried), events, scopes, report);
    if (!seen) return seen.error();
    if (!*seen) return turn_back(std::nullopt);
    if (batch.tied) return turn_back(tied(*batch.tied));
    amiss_ = amiss_ || report.dead_letters > 0 || !report.records.empty() || !report.ddl.empty() ||
             marks_stale(batch) || !batch.copy_anew.empty();
    mark_stale(batch);
    copy_anew(batch);
    report.rows = batch.plan.changes;
    add_up(so_far_.applied, batch.applied);
    add_up(so_far_.skipped, batch.skipped);
    so_far_.rows += report.rows;
    so_far_.dead_letters += report.dead_letters;
    so_far_.healed += report.healed;
    if (fresh) so_far_.judged = mirrored_.written.size();
    so_far_.given_up += std::exchange(given_up_, 0) + (advance ? mirrored_.unmet.size() : 0);
    so_far_.careful = so_far_.careful || report.careful;
    so_far_.records.insert(so_far_.records.end(), report.records.begin(), report.records.end());
    so_far_.ddl.insert(so_far_.ddl.end(), report.ddl.begin(), report.ddl.end());
    marks_.note(events);
    if (!advance) {
        pipe.add("RELEASE SAVEPOINT crossfade_batch");
        if (auto done = pipe.run(); !done) return done.error();
        failpoint::pass("apply.part");
        return std::optional{apply_report{}};
    }
    failpoint::pass("apply.written");
    if (amiss_) add_telling(store::amiss_payload(settings_.stream));
    tell(advance->end_lsn);
    pipe.add("COMMIT");
    if (auto done = pipe.run(); !done) return done.error();
    failpoint::pass("apply.committed");
    open_ = false;
    progress_ = *advance;
    so_far_.letters = std::exchange(served_, {});
    return std::optional{std::exchange(so_far_, {})};
}

pgclient::result<applier::attempted> applier::write_at_once(const sorted& batch, std::size_t before_rows) {
    auto& pipe = *to_.pipe;
    attempted made;
    std::vector<std::size_t> checks;
    auto next = before_rows;
    if (!batch.taken_back.empty()) {
        pipe.add(take_rows_back(settings_.stream, batch.taken_back));
        ++next;
    }
    for (const auto& part : batch.plan.segments) {
        if (batch.plan.careful) break;
        for (const auto& each : many(part, to_.origins, {}, settings_.stream)) {
            if (each.checks) checks.push_back(next);
            pipe.add(each);
            ++next;
        }
    }
    const auto shapes_at = next;
    for (const auto& each : batch.mappings) {
        if (batch.plan.careful) break;
        pipe.add(unless_as_mapped(*each));
        ++next;
    }
    // What was written is locked now: who mirrors a later change of it has committed by this, or waits for us.
    if (heeds_receipts()) pipe.add(rows_ahead(settings_.stream));
    if (auto got = pipe.run(&made.answers); got) {
        made.answers = std::move(*got);
    } else if (made.answers.size() < before_rows || !is_row_fault(got.error())) {
        return got.error();
    } else {
        made.fault = got.error();
        return made;
    }
    for (std::size_t i = 0; i < made.answers.size(); ++i) {
        if (made.answers[i].as_expected()) continue;
        made.surprised = true;
        made.reshaped = made.reshaped || (i >= shapes_at && i < next);
    }
    made.good = !batch.plan.careful && !made.surprised;
    if (!heeds_receipts()) return made;
    const auto ahead = marks_in(made.answers.back().got);
    made.good = made.good && (judging_ ? !any_of(batch.written, ahead) : ahead.empty());
    for (const auto at : checks) {
        for (const auto mark : marks_in(made.answers[at].got)) made.good = made.good && ahead.contains(mark);
    }
    return made;
}

// Runs what was added before.
pgclient::result<void> applier::read_rows_ahead() {
    if (heeds_receipts()) to_.pipe->add(rows_ahead(settings_.stream));
    auto got = to_.pipe->run();
    if (!got) return got.error();
    if (!heeds_receipts()) return {};
    mirrored_.ahead = marks_in(got->back().got);
    if (!mirrored_.ahead.empty()) seen_receipts();
    return {};
}

pgclient::result<bool> applier::see_through(sorted& batch, attempted tried,
                                            const std::vector<consume::received>& events, scope_filter& scopes,
                                            apply_report& report) {
    for (int times = 0; !tried.good; ++times) {
        if (times == most_overtaken) {
            return pgclient::failure{
                "40001", "rows are mirrored, or tables altered, while they are written, again and again", {}, {}, {}};
        }
        to_.pipe->add("ROLLBACK TO SAVEPOINT crossfade_batch");
        if (auto read = read_rows_ahead(); !read) return read.error();
        if (!judging_ && !mirrored_.ahead.empty()) return false;
        // Receipts that the batch had say nothing do again: what is new of such rows is met below.
        const bool overtaken = std::ranges::any_of(batch.written, [&](auto mark) {
            return mirrored_.ahead.contains(mark) && !batch.taken_back.contains(mark);
        });
        const bool learns = tried.fault || tried.surprised;
        if (learns) catalog_.forget();  // perhaps the follower's tables are others by now
        if (learns || judging_) {
            auto again = sort(events, scopes);
            if (!again) return again.error();
            batch = std::move(*again);
            if (batch.tied) return true;
        }
        report = {};
        if ((overtaken || tried.reshaped) && !batch.plan.careful) {
            auto next = write_at_once(batch, 0);
            if (!next) return next.error();
            tried = std::move(*next);
            continue;
        }
        failpoint::pass("apply.careful");
        const auto waiting = letters_.rows();
        const auto written = write_carefully(batch, scopes, report);
        if (!written) return written.error();
        tried = {};
        tried.surprised = !*written;
        tried.good = *written;
        if (tried.good && !judging_) break;
        if (auto read = read_rows_ahead(); !read) return read.error();
        tried.good = tried.good && !any_of(batch.written, mirrored_.ahead) && !any_of(batch.checked, mirrored_.ahead);
        if (!tried.good) letters_.rows() = waiting;
    }
    return true;
}

pgclient::result<bool> applier::are_as_mapped(const mapping_set& used) {
    if (used.empty()) return true;
    for (const auto& each : used) to_.pipe->add(unless_as_mapped(*each));
    const auto got = to_.pipe->run();
    if (!got) return got.error();
    return std::ranges::all_of(*got, &pipeline::answer::as_expected);
}

pgclient::result<bool> applier::write_carefully(sorted& batch, scope_filter& scopes, apply_report& report) {
    if (judging_) {
        // A proxy may have an origin that is new.
        if (auto read = to_.refresh_origins(settings_.stream); !read) return read.error();
    }
    if (!batch.taken_back.empty()) {
        to_.pipe->add(take_rows_back(settings_.stream, batch.taken_back));
        if (auto taken = to_.pipe->run(); !taken) return taken.error();
    }
    careful_writer writer{*to_.pipe, settings_, to_.origins, letters_.rows()};
    ddl_keeper ddl{to_, settings_};
    bool changed = false;
    mapping_set used;
    for (auto& each : batch.events) {
        const auto& event = each.from->event;
        if (events::is_ddl(event)) {
            if (auto so_far = are_as_mapped(used); !so_far || !*so_far) return so_far;
            used.clear();
            const auto stands = [&](const events::ddl_table& table) {
                return standing_of(table, event, scopes, batch);
            };
            if (auto done = ddl.apply(*each.from, stands, letters_.rows(), report.ddl); !done) return done.error();
            batch.copy_anew.insert(ddl.to_copy_anew().begin(), ddl.to_copy_anew().end());
            catalog_.forget();
            changed = true;
            continue;
        }
        for (auto& mapping : each.mappings) {
            if (changed) {
                auto anew = mapping_of(mapping->rel, each.row(), scopes);
                if (!anew) return anew.error();
                mapping = std::move(*anew);
            }
            if (!mapping->refused) used.insert(mapping);
        }
        if (auto done = writer.apply(each); !done) return done.error();
    }
    batch.copy_anew.insert(writer.to_copy_anew().begin(), writer.to_copy_anew().end());
    report.careful = true;
    report.healed = writer.healed();
    report.records = writer.records();
    report.dead_letters = writer.dead_letters();
    return are_as_mapped(used);
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
