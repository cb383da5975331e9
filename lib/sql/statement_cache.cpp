#include "lib/sql/statement_cache.hpp"

#include <utility>

#include "lib/sql/shape.hpp"

namespace crossfade::sql {
namespace {

// An entry's list node, hash node and shared_ptr, and the allocator's share.
constexpr std::size_t overhead = 200;

}  // namespace

std::size_t size_of(const statement& it) {
    std::size_t size = sizeof it;
    for (const auto& table : it.tables) size += sizeof table + table.schema.size() + table.name.size();
    if (const auto& rows = it.rows) {
        size += rows->schema.size() + rows->name.size() + rows->reference.size();
        for (const auto& column : rows->set_columns) size += sizeof column + column.size();
    }
    for (const auto& name : it.called.settings) size += sizeof name + name.size();
    if (const auto* set = std::get_if<effect::set_parameter>(&it.effect))
        for (const auto& value : set->values) size += sizeof(std::string) + value.size();
    if (const auto* prepare = std::get_if<effect::prepare>(&it.effect)) size += size_of(*prepare->prepared);
    return size;
}

namespace {

std::size_t size_of(const understanding& known) {
    std::size_t size = sizeof known;
    if (known)
        for (const auto& it : *known) size += size_of(it);
    return size;
}

}  // namespace

statement_cache::statement_cache(bounds kept, limits within) : kept_(kept), within_(within) {}

std::shared_ptr<const understanding> statement_cache::understand(std::string_view text) {
    if (text.size() > kept_.text) {
        ++counted_.misses;
        return std::make_shared<const understanding>(sql::understand(text, within_));
    }
    const auto shape = shape_of(text, scratch_);
    if (const auto found = by_shape_.find(shape); found != by_shape_.end()) {
        ++counted_.hits;
        recent_.splice(recent_.begin(), recent_, found->second);
        return found->second->known;
    }
    ++counted_.misses;
    auto known = std::make_shared<const understanding>(sql::understand(text, within_));
    keep(shape, known);
    return known;
}

void statement_cache::keep(std::string_view shape, std::shared_ptr<const understanding> known) {
    const auto bytes = overhead + shape.size() + size_of(*known);
    if (bytes > kept_.bytes || kept_.entries == 0) return;
    while (recent_.size() >= kept_.entries || bytes_ + bytes > kept_.bytes) drop_oldest();
    recent_.push_front({std::string{shape}, std::move(known), bytes});
    by_shape_.emplace(recent_.front().shape, recent_.begin());
    bytes_ += bytes;
}

void statement_cache::drop_oldest() {
    ++counted_.evicted;
    bytes_ -= recent_.back().bytes;
    by_shape_.erase(recent_.back().shape);
    recent_.pop_back();
}

}  // namespace crossfade::sql
