#include "proxy/capture/publishing.hpp"

#include <spdlog/spdlog.h>

#include <array>
#include <utility>

#include "lib/failpoint/failpoint.hpp"
#include "lib/pgoutput/decode.hpp"
#include "lib/settings/directions.hpp"
#include "lib/store/schema.hpp"
#include "proxy/capture/preflight.hpp"

namespace crossfade::proxy::capture {

namespace {

using namespace std::chrono_literals;

constexpr int frames_a_round = 2000;      // then Kafka's answers and the server have their turn
constexpr auto status_interval = 500ms;   // wal_sender_timeout is 60 s by default, and a second or two where set low
constexpr auto confirm_interval = 100ms;  // when there is something new to confirm
constexpr auto confirm_at_once = std::uint64_t{4} << 20;  // bytes of WAL that the slot need not keep
// While it is behind, it reads a tenth of that less often: rows that come together share Kafka's requests and its own
// wake-ups, which are most of what a small transaction costs both.
constexpr int gather_share = 10;
constexpr auto gather_at_most = 10ms;
// Likewise where nobody waits: the server sends each message by itself, and each would be a wake-up.
constexpr auto gather_in_calm = 10ms;
constexpr int gather_bytes = 24 << 10;
constexpr auto silence = 3s;   // of Kafka, before it is said
constexpr auto farewell = 3s;  // for Kafka's last answers at stop

// Of a stream that goes both ways: what the other one has brought is there already, and would go round for ever.
std::function<bool(std::string_view)> leaves_out(const settings::configuration& config) {
    if (!config.stream.both_ways) return {};
    return [other = settings::opposite_stream(config)](std::string_view origin) {
        return store::is_origin_of(other, origin);
    };
}

}  // namespace

publishing::publishing(replication_link& link, publish::outbox& outbox, const pgoutput::assembler::source& source,
                       const std::optional<publish::last_published>& published, const settings::configuration& config,
                       std::function<settings::snapshot()> in_force, status_board& board)
    : link_(link),
      outbox_(outbox),
      assembler_(source, leaves_out(config)),
      overlap_(published),
      config_(config),
      stream_(config.stream),
      in_force_(std::move(in_force)),
      board_(board),
      last_told_(clock::now()),
      last_heard_(last_told_),
      last_acknowledged_(last_told_) {}

setback publishing::unreadable(const std::string& what) const {
    return {publisher_state::stopped, std::string{config_.source_name()} + "'s stream can't be read: " + what,
            "the position is kept; report this, then start the proxy again"};
}

setback publishing::run(const stop_signal& stop, const source_monitor& monitor) {
    for (;;) {
        if (stop.raised()) {
            finish();
            return {publisher_state::off, {}, {}};
        }
        if (monitor.server_leaves().raised())
            return {publisher_state::waiting, std::string{config_.source_name()} + " is shutting down", {}};
        if (auto end = settle(0ms)) return *end;
        if (auto end = read_some()) return *end;
        if (auto end = tell_server_if_due()) return *end;
        if (clock::now() - last_heard_ > stream_.silence_timeout)
            return {publisher_state::waiting,
                    std::string{config_.source_name()} + " has been asked for a sign of life and says nothing",
                    {}};
        watch_acknowledgements();
        board_.progress(outbox_.acks(), received_);
        if (auto end = wait(stop, monitor)) return *end;
    }
}

publishing::ending publishing::read_some() {
    auto end = read_round();
    // What was read before the end is published too.
    if (!end && lingers() && !outbox_.full() && !linger_.is_over(clock::now())) return std::nullopt;
    linger_.sent();
    if (const auto sent = outbox_.send(); !sent) return judge(sent.error(), stream_);
    return end;
}

// What a proxy mirrors it writes to modern itself, and the stream only judges. Whoever waits for the stream has a mark
// behind his rows.
bool publishing::lingers() {
    if (auto now = in_force_(); now != judged_) {
        judged_ = std::move(now);
        mirrored_ = judged_->config.flags.has(settings::write_strategy::mirror);
    }
    return mirrored_;
}

publishing::ending publishing::read_round() {
    more_here_ = false;
    if (outbox_.full()) last_heard_ = clock::now();  // it is not listened to
    bool looked_again = false;
    for (int i = 0; i < frames_a_round; ++i) {
        if (outbox_.full()) return std::nullopt;
        auto arrived = link_.next();
        if (const auto* bytes = std::get_if<std::string_view>(&arrived)) {
            looked_again = false;
            // While it gathers, what comes wakes nobody.
            if (i == 0) last_heard_ = clock::now();
            if (auto end = on_frame(*bytes)) return end;
        } else if (const auto* failed = std::get_if<pgclient::failure>(&arrived)) {
            return judge(*failed, config_);
        } else if (i > 0 && behind_ > 0ms && !looked_again) {
            // libpq takes some 16 kB at a time.
            looked_again = true;
            link_.receive();
        } else {
            // It was waited for, and nothing came.
            if (i == 0 && !gather_until_) behind_ = 0ms;
            return std::nullopt;
        }
    }
    more_here_ = true;
    return std::nullopt;
}

publishing::ending publishing::on_frame(std::string_view bytes) {
    const auto frame = pgoutput::decode_frame(bytes);
    if (!frame) return unreadable("neither WAL data nor keepalive");
    if (const auto* data = std::get_if<pgoutput::xlog_data>(&*frame)) {
        received_ = std::max({received_, data->wal_start, data->wal_end});
        return on_payload(*data);
    }
    const auto& alive = std::get<pgoutput::keepalive>(*frame);
    received_ = std::max(received_, alive.wal_end);
    // A server that shuts down asks until all it has sent is confirmed, which it never is: only what is in Kafka
    // counts. Saying nothing of it (0/0) makes the server take `received` for an answer, and the slot stays where it
    // is.
    if (alive.reply_requested) return tell_server(model::lsn{});
    return std::nullopt;
}

publishing::ending publishing::on_payload(const pgoutput::xlog_data& data) {
    auto message = pgoutput::decode(data.payload);
    if (!message) return unreadable("a message that is not pgoutput version 1");
    auto event = assembler_.take(std::move(*message));
    if (!event) return unreadable(std::string{event.error().reason});
    if (!*event) return std::nullopt;
    if (!overlap_.admits(**event))
        return setback{.state = publisher_state::stopped,
                       .reason = std::string{config_.source_name()} + "'s WAL has something else at " +
                                 model::to_string((*event)->at.commit_lsn) + " than what topic " + stream_.topic() +
                                 " ends with: " + std::string{config_.source_name()} +
                                 " was restored from an older copy of its files",
                       .way_out = config_.source == settings::side::legacy ? "run `crossfade backfill --resync`"
                                                                           : settings::begin_back_anew(config_),
                       .for_the_topic = true};
    // Any role may emit a heartbeat. Its commit_time stays what the WAL says, by which it is known when it comes again.
    if (auto* const beat = std::get_if<model::heartbeat>(&(*event)->body))
        beat->emitted_at = std::min(beat->emitted_at, data.sent_at);
    // Both by the source's clock.
    if ((*event)->last)
        behind_ = std::chrono::duration_cast<std::chrono::milliseconds>(data.sent_at - (*event)->commit_time);
    if (mirrored_) linger_.put(clock::now(), !std::holds_alternative<model::row_change>((*event)->body));
    outbox_.put(**event);
    (*event)->last ? failpoint::pass("capture.put_last") : failpoint::pass("capture.put");
    board_.published(**event);
    return std::nullopt;
}

publishing::ending publishing::settle(std::chrono::milliseconds timeout) {
    if (const auto settled = outbox_.settle(timeout); !settled) return judge(settled.error(), stream_);
    return std::nullopt;
}

publishing::ending publishing::tell_server(model::lsn confirmed) {
    const auto now = std::chrono::time_point_cast<std::chrono::microseconds>(std::chrono::system_clock::now());
    // A server that hears us has no reason of its own to say anything. Asked early: one that skips WAL looks at what we
    // say only now and then.
    const bool ask = clock::now() - last_heard_ > stream_.silence_timeout / 4;
    if (const auto sent = link_.send({received_, confirmed, now, ask}); !sent) return judge(sent.error(), config_);
    return std::nullopt;
}

publishing::ending publishing::tell_server_if_due() {
    if (link_.wants_to_write()) {
        if (const auto flushed = link_.flush(); !flushed) return judge(flushed.error(), config_);
    }
    const auto confirmed = outbox_.acks().confirmed();
    const auto since = clock::now() - last_told_;
    const bool much = confirmed > told_ && confirmed.value - told_.value > confirm_at_once;
    if (!much && since < (confirmed > told_ ? clock::duration{confirm_interval} : clock::duration{status_interval}))
        return std::nullopt;
    last_told_ = clock::now();
    const bool news = confirmed > std::exchange(told_, confirmed);
    if (news) failpoint::pass("capture.acknowledged");
    auto end = tell_server(confirmed);
    if (news) failpoint::pass("capture.confirmed");
    return end;
}

void publishing::watch_acknowledgements() {
    const auto outstanding = outbox_.acks().unacknowledged_events();
    const auto confirmed = outbox_.acks().confirmed();
    if (outstanding == 0 || outstanding < outstanding_ || confirmed > told_) {
        last_acknowledged_ = clock::now();
        board_.blocked({}, {});
    } else if (clock::now() - last_acknowledged_ > silence) {
        const auto& why = outbox_.last_error();
        board_.blocked("Kafka does not acknowledge" +
                           (why.code == RD_KAFKA_RESP_ERR_NO_ERROR ? std::string{} : ": " + why.message),
                       "bring Kafka back: " + std::string{config_.source_name()} + " keeps the WAL until then");
    }
    outstanding_ = outstanding;
}

publishing::ending publishing::wait(const stop_signal& stop, const source_monitor& monitor) {
    if (more_here_) return std::nullopt;
    auto gathering = std::clamp(behind_ / gather_share, 0ms, gather_at_most);
    if (linger_.calm(clock::now())) gathering = std::max<std::chrono::milliseconds>(gathering, gather_in_calm);
    if (gathering == 0ms)
        gather_until_.reset();
    else if (!gather_until_)
        gather_until_ = clock::now() + gathering;
    link_.wake_at(gather_until_ ? gather_bytes : 1);
    auto until = last_told_ + clock::duration{status_interval};
    if (outbox_.acks().confirmed() > told_) until = last_told_ + clock::duration{confirm_interval};
    if (gather_until_) until = std::min(until, *gather_until_);
    if (linger_.until()) until = std::min(until, *linger_.until());
    const auto most = std::chrono::ceil<std::chrono::milliseconds>(until - clock::now());
    // Not for input while Kafka takes nothing: what isn't read, TCP holds back.
    const bool reading = !outbox_.full();
    const auto events = static_cast<short>((reading ? POLLIN : 0) | (link_.wants_to_write() ? POLLOUT : 0));
    std::array<pollfd, 4> waited{{{link_.socket(), events, 0},
                                  {outbox_.wakeup_fd(), POLLIN, 0},
                                  {stop.fd(), POLLIN, 0},
                                  {monitor.server_leaves().fd(), POLLIN, 0}}};
    ::poll(waited.data(), waited.size(), static_cast<int>(std::clamp(most, 0ms, 1000ms).count()));
    const bool broken = (waited[0].revents & (POLLERR | POLLHUP)) != 0;
    // What came before the break is read first, but only if it can be published.
    if (broken && !reading)
        return setback{publisher_state::waiting, std::string{config_.source_name()} + ": the connection broke", {}};
    const bool heard = broken || (waited[0].revents & POLLIN) != 0;
    if (heard) last_heard_ = clock::now();
    if (heard || (reading && gather_until_ && clock::now() >= *gather_until_)) {
        gather_until_.reset();
        link_.receive();
    }
    return std::nullopt;
}

void publishing::finish() {
    // What can't be sent now is read again by the next one.
    if (!outbox_.send()) return;
    const auto deadline = clock::now() + farewell;
    while (outbox_.acks().unacknowledged_events() > 0 && clock::now() < deadline) {
        if (settle(20ms)) break;
    }
    // The last word may be lost; then some events are published again and recognised by their position.
    static_cast<void>(tell_server(outbox_.acks().confirmed()));
    board_.progress(outbox_.acks(), received_);
}

}  // namespace crossfade::proxy::capture
