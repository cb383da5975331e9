#include "cdc/follow/stream_follower.hpp"

#include <spdlog/spdlog.h>

#include "cdc/follow/batch.hpp"
#include "lib/failpoint/failpoint.hpp"
#include "lib/settings/directions.hpp"
#include "lib/store/schema.hpp"

namespace crossfade::cdc::follow {

namespace {

using std::chrono::milliseconds;
using steady = std::chrono::steady_clock;

constexpr std::chrono::seconds idle_transaction{30};  // an unfinished transaction stays open on the follower this long
constexpr std::chrono::seconds interrupt_after{3};    // a statement under way at SIGTERM
constexpr milliseconds broker_timeout{5000};
constexpr milliseconds first_pause{100};

// Of what is behind: by the source's clock.
milliseconds lag_of(const std::optional<model::source_time>& committed) {
    if (!committed) return milliseconds{0};
    return std::chrono::duration_cast<milliseconds>(std::chrono::system_clock::now() - *committed);
}

using apply_outcome = apply::apply_report::outcome;

// Until an operator has done something about it.
bool holds_up(const apply::apply_report& of) {
    return of.what == apply_outcome::overfull || of.what == apply_outcome::tied;
}

std::string reason_of(const apply::apply_report& of, const settings::configuration& config) {
    const std::string follower{config.follower_name()};
    if (of.what == apply_outcome::overfull)
        return of.table + " waits for DDL, and no more of its changes find room on " + follower;
    return follower + "'s " + of.constraint + " ties rows of " + of.table +
           " that the stream has in several partitions";
}

std::string remedy_of(const apply::apply_report& of) {
    if (of.what == apply_outcome::overfull) return "crossfade ddl list --paused";
    return "drop " + of.constraint + " on modern, ALTER TABLE " + of.table +
           " REPLICA IDENTITY FULL on legacy, and make it again when the stream has passed that (docs/operations.md)";
}

std::int64_t steady_ms() {
    return std::chrono::duration_cast<milliseconds>(steady::now().time_since_epoch()).count();
}

// Partitions share what librdkafka may hold for one.
settings::kafka sparing(settings::kafka config, const settings::stream& stream) {
    constexpr int kilobytes = 16 << 10;
    config.properties.try_emplace("queued.max.messages.kbytes",
                                  std::to_string(std::max(kilobytes / stream.topic_partitions(), 1 << 10)));
    return config;
}

}  // namespace

stream_follower::stream_follower(int partition, std::function<settings::snapshot()> in_force, status_board& board,
                                 metrics& measured, std::function<void()> on_records)
    : partition_(partition),
      in_force_(std::move(in_force)),
      at_start_(in_force_()),
      board_(board),
      measured_(measured),
      held_bytes_(measured.held_bytes),
      held_bytes_limit_(measured.held_bytes_limit),
      read_ahead_(measured.read_ahead),
      read_ahead_limit_(measured.read_ahead_limit),
      on_records_(std::move(on_records)),
      stream_(at_start_->config.stream.name),
      by_key_(at_start_->config.stream.by_key()),
      authority_of_(at_start_->config.stream.both_ways ? settings::forth_stream(at_start_->config) : ""),
      named_(by_key_ ? stream_ + '/' + std::to_string(partition) : stream_),
      follower_(std::string{at_start_->config.follower_name()} + " database"),
      anew_(at_start_->config.source == settings::side::legacy
                ? "copy the tables anew and go on from there: crossfade backfill --resync"
                : settings::begin_back_anew(at_start_->config)),
      backoff_(first_pause, at_start_->config.cdc.retry_max) {}

stream_follower::~stream_follower() {
    stop();
}

void stream_follower::start() {
    thread_ = std::jthread{[this](const std::stop_token& stopping) { run(stopping); }};
}

void stream_follower::ask_to_stop() {
    if (stop_asked_ms_ == 0) stop_asked_ms_ = steady_ms();
    thread_.request_stop();
}

void stream_follower::stop() {
    if (!thread_.joinable()) return;
    ask_to_stop();
    thread_.join();
}

bool stream_follower::interrupted() const {
    const auto asked = stop_asked_ms_.load();
    return asked != 0 && steady_ms() - asked > milliseconds{interrupt_after}.count();
}

void stream_follower::enter(follower_state now, std::string reason, std::string way_out) {
    bool changed = false;
    board_.update(partition_, [&](partition_status& status) {
        changed = status.now != now || status.reason != reason;
        status.now = now;
        status.reason = reason;
        status.way_out = way_out;
    });
    measured_.state(board_.read().now);
    if (!changed) return;
    if (reason.empty()) {
        spdlog::info("stream {}: {}", named_, to_string(now));
    } else {
        spdlog::warn("stream {}: {}: {}{}{}", named_, to_string(now), reason, way_out.empty() ? "" : "; ", way_out);
    }
}

stream_follower::next_step stream_follower::stop_stream(std::string reason, std::string way_out) {
    enter(follower_state::stopped, std::move(reason), std::move(way_out));
    return next_step::stopped;
}

void stream_follower::lost(std::string_view peer, std::string_view why) {
    measured_.retries.Increment();
    enter(follower_state::waiting, std::string{peer} + ": " + std::string{why});
}

void stream_follower::run(const std::stop_token& stopping) {
    while (!stopping.stop_requested()) {
        auto step = next_step::reconnect;
        try {
            step = serve(stopping);
        } catch (const std::exception& error) {
            lost("crossfade-cdc", error.what());
        }
        if (step == next_step::end) return;
        if (step == next_step::stopped) {
            wait_for_remedy(stopping);
            continue;
        }
        wait_.wait(stopping, backoff_.next());
    }
}

stream_follower::next_step stream_follower::serve(const std::stop_token& stopping) {
    const auto& config = at_start_->config;
    auto opened = apply::session::open(
        config.modern.dsn, stream_, [this] { return interrupted(); }, config.stream.silence_timeout);
    if (!opened) {
        lost(follower_, pgclient::to_string(opened.error()));
        return next_step::reconnect;
    }
    auto& session = **opened;
    store::progress progress;
    if (!installed(session, progress)) return next_step::reconnect;
    if (by_key_ && !may_follow_by_key(session)) return next_step::reconnect;
    if (!elected(stopping, session)) return stopping.stop_requested() ? next_step::end : next_step::reconnect;
    if (auto marked = session.mark_origin(stream_, progress.created_at,
                                          by_key_ ? store::first_partition + partition_ : 0, authority_of_);
        !marked) {
        lost(follower_, pgclient::to_string(marked.error()));
        return next_step::reconnect;
    }
    if (!may_go_both_ways(session)) return next_step::reconnect;
    origin_since_ = progress.created_at;
    board_.update(partition_, [&](partition_status& status) { status.limits = session.limits; });
    std::string limits;
    for (const auto& limit : session.limits) limits += (limits.empty() ? "" : "; ") + limit;
    if (!limits.empty() && limits != std::exchange(said_, limits)) spdlog::warn("stream {}: {}", named_, limits);

    apply::target_catalog catalog{in_force_()->config.tenants.column, by_key_};
    apply::recent_transactions recent;
    const apply::careful_settings place{stream_,
                                        config.stream.topic(),
                                        partition_,
                                        config.cdc.ddl_waiting_changes,
                                        by_key_,
                                        authority_of_,
                                        {std::string{config.source_name()}, std::string{config.follower_name()}}};
    backfill::backfiller copier{
        session, catalog, recent, place, config.legacy.dsn, in_force_, [this] { return stop_asked_ms_ != 0; }};
    std::optional<kafka::partition_reader> reader;
    std::optional<consume::preference> prefer;
    while (!stopping.stop_requested()) {
        if (const auto why = apply::reason_to_hold(in_force_()->config)) {
            enter(follower_state::held, *why);
            wait_.wait(stopping, milliseconds{200});
            if (auto alive = session.db.exec("SELECT 1"); !alive) return next_step::reconnect;
            continue;
        }
        if (backfill_in_the_way(session)) {
            wait_.wait(stopping, milliseconds{200});
            continue;
        }
        if (!installed(session, progress)) return next_step::reconnect;
        stopped_at_ = progress;
        others_at_ = {};
        if (progress.topic != config.stream.topic()) {
            return stop_stream("the follower's progress is of topic " + progress.topic,
                               "run crossfade init for this stream");
        }
        publish_place(progress);
        apply::applier applier{session, catalog, place, progress, recent};
        if (auto loaded = applier.load_tables(); !loaded) {
            lost(follower_, pgclient::to_string(loaded.error()));
            return next_step::reconnect;
        }
        catalog.tenant_column(in_force_()->config.tenants.column);
        if (!reader) {
            auto made = kafka::partition_reader::open(by_key_ ? sparing(config.kafka, config.stream) : config.kafka,
                                                      progress.topic, partition_, "crossfade-" + stream_);
            if (!made) {
                lost("Kafka", kafka::to_string(made.error()));
                wait_.wait(stopping, backoff_.next());
                continue;
            }
            reader.emplace(std::move(*made));
        }
        if (auto sought = reader->seek(progress.next_offset, broker_timeout); !sought) {
            if (sought.error().code == RD_KAFKA_RESP_ERR_OFFSET_OUT_OF_RANGE) {
                return stop_stream("the topic no longer has offset " + std::to_string(progress.next_offset) +
                                       ", where the follower is: " + kafka::to_string(sought.error()),
                                   "the topic was cut, emptied or made anew: " + anew_);
            }
            lost("Kafka", kafka::to_string(sought.error()));
            if (sought.error().fatal) reader.reset();
            wait_.wait(stopping, backoff_.next());
            continue;
        }
        const auto step = consume(stopping, session, applier, copier, *reader, prefer);
        lanes_.reset();
        stopped_at_ = applier.progress();
        if (applier.in_transaction()) {
            if (auto done = applier.roll_back(); !done) return next_step::reconnect;
        }
        if (step != next_step::reread) return step;
    }
    return next_step::end;
}

stream_follower::next_step stream_follower::consume(const std::stop_token& stopping, apply::session& session,
                                                    apply::applier& applier, backfill::backfiller& copier,
                                                    kafka::partition_reader& reader,
                                                    std::optional<consume::preference>& prefer) {
    const auto& cdc = at_start_->config.cdc;
    const auto made = make_order(applier.progress(), prefer);
    auto& order = *made;
    apply::scope_filter scopes{in_force_()};
    batch gathered;
    held_bytes_limit_.set(static_cast<double>(cdc.batch_bytes));
    read_ahead_limit_.set(static_cast<double>(read_ahead_limit()));
    measured_.ddl_waiting_changes_limit.Set(static_cast<double>(cdc.ddl_waiting_changes));
    consume::topic_feed feed{reader, relations_, read_ahead_limit()};
    auto heard = steady::now();
    checked_ = steady::now();
    bool stalled = false;
    bool broker_lost = false;
    bool copied = false;
    enter(follower_state::applying);

    while (!stopping.stop_requested()) {
        if (auto current = in_force_(); current != scopes.in_force()) {
            // What is gathered was not applied: under other flags it is read again.
            if (apply::reason_to_hold(current->config) ||
                current->config.tenants.column != scopes.in_force()->config.tenants.column) {
                return next_step::reread;
            }
            scopes = apply::scope_filter{std::move(current)};
        }
        const bool can_wait =
            broker_lost || ((gathered.events.empty() || !gathered.changes) && !copied && (!lanes_ || lanes_->empty()));
        auto delivered = feed.take(can_wait ? milliseconds{100} : milliseconds{0});
        read_ahead_.set(static_cast<double>(feed.held_bytes()));
        const auto now = steady::now();
        // Whatever keeps its rest away: its locks and its snapshot are felt on the follower.
        if (applier.in_transaction() && now - heard > idle_transaction &&
            !std::holds_alternative<consume::event_lot>(delivered)) {
            spdlog::warn(
                "stream {}: the rest of a large transaction has not come: it is rolled back and will be read again",
                stream_);
            if (auto done = applier.roll_back(); !done) return next_step::reconnect;
            stalled = true;
        }
        if (const auto* away = std::get_if<consume::broker_lost>(&delivered)) {
            if (auto step = flush(applier, scopes, gathered, order.next_offset())) return *step;
            lost("Kafka", kafka::to_string(away->why));
            broker_lost = true;
            continue;
        }
        if (const auto* ended = std::get_if<consume::unreadable>(&delivered)) {
            if (auto step = flush(applier, scopes, gathered, order.next_offset())) return *step;
            return stop_stream("the topic can't be read on: " + kafka::to_string(ended->why),
                               "the topic was cut, emptied or made anew: " + anew_);
        }
        if (const auto* bad = std::get_if<consume::no_event>(&delivered)) {
            if (auto step = flush(applier, scopes, gathered, order.next_offset())) return *step;
            return stop_stream("the message at offset " + std::to_string(bad->offset) + " is no event",
                               way_out_of(consume::stop_cause::bad_event));
        }
        if (std::holds_alternative<consume::broker_regained>(delivered)) {
            broker_lost = false;
            enter(follower_state::applying);
            continue;
        }
        auto* lot = std::get_if<consume::event_lot>(&delivered);
        if (lot == nullptr) {
            if (broker_lost) continue;
            // Other partitions may wait for what a heartbeat says.
            const bool due =
                gathered.changes || by_key_ || copier.due({}) || now - gathered.since >= std::chrono::seconds{1};
            if (!gathered.events.empty() && due && !applier.in_transaction()) {
                if (auto step = flush(applier, scopes, gathered, order.next_offset())) return *step;
            }
            if (auto step = settle(applier, scopes)) return *step;
            if (!applier.in_transaction() && !still_there(session)) return next_step::reconnect;
            if (auto step = copy_tables(applier, copier, {}, copied)) return *step;
            continue;
        }
        failpoint::pass("consume.read");
        heard = now;
        if (stalled) return next_step::reread;
        for (auto& each : lot->events) {
            auto decided = order.accept(std::move(each));
            if (decided.what == consume::decision::outcome::reread) {
                prefer = decided.prefer;
                return next_step::reread;
            }
            if (auto step = take(session, applier, scopes, gathered, order, std::move(decided))) return *step;
        }
        copied = false;
        const auto lag =
            lag_of(gathered.events.empty() ? applier.progress().commit_time : gathered.events.back().event.commit_time);
        if (!applier.in_transaction() && copier.wants_a_turn(lag)) {
            if (auto step = flush(applier, scopes, gathered, order.next_offset())) return *step;
            if (auto step = copy_tables(applier, copier, lag_of(applier.progress().commit_time), copied)) return *step;
        }
        held_bytes_.set(static_cast<double>(order.held_bytes() + gathered.bytes));
        if (!by_key_) reader.note_offset(applier.progress().next_offset);
    }
    return next_step::end;
}

std::optional<stream_follower::next_step> stream_follower::take(apply::session& session, apply::applier& applier,
                                                                apply::scope_filter& scopes, batch& gathered,
                                                                consume::event_order& order,
                                                                consume::decision decided) {
    const auto& cdc = at_start_->config.cdc;
    using outcome = consume::decision::outcome;
    if (decided.what == outcome::repeat) {
        measured_.repeats(1);
        return look_whether_moved(applier, scopes, gathered);
    }
    if (decided.what == outcome::stopped) {
        if (!applier.in_transaction()) {
            if (auto step = flush(applier, scopes, gathered, order.next_offset())) return step;
        }
        return stop_stream(decided.why->what, way_out_of(decided.why->cause));
    }
    if (decided.roll_back && applier.in_transaction()) {
        if (auto done = applier.roll_back(); !done) return next_step::reconnect;
    }
    if (!decided.part) return std::nullopt;
    if (decided.after_others) {
        const auto& event = decided.part->events.front();
        if (auto step = heed_others(applier, scopes, gathered, event, *decided.after_others)) return step;
    }
    if (decided.what == outcome::barrier) {
        return pass_barrier(applier, scopes, gathered, decided.part->events.front());
    }
    const bool whole = decided.part->begins && decided.part->ends;
    if (decided.part->begins && applier.in_transaction()) return next_step::reread;
    if (decided.part->begins && !decided.part->ends) {
        // What came before is committed by itself.
        if (auto step = flush(applier, scopes, gathered, order.next_offset())) return step;
    }
    const bool ends = decided.part->ends;
    gathered.add(std::move(*decided.part));
    if (!ends) return flush(applier, scopes, gathered, std::nullopt);
    if (!whole || gathered.events.size() >= cdc.batch_rows || gathered.bytes >= cdc.batch_bytes) {
        if (whole && lanes_ready(session, applier, gathered)) {
            return hand_on(session, applier, scopes, gathered, order.next_offset());
        }
        return flush(applier, scopes, gathered, order.next_offset());
    }
    return std::nullopt;
}

std::optional<stream_follower::next_step> stream_follower::flush(apply::applier& applier, apply::scope_filter& scopes,
                                                                 batch& gathered,
                                                                 std::optional<std::int64_t> next_offset) {
    if (auto step = settle(applier, scopes)) return step;
    if (gathered.events.empty()) return std::nullopt;
    std::optional<store::progress> advance;
    if (next_offset) advance = gathered.advanced(applier.progress(), *next_offset);
    auto step = write(applier, scopes, gathered.events, advance);
    gathered.clear();
    return step;
}

std::optional<stream_follower::next_step> stream_follower::write(apply::applier& applier, apply::scope_filter& scopes,
                                                                 const std::vector<consume::received>& events,
                                                                 const std::optional<store::progress>& advance,
                                                                 const std::vector<std::uint32_t>& moved) {
    const auto began = steady::now();
    if (auto step = cross_timelines(applier, events)) return step;
    auto report = applier.apply(events, advance, scopes, moved);
    while (report && holds_up(*report)) {
        if (stop_asked_ms_ != 0) return next_step::end;
        if (in_force_() != scopes.in_force()) return next_step::reread;
        enter(follower_state::held, reason_of(*report, at_start_->config), remedy_of(*report));
        wait_.wait({}, milliseconds{500});
        applier.begin_anew();
        report = applier.apply(events, advance, scopes, moved);
        if (report && !holds_up(*report)) enter(follower_state::applying);
    }
    if (!report) {
        if (stop_asked_ms_ != 0) return next_step::end;
        lost(follower_, pgclient::to_string(report.error()));
        // Backoff is the caller's of `reconnect`; the same is read again from the progress.
        return next_step::reconnect;
    }
    switch (report->what) {
        case apply::apply_report::outcome::backfill:
        case apply::apply_report::outcome::unfinished:
        case apply::apply_report::outcome::overfull:
        case apply::apply_report::outcome::tied:
            return next_step::reread;  // which looks at it and holds
        case apply::apply_report::outcome::fenced:
            spdlog::warn("stream {}: the progress was moved by someone else: it is read again", named_);
            return next_step::reread;
        case apply::apply_report::outcome::applied:
            break;
    }
    // Rows that wait behind a dead letter are known to the connection alone that made it one.
    if (lanes_ && report->careful) lanes_->look_again();
    if (advance) book(applier, *report, steady::now() - began);
    return std::nullopt;
}

void stream_follower::book(apply::applier& applier, const apply::apply_report& report,
                           std::chrono::duration<double> took) {
    backoff_.reset();
    measured_.batch(report, took.count());
    measured_.waiting_rows.Set(static_cast<double>(applier.waiting()));
    if (const auto& served = report.letters; served.replayed + served.refused + served.behind + served.discarded > 0) {
        spdlog::info("stream {}: dead letters: {} replayed, {} refused again, {} behind others, {} discarded", stream_,
                     served.replayed, served.refused, served.behind, served.discarded);
        on_records_();
    }
    if (!report.records.empty()) {
        for (const auto& each : report.records) {
            spdlog::warn("stream {}: {} in {} at {}: {}", stream_, drift::to_string(each.what),
                         model::to_string(each.table), model::to_string(each.at), drift::to_string(each.now));
        }
        on_records_();
    }
    if (!report.ddl.empty()) {
        for (const auto& each : report.ddl)
            // Of what modern has done, too, nothing is left to do.
            spdlog::log(each.outcome == "passed" ? spdlog::level::info : spdlog::level::warn,
                        "stream {}: {} of {} at {}: {}: {}", stream_, each.tag.empty() ? "DDL" : each.tag,
                        each.tables.empty() ? "?" : each.tables, model::to_string(each.at), each.outcome, each.advice);
        on_records_();
    }
    if (report.given_up > 0)
        spdlog::error(
            "stream {}: {} transactions that were mirrored did not come by: {} has lost them, and {} has rows of them; "
            "crossfade verify says which",
            stream_, report.given_up, at_start_->config.source_name(), at_start_->config.follower_name());
    publish_place(applier.progress());
}

void stream_follower::publish_place(const store::progress& at) {
    std::optional<double> lag;
    if (at.commit_time) {
        const std::chrono::duration<double> age = std::chrono::system_clock::now() - *at.commit_time;
        lag = std::max(0.0, age.count());
    }
    board_.update(partition_, [&](partition_status& status) {
        status.applied_lsn = at.end_lsn;
        status.next_offset = at.next_offset;
        status.applied_time = at.commit_time;
        status.lag_seconds = lag;
    });
    if (lag) measured_.lag_seconds.Set(board_.lag_seconds().value_or(*lag));
}

}  // namespace crossfade::cdc::follow
