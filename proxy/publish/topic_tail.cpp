#include "proxy/publish/topic_tail.hpp"

#include <algorithm>
#include <stdexcept>

#include "lib/events/codec.hpp"

namespace crossfade::proxy::publish {

void throw_exception_from_error(const tail_problem& what, const boost::source_location&) {
    throw std::runtime_error(what.reason);
}

namespace {

using clock = std::chrono::steady_clock;
using kind = tail_problem::kind;

// A resync copies every table and marks in the topic where the stream goes on, at or after the slot's position.
constexpr const char* begin_anew = "run `crossfade backfill --resync`";

std::chrono::milliseconds left(clock::time_point deadline) {
    return std::max(std::chrono::milliseconds{0},
                    std::chrono::duration_cast<std::chrono::milliseconds>(deadline - clock::now()));
}

tail_problem unreachable(const std::string& why) {
    return {kind::unreachable, "Kafka does not answer: " + why, {}};
}

class tail_reader {
  public:
    tail_reader(kafka::partition_reader reader, tail_of what, clock::time_point deadline)
        : reader_(std::move(reader)), what_(std::move(what)), deadline_(deadline) {}

    kafka::partition_reader& reader() { return reader_; }

    // Hands the events from offset `from` up to `end` to `take`.
    template <class Take>
    tail_result<void> each(std::int64_t from, std::int64_t end, Take&& take) {
        if (const auto done = reader_.seek(from, left(deadline_)); !done)
            return unreachable(kafka::to_string(done.error()));
        std::string last_error = "no message at its end";
        while (from < end) {
            if (clock::now() >= deadline_) return unreachable(last_error);
            const auto got = reader_.read(1000, std::min(left(deadline_), std::chrono::milliseconds{200}));
            if (!got) {
                if (got.error().fatal) return unreachable(kafka::to_string(got.error()));
                last_error = kafka::to_string(got.error());
                continue;
            }
            for (const auto& one : *got) {
                from = one.offset() + 1;
                if (one.offset() >= end) break;
                const auto event = events::decode(one.payload(), relations_);
                if (!event)
                    return tail_problem{kind::foreign,
                                        "topic " + what_.topic + " holds what is no event of Crossfade at offset " +
                                            std::to_string(one.offset()),
                                        "keep other writers away from it, then " + std::string{begin_anew}};
                if (event->partition_previous.has_value() != what_.by_key &&
                    event->publisher != model::resync_publisher)
                    return tail_problem{kind::foreign,
                                        "topic " + what_.topic + " is ordered by " +
                                            (what_.by_key ? "transaction" : "key") + ", and stream.ordering says " +
                                            (what_.by_key ? "key" : "transaction"),
                                        "set stream.ordering to what it was, or begin anew: delete the topic, "
                                        "crossfade init, then crossfade backfill --resync"};
                take(*event);
            }
        }
        return {};
    }

  private:
    kafka::partition_reader reader_;
    tail_of what_;
    clock::time_point deadline_;
    events::relation_decoder relations_;
};

topic_tail whole_until(const model::change_event& event, model::lsn end) {
    return {event.at.system_identifier, event.at.timeline, end};
}

topic_tail whole_with(const model::change_event& last) {
    auto tail = whole_until(last, last.end_lsn);
    if (last.publisher != model::resync_publisher)
        tail.last = last_published{last.at.commit_lsn, last.end_lsn, last.xid, last.commit_time};
    return tail;
}

topic_tail end_in_partition(const model::change_event& newest) {
    auto tail = whole_until(newest, newest.last ? newest.end_lsn : newest.at.commit_lsn);
    if (newest.publisher == model::resync_publisher) return tail;
    if (!std::holds_alternative<model::heartbeat>(newest.body))
        tail.last = last_published{newest.at.commit_lsn, {}, newest.xid, newest.commit_time};
    else if (newest.previous == newest.end_lsn)  // the partitioner's, behind a transaction
        tail.last = last_published{{}, newest.end_lsn, 0, newest.commit_time};
    else
        tail.last = last_published{newest.at.commit_lsn, newest.end_lsn, 0, newest.commit_time};
    return tail;
}

using found_tail = tail_result<std::optional<topic_tail>>;

// The newest end that is good enough, in the last messages: more and more of them. `end_at`: what an event is the end
// of.
template <class EndAt>
found_tail look_back_for(tail_reader& tail, const kafka::watermarks& marks, model::lsn confirmed,
                         std::int64_t look_back, std::int64_t first_span, EndAt&& end_at) {
    std::optional<topic_tail> best;
    for (std::int64_t span = first_span;; span = std::max<std::int64_t>(64, span * 16)) {
        const auto from = std::max({marks.low, marks.high - span, marks.high - look_back});
        const auto done = tail.each(from, marks.high, [&](auto& event) {
            auto end = end_at(event);
            // Of those that the slot has not passed any will do, and the last one is of the newest history.
            if (end && (!best || end->end_lsn >= confirmed || end->end_lsn > best->end_lsn)) best = std::move(end);
        });
        if (!done) return done.error();
        if (best && best->end_lsn >= confirmed) return best;
        if (from == marks.low || marks.high - from >= look_back) return best;
    }
}

found_tail read_by_key(tail_reader& tail, const kafka::watermarks& marks, model::lsn confirmed,
                       std::int64_t look_back) {
    return look_back_for(tail, marks, confirmed, look_back, 1,
                         [](const auto& event) { return std::optional{end_in_partition(event)}; });
}

found_tail read_by_transaction(tail_reader& tail, const kafka::watermarks& marks, model::lsn confirmed,
                               std::int64_t look_back) {
    std::optional<model::change_event> newest;
    if (const auto done = tail.each(marks.high - 1, marks.high, [&](auto& event) { newest = event; }); !done)
        return done.error();
    if (newest && newest->last && newest->end_lsn >= confirmed) return whole_with(*newest);

    // A transaction that was cut off: what went before is written on its first event, however many rows that is back,
    // and further back by what came late in between.
    if (newest && !newest->last && newest->at.ordinal >= 1) {
        const auto first = marks.high - static_cast<std::int64_t>(newest->at.ordinal);
        std::optional<topic_tail> before;
        for (const auto more : {std::int64_t{0}, look_back}) {
            if (before || first < marks.low) break;
            const auto done = tail.each(std::max(marks.low, first - more), first + 1, [&](auto& event) {
                if (event.at.ordinal == 1 && event.at.commit_lsn == newest->at.commit_lsn &&
                    event.publisher == newest->publisher && event.previous)
                    before = whole_until(event, *event.previous);
            });
            if (!done) return done.error();
        }
        if (before && before->end_lsn >= confirmed) return before;
    }

    auto best = look_back_for(tail, marks, confirmed, look_back, 64, [](const auto& event) {
        return event.last ? std::optional{whole_with(event)} : std::nullopt;
    });
    if (!best) return best;
    // Rows of a transaction whose beginning and end are both out of sight: there is something, and nothing whole.
    if (!*best && newest) return whole_until(*newest, model::lsn{});
    return best;
}

}  // namespace

tail_result<std::vector<std::optional<topic_tail>>> read_tails(const settings::kafka& config, const tail_of& what,
                                                               model::lsn confirmed, std::int64_t look_back,
                                                               std::chrono::milliseconds timeout) {
    const auto deadline = clock::now() + timeout;
    auto opened = kafka::partition_reader::open(config, what.topic, 0, "crossfade-publisher");
    if (!opened) return unreachable(kafka::to_string(opened.error()));
    tail_reader tail{std::move(*opened), what, deadline};
    std::vector<std::optional<topic_tail>> tails;
    for (int i = 0; i < what.partitions; ++i) {
        tail.reader().turn_to(i);
        const auto marks = tail.reader().query_watermarks(left(deadline));
        if (!marks) return unreachable(kafka::to_string(marks.error()));
        auto& found = tails.emplace_back();
        if (marks->low >= marks->high) continue;
        auto read = what.by_key ? read_by_key(tail, *marks, confirmed, look_back)
                                : read_by_transaction(tail, *marks, confirmed, look_back);
        if (!read) return read.error();
        found = std::move(*read);
    }
    return tails;
}

namespace {

std::string anew(const slot_place& slot) {
    return slot.begin_anew.empty() ? std::string{begin_anew} : slot.begin_anew;
}

// Whoever read the topic has rows then that legacy hasn't, and legacy uses the same LSNs for others.
std::optional<tail_problem> diverged(const topic_tail& tail, const slot_place& slot, const std::string& topic) {
    std::string instead;
    if (!slot.timelines.holds(tail.timeline, tail.end_lsn)) {
        const auto left = slot.timelines.left_at(tail.timeline);
        instead = left ? slot.source + " left timeline " + std::to_string(tail.timeline) + " at " + to_string(*left)
                       : slot.source + " was never on timeline " + std::to_string(tail.timeline);
        instead += " and is on timeline " + std::to_string(slot.timelines.present()) + ": ";
    } else if (tail.end_lsn > slot.wal_end) {
        instead = slot.source + "'s WAL ends at " + to_string(slot.wal_end) + ": ";
    } else {
        return std::nullopt;
    }
    return tail_problem{kind::diverged,
                        "topic " + topic + " holds changes up to " + to_string(tail.end_lsn) + " of timeline " +
                            std::to_string(tail.timeline) + ", but " + instead +
                            "it has lost what was published since, by a failover to a standby that was behind or by "
                            "a restored backup",
                        anew(slot)};
}

}  // namespace

tail_result<model::lsn> judge(const std::optional<topic_tail>& tail, const slot_place& slot, const std::string& topic) {
    // Whether anything was ever published here only the follower's progress can tell: it began where the slot did, so
    // it takes the slot's position for a gap if the slot has moved since.
    if (!tail) return slot.confirmed;
    if (tail->system_identifier != slot.system_identifier)
        return tail_problem{kind::foreign,
                            "topic " + topic + " holds the changes of another database cluster (system identifier " +
                                std::to_string(tail->system_identifier) + ", " + slot.source + " has " +
                                std::to_string(slot.system_identifier) + ")",
                            "check " + slot.source + ".dsn; if the cluster was really replaced, " + anew(slot)};
    if (tail->timeline > slot.timelines.present())
        return tail_problem{
            kind::foreign,
            "topic " + topic + " holds changes of timeline " + std::to_string(tail->timeline) + ", " + slot.source +
                " is on timeline " + std::to_string(slot.timelines.present()) +
                ": an older primary has come back, or " + slot.source + " was restored",
            "point " + slot.source + ".dsn at the promoted server; if this one is to stay, " + anew(slot)};
    if (auto lost = diverged(*tail, slot, topic)) return *lost;
    if (tail->end_lsn < slot.confirmed)
        return tail_problem{
            kind::lost,
            "topic " + topic + " ends at " + to_string(tail->end_lsn) + ", before the slot's confirmed position " +
                to_string(slot.confirmed) +
                ": what lies between is missing, because Kafka lost what it had acknowledged, or because "
                "somebody made the slot anew or moved it",
            anew(slot)};
    return tail->end_lsn;
}

tail_result<std::optional<last_published>> judge_by_key(const std::vector<std::optional<topic_tail>>& tails,
                                                        const slot_place& slot, const std::string& topic) {
    std::optional<last_published> newest;
    for (std::size_t i = 0; i < tails.size(); ++i) {
        const auto judged = judge(tails[i], slot, topic + '/' + std::to_string(i));
        if (!judged) return judged.error();
        if (!tails[i] || !tails[i]->last || !tails[i]->last->comes_behind(slot.confirmed)) continue;
        if (!newest || tails[i]->last->place() > newest->place()) newest = tails[i]->last;
    }
    return newest;
}

}  // namespace crossfade::proxy::publish
