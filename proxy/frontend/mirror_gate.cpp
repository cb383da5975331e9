#include "proxy/frontend/mirror_gate.hpp"

#include <algorithm>
#include <variant>
#include <vector>

#include "lib/pgwire/message_types.hpp"
#include "proxy/frontend/whole_message.hpp"

namespace crossfade::proxy::frontend {
namespace {

namespace effect = sql::effect;
using sql::statement_kind;

constexpr std::size_t longest_names = 256;  // of a portal and a statement together
constexpr std::size_t name_overhead = 64;
// A CommandComplete's tag; PostgreSQL's COMPLETION_TAG_BUFSIZE.
constexpr std::string_view committed{"COMMIT\0", 7};
constexpr std::size_t longest_tag = 64;

// Whether rows of the authority's tables may be others when it is committed.
bool changes_rows(const sql::statement& it) {
    switch (it.kind) {
        case statement_kind::read:
        case statement_kind::session:
            return it.calls_may_write;
        case statement_kind::transaction_control:
            return std::holds_alternative<effect::commit_prepared>(it.effect);
        case statement_kind::copy:
            return it.writes_rows || it.calls_may_write;
        case statement_kind::lock:
        case statement_kind::maintenance:
            return false;
        case statement_kind::write:
        case statement_kind::ddl:
        case statement_kind::execute:
        case statement_kind::other:
            return true;
    }
    return true;
}

// The tables that it writes, whatever their triggers do within their groups. Empty where that isn't certain: a name
// without a schema may be any table's, and so may rows that are written by a view's.
std::vector<model::table_name> written_by(const sql::statement& it, const mirror::write_targets* where) {
    if (where == nullptr || it.kind != statement_kind::write || it.unknown_tables || it.calls_may_write) return {};
    std::vector<model::table_name> written;
    for (const auto& table : it.tables) {
        if (!table.written) continue;
        const auto found = where->find({table.schema, table.name});
        if (found == where->end()) return {};
        written.push_back(found->second);
    }
    return written;
}

// Of what may write any table.
mirror_debt debt_of_any(const settings::in_force& flags, const strategy::session_facts& session) {
    return strategy::may_have_to_fail(flags, session) ? mirror_debt::or_fail : mirror_debt::mirror;
}

mirror_debt debt_of_one(const sql::statement& it, const settings::in_force& flags,
                        const strategy::session_facts& session, const mirror::write_targets* where) {
    if (!changes_rows(it)) return mirror_debt::none;
    // Tables that are made or changed are no rows yet, or brought by nobody.
    if (it.kind == statement_kind::ddl) return mirror_debt::mirror;
    const auto written = written_by(it, where);
    if (written.empty()) return debt_of_any(flags, session);
    const auto plan = strategy::decide(flags, session, {written});
    if (plan.follower != strategy::follower_path::mirror) return mirror_debt::none;
    return plan.or_fail ? mirror_debt::or_fail : mirror_debt::mirror;
}

}  // namespace

bool renames_prepared(const sql::statement& it) {
    return std::holds_alternative<effect::prepare>(it.effect) ||
           std::holds_alternative<effect::deallocate>(it.effect) || std::holds_alternative<effect::discard>(it.effect);
}

mirror_debt debt_of(const sql::understanding* known, const settings::in_force& flags,
                    const strategy::session_facts& session, const mirror::write_targets* where) {
    if (known == nullptr || !*known) return debt_of_any(flags, session);
    auto worst = mirror_debt::none;
    for (const auto& each : **known) worst = std::max(worst, debt_of_one(each, flags, session, where));
    return worst;
}

std::size_t mirror_gate::wanted_of_client(char type) const {
    switch (type) {
        case pgwire::frontend::query:
        case pgwire::frontend::parse:
            return longest_read;
        case pgwire::frontend::bind:
        case pgwire::frontend::close:
            return longest_names;
        default:
            return 0;
    }
}

void mirror_gate::client_said(char type, std::uint32_t length, std::string_view beginning,
                              const settings::in_force& flags, const strategy::session_facts& session,
                              sql::lexing how) {
    const auto missing = length - beginning.size();
    pgwire::byte_reader body{beginning};
    switch (type) {
        case pgwire::frontend::query:
            keep_calm("", false);
            if (may_write(beginning.substr(0, beginning.find('\0')), missing, flags, session, how)) wrote();
            return;
        case pgwire::frontend::parse: {
            const auto name = body.cstring();
            if (body.failed()) return forget_calm();
            const auto text = body.rest();
            keep_calm(name, !may_write(text.substr(0, text.find('\0')), missing, flags, session, how));
            return;
        }
        case pgwire::frontend::bind: {
            body.cstring();  // the portal
            const auto statement = body.cstring();
            if (body.failed() || !calm_.contains(statement)) wrote();
            return;
        }
        case pgwire::frontend::close: {
            const bool of_statement = body.u8() == 'S';
            const auto name = body.cstring();
            if (of_statement && !body.failed()) keep_calm(name, false);
            return;
        }
        case pgwire::frontend::function_call:
            return wrote();
        default:
            return;
    }
}

void mirror_gate::wrote() {
    wrote_ = true;
    ++writes_;
}

bool mirror_gate::may_write(std::string_view text, std::size_t missing, const settings::in_force& flags,
                            const strategy::session_facts& session, sql::lexing how) {
    const auto known = missing == 0 && sql::legible(text, how) ? notes_.statements.understand(text) : nullptr;
    const bool understood = known != nullptr && *known;
    if (!understood || std::ranges::any_of(**known, renames_prepared)) forget_calm();
    const auto where = books_ == nullptr ? nullptr : books_->targets();
    return debt_of(known.get(), flags, session, where.get()) != mirror_debt::none;
}

void mirror_gate::keep_calm(std::string_view statement, bool calm) {
    if (!calm || failed_) {
        if (const auto there = calm_.find(statement); there != calm_.end()) {
            kept_ -= there->first.size() + name_overhead;
            calm_.erase(there);
        }
    } else if (calm_.size() < most_names && calm_.emplace(statement, round_).second) {
        kept_ += statement.size() + name_overhead;
    }
}

void mirror_gate::server_said(char type) {
    // What followed may have been skipped, a Parse among it.
    if (type != pgwire::backend::error_response) return;
    std::erase_if(calm_, [this](const auto& each) {
        const bool goes = each.second == round_;
        if (goes) kept_ -= each.first.size() + name_overhead;
        return goes;
    });
    failed_ = true;
}

void mirror_gate::forget_calm() {
    calm_.clear();
    kept_ = 0;
}

mirror_gate::answer mirror_gate::look_for_answer(std::string_view chunk, std::size_t body_left,
                                                 bool ready_is_due) const {
    if (!wrote_) return {};
    const auto idle_at = [&](std::size_t at) {
        return chunk[at] == pgwire::backend::ready_for_query && chunk[at + header_size] == 'I';
    };
    for (auto at = std::min(body_left, chunk.size()); chunk.size() - at > header_size;) {
        const auto length = pgwire::byte_reader{chunk.substr(at + 1, 4)}.u32();
        const auto end = at + 1 + length;
        if (length < 4) return {};
        const bool open = at >= settled_;
        if (open && idle_at(at)) return {at, true};
        if (open && chunk[at] == pgwire::backend::command_complete && length <= 4 + longest_tag) {
            const bool may_commit = length == 4 + committed.size();
            // Nothing is due behind it where its client has asked with Flush.
            if (ready_is_due && end + header_size >= chunk.size()) return {at, false};
            if (ready_is_due && idle_at(end)) return {at, true};
            if (may_commit && end > chunk.size()) return {at, false};
            // Another transaction may have begun behind it: AND CHAIN, or BEGIN in the same text.
            if (may_commit && chunk.substr(at + header_size, committed.size()) == committed) return {at, true};
        }
        if (end > chunk.size()) return {};
        at = end;
    }
    return {};
}

void mirror_gate::answered(std::size_t bytes, bool quiet, bool idle) {
    settled_ -= std::min(settled_, bytes);
    if (quiet) {
        ++round_;
        failed_ = false;
    }
    if (!idle) return;
    wrote_ = false;
    settled_ = 0;
}

}  // namespace crossfade::proxy::frontend
