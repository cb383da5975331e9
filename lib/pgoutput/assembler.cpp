#include "lib/pgoutput/assembler.hpp"

#include <charconv>
#include <stdexcept>
#include <utility>

namespace crossfade::pgoutput {

void throw_exception_from_error(const violation& what, const boost::source_location&) {
    throw std::runtime_error(std::string{what.reason});
}

assembler::outcome assembler::take(message&& from) {
    return std::visit([this](auto& one) { return on(std::move(one)); }, from);
}

model::change_event assembler::at(model::lsn position, std::uint64_t ordinal) {
    model::change_event event;
    // What was written before a promotion is sent by the promoted server too, and has the position that it had.
    event.at = {source_.system_identifier, source_.timelines.timeline_at(position), position, ordinal};
    event.publisher = source_.publisher;
    if (ordinal <= 1) event.previous = previous_;
    if (std::exchange(timeline_, event.at.timeline) != event.at.timeline)
        event.left = source_.timelines.before(event.at.timeline);
    return event;
}

assembler::outcome assembler::hold(decltype(model::change_event::body) body) {
    if (left_out_) return std::nullopt;
    auto event = at(transaction_->final_lsn, ++ordinal_);
    event.commit_time = transaction_->commit_time;
    event.xid = transaction_->xid;
    event.body = std::move(body);
    return std::exchange(held_, std::move(event));
}

assembler::outcome assembler::on(begin&& from) {
    if (transaction_) return violation{"a transaction begins within another"};
    // Commit order is WAL order; anything else is not the WAL that was read until now.
    if (from.final_lsn < newest_) return violation{"a transaction lies before one that was sent already"};
    transaction_ = from;
    left_out_ = false;
    ordinal_ = 0;
    return std::nullopt;
}

// Comes right behind Begin, where there is one.
assembler::outcome assembler::on(origin&& from) {
    if (!transaction_) return violation{"an origin without a transaction"};
    if (ordinal_ > 0) return violation{"an origin behind a transaction's first change"};
    left_out_ = leaves_out_ && leaves_out_(from.name);
    return std::nullopt;
}

assembler::outcome assembler::on(commit&& from) {
    if (!transaction_) return violation{"a commit without a transaction"};
    if (from.commit_lsn != transaction_->final_lsn) return violation{"a commit of another transaction"};
    transaction_.reset();
    newest_ = from.end_lsn;
    if (!held_) return std::nullopt;
    previous_ = from.end_lsn;
    held_->last = true;
    held_->end_lsn = from.end_lsn;
    return std::exchange(held_, std::nullopt);
}

assembler::outcome assembler::on(relation&& from) {
    auto& known = relations_[from.described.oid];
    // Sent again after every reconnection and invalidation: one that is the same stays the same object, which is what
    // encoders know it by.
    if (!known || *known != from.described) known = std::make_shared<const model::relation>(std::move(from.described));
    return std::nullopt;
}

assembler::outcome assembler::on(row_message&& from) {
    if (!transaction_) return violation{"a row without a transaction"};
    const auto found = relations_.find(from.relation_oid);
    if (found == relations_.end()) return violation{"a row of a table that was not described"};
    const auto columns = found->second->columns.size();
    if (from.before_kind != model::before_image::absent && from.before.size() != columns)
        return violation{"a row before with another number of columns than its table"};
    if (from.operation != model::row_operation::remove && from.after.size() != columns)
        return violation{"a row with another number of columns than its table"};
    return hold(model::row_change{found->second, from.operation, from.before_kind, std::move(from.before),
                                  std::move(from.after)});
}

assembler::outcome assembler::on(truncate&& from) {
    if (!transaction_) return violation{"a truncate without a transaction"};
    model::truncate to;
    to.cascade = from.cascade;
    to.restart_identity = from.restart_identity;
    for (const auto oid : from.relation_oids) {
        const auto found = relations_.find(oid);
        if (found == relations_.end()) return violation{"a truncate of a table that was not described"};
        to.relations.push_back(found->second);
    }
    return hold(std::move(to));
}

assembler::outcome assembler::on(logical_message&& from) {
    if (!from.transactional) return on_heartbeat(from);
    if (!from.prefix.starts_with(mark_prefix)) return std::nullopt;
    if (!transaction_) return violation{"a transactional message without a transaction"};
    return hold(model::logical_message{std::move(from.prefix), std::move(from.content)});
}

// Any role may emit one. Beyond this, in 2200, there is nothing that a clock says, and durations to it may not fit.
constexpr std::int64_t latest = 7'258'118'400'000'000;

assembler::outcome assembler::on_heartbeat(const logical_message& from) {
    // One within a transaction would have no place in the order; none is lost when it is left out.
    if (from.prefix != heartbeat_prefix || transaction_) return std::nullopt;
    std::int64_t microseconds = 0;
    const char* const end = from.content.data() + from.content.size();
    const auto [stop, error] = std::from_chars(from.content.data(), end, microseconds);
    if (error != std::errc{} || stop != end || microseconds < 0 || microseconds > latest) return std::nullopt;

    // The last byte of the message's record: the commit record of the next transaction may begin right at its end, and
    // would have the same position.
    const model::lsn position{from.end_lsn.value - 1};
    if (from.end_lsn <= newest_) return violation{"a message lies before what was sent already"};
    const model::source_time emitted_at{std::chrono::microseconds{microseconds}};
    auto event = at(position, 0);
    event.last = true;
    event.end_lsn = from.end_lsn;
    event.commit_time = emitted_at;
    event.body = model::heartbeat{emitted_at};
    previous_ = newest_ = from.end_lsn;
    return event;
}

}  // namespace crossfade::pgoutput
