// What the client's statements are to the session, and which of them give their rows.
#include <algorithm>
#include <utility>
#include <variant>

#include "proxy/frontend/escort.hpp"
#include "proxy/frontend/mirror_gate.hpp"

namespace crossfade::proxy::frontend {
namespace {

namespace effect = sql::effect;
using mirror::leave_reason;

constexpr std::string_view how_to_commit = "synchronous_commit";

bool may_set_how_to_commit(const sql::statement& it) {
    const auto* set = std::get_if<effect::set_parameter>(&it.effect);
    const auto* reset = std::get_if<effect::reset_parameter>(&it.effect);
    return (set != nullptr && set->name == how_to_commit) || (reset != nullptr && reset->name == how_to_commit) ||
           std::holds_alternative<effect::reset_all>(it.effect) || it.called.commit_setting;
}

}  // namespace

std::shared_ptr<const sql::understanding> escort::understand(std::string_view text, sql::lexing how) {
    if (!sql::legible(text, how)) return nullptr;
    return notes_.statements.understand(text);
}

const sql::statement* escort::only(const std::shared_ptr<const sql::understanding>& known) {
    return known != nullptr && *known && (**known).size() == 1 ? &(**known).front() : nullptr;
}

void escort::heed(const sql::statement& it) {
    using sql::statement_kind;
    if (renames_prepared(it) || it.kind == statement_kind::other || it.unknown_tables ||
        it.calls == sql::volatility::unknown)
        prepared_.clear();
    if (std::holds_alternative<effect::create_temporary>(it.effect)) {
        trusted_ = false;
    } else if (it.kind == statement_kind::ddl) {
        heed_ddl(it);
    }
    if (const auto* set = std::get_if<effect::set_parameter>(&it.effect);
        set != nullptr && (set->name == "role" || set->name == "session_authorization"))
        trusted_ = false;
    if (it.called.unknown_setting || std::ranges::find(it.called.settings, "role") != it.called.settings.end() ||
        std::ranges::find(it.called.settings, "session_authorization") != it.called.settings.end())
        trusted_ = false;
    if (std::holds_alternative<effect::prepare_transaction>(it.effect)) other_write(leave_reason::transaction);
    // Rows that come behind it tell by themselves.
    if (may_set_how_to_commit(it) && brings_rows()) other_write(leave_reason::settings);
}

// What else DDL may change, such as a column that goes with its type, is noticed by the rows.
void escort::heed_ddl(const sql::statement& it) {
    const bool of_anything = it.alters_any_table || it.unknown_tables || (ddl_ && ddl_of_.empty()) ||
                             ddl_of_.size() > mirror::keeper::most_doubts;
    for (const auto& each : it.tables)
        if (each.defined) ddl_of_.push_back({each.schema, each.name});
    ddl_ = ddl_ || of_anything || !ddl_of_.empty();
    if (of_anything) ddl_of_.clear();
}

std::optional<escort::manner> escort::mirrors(const sql::statement& it, const circumstances& now) {
    if (!active_ || !it.rows || !trusted_) return std::nullopt;
    const auto tables = books_.tables();
    const auto* const table = tables == nullptr ? nullptr : tables->find(it.rows->schema, it.rows->name);
    left_ = table == nullptr                  ? leave_reason::table
            : mirror::brings_ties(*table, it) ? leave_reason::ties
                                              : leave_reason::statement;
    if (left_ != leave_reason::statement || !mirror::takes(*table, it, role_)) return std::nullopt;
    // The server would keep all of their texts, on disk perhaps, for us to throw them away.
    if (it.rows->unbounded) left_ = leave_reason::too_large;
    if (it.rows->unbounded) return std::nullopt;
    const auto plan = strategy::decide(now.flags, now.facts, {{&table->name, 1}});
    if (plan.follower != strategy::follower_path::mirror) return std::nullopt;
    const bool ties = mirror::sets_ties(*table, it);
    // It may be the stream's after all.
    if (ties && plan.or_fail && now.away) return std::nullopt;
    manner how{.strip = true,
               .returning = it.has_returning,
               .or_fail = plan.or_fail,
               .sets_ties = ties,
               .table = it.rows->name};
    switch (it.rows->what) {
        case sql::row_write::operation::insert:
            how.what = it.has_on_conflict ? change::put : change::insert;
            break;
        case sql::row_write::operation::update:
            how.what = change::update;
            break;
        case sql::row_write::operation::remove:
            how.what = change::remove;
            break;
    }
    return how;
}

escort::text_and_shift escort::rewritten(std::string_view text, const sql::statement& it) {
    const auto hidden = mirror::hidden_column(it.rows->reference);
    // A blank in front: RETURNING* is one, too.
    const auto added = it.has_returning ? ' ' + hidden + ',' : " RETURNING " + hidden;
    const auto front = text.substr(0, it.rows->returning_at);
    // Of UTF-8; those that begin one.
    const auto begins = [](char byte) { return (static_cast<unsigned char>(byte) & 0xc0) != 0x80; };
    const auto characters = [&](std::string_view of) {
        return static_cast<std::uint32_t>(std::ranges::count_if(of, begins));
    };
    std::string made{front};
    made += added;
    made += text.substr(it.rows->returning_at);
    return {std::move(made), {characters(front), characters(added)}};
}

}  // namespace crossfade::proxy::frontend
