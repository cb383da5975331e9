#include "proxy/publish/partitioner.hpp"

#include <algorithm>
#include <utility>

#include "lib/events/codec.hpp"
#include "lib/kafka/partition.hpp"

namespace crossfade::proxy::publish {

namespace {

// Says that nothing else ended before the transaction does.
model::change_event heartbeat_behind(const model::change_event& transaction) {
    model::change_event made;
    made.at = transaction.at;
    made.at.commit_lsn = model::lsn{transaction.end_lsn.value - 1};  // as one of the WAL has it
    made.at.ordinal = 0;
    made.publisher = transaction.publisher;
    made.previous = transaction.end_lsn;
    made.last = true;
    made.end_lsn = transaction.end_lsn;
    made.commit_time = transaction.commit_time;
    made.body = model::heartbeat{transaction.commit_time};
    return made;
}

// Whether rows of the two versions of a table have the same message keys. A column is known by its name and place: it
// may have been given another one's name.
bool divided_alike(const model::relation& one, const model::relation& other) {
    const auto of_key = [](const model::relation& rel) {
        std::vector<std::pair<std::size_t, model::column>> columns;
        for (std::size_t i = 0; i < rel.columns.size(); ++i)
            if (rel.columns[i].key) columns.emplace_back(i, rel.columns[i]);
        return columns;
    };
    return one.table == other.table && one.identity == other.identity && of_key(one) == of_key(other);
}

bool is_heartbeat(const model::change_event& event) {
    return std::holds_alternative<model::heartbeat>(event.body);
}

}  // namespace

partitioner::partitioner(int partitions, model::lsn begins)
    // The place of a heartbeat that ends there: what comes next may begin at `begins` itself.
    : partitions_(static_cast<std::size_t>(partitions), state{{model::lsn{begins.value - 1}, 0}}),
      begins_{model::lsn{begins.value - 1}, 0},
      newest_(begins_),
      marked_(begins) {}

partitioner::route partitioner::route_of(const model::change_event& event, std::string_view key) const {
    const auto* change = std::get_if<model::row_change>(&event.body);
    if (change == nullptr) return {};
    route made{kafka::partition_of(key, partitions()), -1};
    if (change->operation != model::row_operation::update || change->before_kind != model::before_image::key)
        return made;
    const auto after = kafka::partition_of(events::message_key_after(event), partitions());
    if (after != made.first) made.second = after;
    return made;
}

void partitioner::place(model::change_event& event, std::int32_t partition) {
    if (event.at.timeline != timeline_) {
        timeline_ = event.at.timeline;
        left_ = event.left;
    }
    auto& there = partitions_[static_cast<std::size_t>(partition)];
    event.partition_previous = std::exchange(there.previous, model::place_of(event.at));
    event.after_others.reset();
    say_since_when(event, partition);
    newest_ = model::place_of(event.at);
    event.left.clear();
    if (std::exchange(there.timeline, timeline_) != timeline_) event.left = left_;
}

void partitioner::say_since_when(model::change_event& event, std::int32_t partition) {
    const auto* change = std::get_if<model::row_change>(&event.body);
    if (change == nullptr) return;
    const auto found = tables_.find(change->rel->oid);
    auto& known = found != tables_.end() && found->second.rel == change->rel ? found->second : learn(change->rel);
    const auto at = static_cast<std::size_t>(partition);
    if (known.said[at]) return;
    known.said[at] = true;
    event.after_others = known.since;
}

partitioner::division& partitioner::learn(const std::shared_ptr<const model::relation>& rel) {
    if (std::max(tables_.size(), owners_.size()) >= most_tables) {
        tables_.clear();
        owners_.clear();
        // Of the tables that are not known now.
        begins_ = newest_;
    }
    const auto [owner, new_name] = owners_.try_emplace(rel->table, rel->oid);
    const auto owned_by = std::exchange(owner->second, rel->oid);
    if (owned_by != rel->oid) {
        // Should the name go back, that has to be said again.
        if (const auto before = tables_.find(owned_by); before != tables_.end()) before->second.rel = nullptr;
    }
    const auto [at, new_table] = tables_.try_emplace(rel->oid);
    auto& known = at->second;
    if (!known.rel || owned_by != rel->oid || !divided_alike(*known.rel, *rel))
        known = {nullptr, new_table && new_name ? begins_ : newest_, std::vector<bool>(partitions_.size())};
    known.rel = rel;
    return known;
}

std::optional<model::change_event> partitioner::follow_up(const model::change_event& placed) {
    if (!placed.last) return std::nullopt;
    if (is_heartbeat(placed)) {
        marked_ = placed.end_lsn;
        return std::nullopt;
    }
    if (placed.end_lsn.value - marked_.value < most_unmarked) return std::nullopt;
    return heartbeat_behind(placed);
}

}  // namespace crossfade::proxy::publish
