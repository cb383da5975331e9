#include "proxy/capture/stream_publisher.hpp"

#include <spdlog/spdlog.h>

#include <random>
#include <thread>

#include "lib/failpoint/failpoint.hpp"
#include "lib/kafka/admin.hpp"
#include "lib/retry/backoff.hpp"
#include "lib/settings/directions.hpp"
#include "lib/telemetry/version.hpp"
#include "proxy/capture/circumstances.hpp"
#include "proxy/capture/preflight.hpp"
#include "proxy/capture/publishing.hpp"
#include "proxy/capture/slot_watch.hpp"

namespace crossfade::proxy::capture {

namespace {

using namespace std::chrono_literals;

constexpr auto standby_interval = 500ms;
constexpr auto kafka_patience = 5s;
constexpr auto tail_patience_each = 100ms;  // and for each partition of many
constexpr auto tail_patience = 10s;         // below wal_sender_timeout: nothing is said to the server meanwhile
constexpr auto repeat_alarm = 60s;
constexpr auto look_again = 3s;  // whether an operator has done something about what stopped us

struct slot_position {
    model::lsn confirmed;
    model::lsn wal_end;
};

// The server gives the slot's position away only to an ordinary query, and only after start() it can't move any more.
// Nor can the WAL end before what an earlier publisher has read of it then.
pgclient::result<slot_position> position_of(pgclient::connection& connection, const settings::stream& stream,
                                            int reader) {
    const auto got = connection.exec(
        "SELECT confirmed_flush_lsn, pg_current_wal_flush_lsn(), active_pid FROM pg_replication_slots WHERE slot_name "
        "= " +
        pgclient::quote_literal(stream.slot()));
    if (!got) return got.error();
    if (got->size() == 1 && got->integer(0, 2) == reader) {
        const auto confirmed = model::parse_lsn(got->text(0, 0));
        const auto wal_end = model::parse_lsn(got->text(0, 1));
        if (confirmed && wal_end) return slot_position{*confirmed, *wal_end};
    }
    // An address may change hands between two connections.
    return pgclient::failure{
        "08006", "another server than the one whose slot " + stream.slot() + " is read answers", {}, {}, {}};
}

std::optional<publish::outbox::json_copy> json_copy(const settings::configuration& config) {
    if (!config.stream.json_events) return std::nullopt;
    const bool compact = config.stream.json_cleanup == settings::cleanup_policy::compact;
    return publish::outbox::json_copy{
        config.stream.json_topic(),
        {std::string{telemetry::version}, "crossfade." + config.stream.name, config.legacy.dbname,
         compact ? events::envelope_keys::compactable : events::envelope_keys::of_rows}};
}

struct beginning {
    model::lsn previous;                           // of the first event
    std::optional<publish::last_published> again;  // what has to come once more
};

publish::tail_result<beginning> where_to_begin(const std::vector<std::optional<publish::topic_tail>>& tails,
                                               const publish::slot_place& slot, const settings::stream& stream) {
    if (stream.by_key()) {
        const auto again = publish::judge_by_key(tails, slot, stream.topic());
        if (!again) return again.error();
        return beginning{slot.confirmed, *again};
    }
    const auto& tail = tails.front();
    const auto previous = publish::judge(tail, slot, stream.topic());
    if (!previous) return previous.error();
    return beginning{*previous, tail && tail->end_lsn > slot.confirmed ? tail->last : std::nullopt};
}

std::uint64_t draw_publisher() {
    std::random_device random;
    for (;;)
        if (const auto drawn = std::uint64_t{random()} << 32U | random(); drawn != model::resync_publisher)
            return drawn;
}

}  // namespace

struct stream_publisher::impl {
    impl(settings::snapshot started_with, prometheus::Registry& metrics, std::function<settings::snapshot()> by_now)
        : at_start(std::move(started_with)),
          in_force(by_now ? std::move(by_now) : [this] { return at_start; }),
          config(at_start->config),
          board(metrics, config.stream.name, config.proxy.max_unacknowledged_events, max_unacknowledged_bytes),
          watch(config, board) {}

    void run() noexcept;
    setback attempt();
    std::optional<setback> wait_for_slot(replication_link& link);
    setback publish(replication_link& link, pgclient::connection ordinary);
    void stay_stopped(const setback& why, std::optional<circumstances> seen);

    settings::snapshot at_start;
    const std::function<settings::snapshot()> in_force;
    const settings::configuration& config;
    status_board board;
    stop_signal stop;
    slot_watch watch;
    retry::backoff pause{std::chrono::milliseconds{200}, std::chrono::seconds{3}};
    retry::backoff fruitless{look_again, repeat_alarm};  // attempts after a stop
    std::thread thread;
};

void stream_publisher::impl::run() noexcept {
    // From before the attempt, so that no remedy can slip in between; after a stop alone, as it costs connections.
    std::optional<circumstances> seen;
    bool looks = false;
    while (!stop.raised()) {
        setback ended;
        try {
            if (looks) seen = look_around(config);
            ended = attempt();
        } catch (const std::exception& failed) {
            ended = {publisher_state::waiting, failed.what(), {}};
        }
        if (stop.raised()) break;
        if (auto dropped = watch.verdict()) ended = std::move(*dropped);
        board.enter(ended);
        const bool stopped = ended.state == publisher_state::stopped;
        if (stopped && looks) {
            stay_stopped(ended, std::move(seen));
        } else if (!stopped) {
            fruitless.reset();
            stop.wait(ended.state == publisher_state::standby ? std::chrono::milliseconds{standby_interval}
                                                              : pause.next());
        }
        looks = stopped;
    }
    board.enter({publisher_state::off, {}, {}});
}

// Until it may be otherwise than it was. The program isn't to be started again for that: it carries the application's
// sessions.
void stream_publisher::impl::stay_stopped(const setback& why, std::optional<circumstances> seen) {
    auto said_at = std::chrono::steady_clock::now();
    for (auto wait = fruitless.next(); !stop.wait(wait); wait = look_again) {
        if (const auto now = std::chrono::steady_clock::now(); now - said_at >= repeat_alarm) {
            said_at = now;
            spdlog::error("publisher of stream {}: stopped: {}; way out: {}", config.stream.name, why.reason,
                          why.way_out);
        }
        auto now = look_around(config);
        if (!now) continue;
        if (!seen || worth_another_look(why, *seen, *now)) return;
        seen = std::move(now);
    }
}

setback stream_publisher::impl::attempt() {
    auto link = replication_link::open(config.legacy.dsn);
    if (!link) return judge(link.error(), config);
    if (auto obstacle = wait_for_slot(*link)) return *obstacle;

    // Before the slot is taken: one whose Kafka is away leaves it to another.
    std::vector<std::pair<std::string, int>> topics{{config.stream.topic(), config.stream.topic_partitions()}};
    if (config.stream.json_events) topics.emplace_back(config.stream.json_topic(), 1);
    for (const auto& [name, partitions] : topics) {
        const auto topic = kafka::describe_topic(config.kafka, name, kafka_patience);
        if (!topic) return judge(topic.error(), config.stream);
        if (auto obstacle = judge_partitions(topic->partitions, partitions, name)) return *obstacle;
    }

    pgclient::open_options options;
    options.application_name = "crossfade-heartbeat";
    auto ordinary = pgclient::connection::open(config.legacy.dsn, options);
    if (!ordinary) return judge(ordinary.error(), config);
    return publish(*link, std::move(*ordinary));
}

// Returns once the slot seems free, or with what stands in the way.
std::optional<setback> stream_publisher::impl::wait_for_slot(replication_link& link) {
    for (;;) {
        if (config.source != settings::side::legacy)
            if (const auto over = link.ask(completed_query(config)); over && !over->empty())
                return completed(over->text(0, 0), config);
        const auto answer = link.ask(slot_query(config.stream));
        if (!answer) return judge(answer.error(), config);
        auto obstacle = judge(read_slot(*answer), config);
        if (!obstacle || obstacle->state != publisher_state::standby) return obstacle;
        board.enter(*obstacle);
        if (stop.wait(standby_interval)) return obstacle;
    }
}

setback stream_publisher::impl::publish(replication_link& link, pgclient::connection ordinary) {
    const auto identity = link.identify();
    if (!identity) return judge(identity.error(), config);
    if (const auto started = link.start(config.stream.slot(), config.stream.publication()); !started)
        return judge(started.error(), config);
    failpoint::pass("capture.slot_taken");
    const auto place = position_of(ordinary, config.stream, link.server_process());
    if (!place) return judge(place.error(), config);

    const auto look_back = 2 * static_cast<std::int64_t>(config.proxy.max_unacknowledged_events);
    const auto& stream = config.stream;
    const auto tails = publish::read_tails(config.kafka, {stream.topic(), stream.topic_partitions(), stream.by_key()},
                                           place->confirmed, look_back,
                                           tail_patience + stream.topic_partitions() * tail_patience_each);
    if (!tails) return judge(tails.error());
    const publish::slot_place slot{
        identity->system_identifier,
        identity->timelines,
        place->confirmed,
        place->wal_end,
        std::string{config.source_name()},
        config.source == settings::side::legacy ? std::string{} : settings::begin_back_anew(config)};
    const auto begins = where_to_begin(*tails, slot, stream);
    if (!begins) return judge(begins.error());

    auto by_key = stream.by_key()
                      ? std::optional<publish::partitioner>{std::in_place, stream.topic_partitions(), place->confirmed}
                      : std::nullopt;
    auto outbox =
        publish::outbox::open(config.kafka, stream.topic(),
                              {config.proxy.max_unacknowledged_events, stream_publisher::max_unacknowledged_bytes},
                              json_copy(config), std::move(by_key));
    if (!outbox) return judge(outbox.error(), stream);

    watch.forget_verdict();
    board.enter_publishing(place->confirmed);
    const source_monitor monitor{std::move(ordinary), config, board};
    publishing spell{
        link,          *outbox, {identity->system_identifier, identity->timelines, draw_publisher(), begins->previous},
        begins->again, config,  in_force,
        board};
    auto ended = spell.run(stop, monitor);
    outbox->abandon();
    if (outbox->acks().confirmed().value != 0) pause.reset();
    return ended;
}

stream_publisher::stream_publisher(settings::snapshot at_start, prometheus::Registry& metrics,
                                   std::function<settings::snapshot()> in_force)
    : impl_(std::make_unique<impl>(std::move(at_start), metrics, std::move(in_force))) {}

stream_publisher::~stream_publisher() {
    stop();
}

void stream_publisher::start() {
    if (impl_->thread.joinable()) return;
    impl_->thread = std::thread([this] { impl_->run(); });
    impl_->watch.start();
}

void stream_publisher::stop() {
    impl_->stop.raise();
    if (impl_->thread.joinable()) impl_->thread.join();
}

publisher_status stream_publisher::status() const {
    return impl_->board.read();
}

}  // namespace crossfade::proxy::capture
