#include "proxy/frontend/known_statements.hpp"

#include <utility>
#include <variant>

#include "lib/sql/statement_cache.hpp"

namespace crossfade::proxy::frontend {
namespace {

namespace effect = sql::effect;

constexpr std::size_t name_overhead = 64;

}  // namespace

// What is closed again is kept all the same: it may be looked at once more, and who binds it finds out by the server.
void known_statements::remember(std::string_view name, statement it) {
    if (const auto there = by_name_.find(name); there != by_name_.end()) {
        kept_ -= there->second.bytes;
        by_name_.erase(there);
    }
    const auto bytes = name.size() + name_overhead + (it ? sql::size_of(*it) : 0);
    if (by_name_.size() >= most_names || kept_ + bytes > most_bytes) {
        by_name_.clear();
        kept_ = 0;
        complete_ = false;
    }
    kept_ += bytes;
    by_name_.emplace(name, kept{std::move(it), bytes});
}

known_statements::statement known_statements::only(const std::shared_ptr<const sql::understanding>& known) {
    if (!known || !*known || (**known).size() != 1) return nullptr;
    return {known, &(**known).front()};
}

void known_statements::remember_prepared_by(const std::shared_ptr<const sql::understanding>& known) {
    if (!known || !*known) return;
    for (const auto& each : **known)
        if (const auto* prepare = std::get_if<effect::prepare>(&each.effect))
            remember(prepare->name, statement{known, prepare->prepared.get()});
}

known_statements::statement known_statements::find(std::string_view name) const {
    const auto found = by_name_.find(name);
    return found == by_name_.end() ? nullptr : found->second.it;
}

void known_statements::learn(portrait::notebook& notes,
                             const std::map<std::string, portrait::prepared_statement>& prepared) {
    complete_ = true;
    for (const auto& [name, it] : prepared) {
        const auto known = notes.statements.understand(it.text);
        const auto first = only(known);
        if (!first || by_name_.contains(name)) continue;
        const auto* by_sql = std::get_if<effect::prepare>(&first->effect);
        remember(name, by_sql != nullptr ? statement{known, by_sql->prepared.get()} : first);
    }
}

}  // namespace crossfade::proxy::frontend
