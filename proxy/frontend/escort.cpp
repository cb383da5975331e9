#include "proxy/frontend/escort.hpp"

#include <algorithm>
#include <bitset>
#include <variant>

#include "lib/pgwire/message_types.hpp"
#include "lib/pgwire/query_messages.hpp"
#include "lib/pgwire/session_status.hpp"
#include "proxy/frontend/hidden_column.hpp"
#include "proxy/frontend/mirror_gate.hpp"
#include "proxy/frontend/whole_message.hpp"

namespace crossfade::proxy::frontend {
namespace {

namespace effect = sql::effect;
namespace frontend = pgwire::frontend;
using mirror::leave_reason;

constexpr std::size_t longest_name = 256;  // of a portal

bool is_commit(const sql::statement& it) {
    return std::holds_alternative<effect::commit>(it.effect);
}

bool commits_now(const sql::statement& it) {
    return is_commit(it) && !std::get<effect::commit>(it.effect).chain;
}

// Whether the transaction that the text finds is committed by it, and not undone first.
bool commits_first(const sql::understanding& known) {
    for (const auto& each : *known)
        if (is_commit(each) || std::holds_alternative<effect::rollback>(each.effect)) return is_commit(each);
    return false;
}

bool begins_with(char type, std::string_view behind) {
    return behind.size() >= header_size && behind.front() == type && size_of(behind) <= behind.size();
}

// The portal to which what follows a statement's Parse binds it, if it is all there.
std::optional<std::string_view> portal_of(std::string_view statement, std::string_view behind) {
    if (!begins_with(frontend::bind, behind) || size_of(behind) > escort::longest_message) return std::nullopt;
    pgwire::byte_reader in{body_of(behind)};
    const auto portal = in.cstring();
    return in.cstring() == statement && !in.failed() ? std::optional{portal} : std::nullopt;
}

std::string_view behind_descriptions(std::string_view behind) {
    while (begins_with(frontend::describe, behind)) behind.remove_prefix(size_of(behind));
    return behind;
}

// Whether it is executed by what follows, likewise. A COMMIT that is held so early needs no answer of its own before
// the rows are written; one of which nobody says yet that it is to be carried out isn't held.
bool executes(std::string_view portal, std::string_view behind) {
    const auto next = behind_descriptions(behind);
    return begins_with(frontend::execute, next) && pgwire::byte_reader{body_of(next)}.cstring() == portal;
}

bool binds_and_executes(std::string_view statement, std::string_view behind) {
    const auto next = behind_descriptions(behind);
    const auto portal = portal_of(statement, next);
    return portal && executes(*portal, next.substr(size_of(next)));
}

std::string name_of_ours(unsigned number) {
    return "crossfade_" + std::to_string(number);
}

bool ends(const sql::statement& it) {
    const auto* rollback = std::get_if<effect::rollback>(&it.effect);
    return commits_now(it) || (rollback != nullptr && !rollback->chain);
}

}  // namespace

std::optional<escort::due::kind> escort::kind_of(char type) {
    switch (type) {
        case frontend::query:
            return due::kind::query;
        case frontend::sync:
            return due::kind::sync;
        case frontend::function_call:
            return due::kind::function_call;
        case frontend::parse:
            return due::kind::parse;
        case frontend::bind:
            return due::kind::bind;
        case frontend::describe:
            return due::kind::describe;
        case frontend::execute:
            return due::kind::execute;
        case frontend::close:
            return due::kind::close;
        default:
            return std::nullopt;
    }
}

escort::client_step escort::on_client(std::string_view from, const circumstances& now) {
    if (from.size() < header_size) return {.what = client_step::action::more};
    if (holds()) return hold();
    left_ = leave_reason::statement;
    const char type = from.front();
    const auto size = size_of(from);
    if (now.where.copying() != pgwire::copy_mode::none) return pass(size);
    if (!kind_of(type)) return pass(size);
    if (type == frontend::sync) return sync(from.substr(0, size), now);
    if (type == frontend::function_call && from.size() >= size && must_fail(nullptr, now))
        return fail_query(size, leave_reason::no_follower);
    if (type == frontend::function_call) {
        owe({due::kind::function_call});
        return pass(size);
    }
    if (size > longest_message) {
        const auto seen = header_size + longest_name;
        if (from.size() < seen) return {.what = client_step::action::more};
        return unread(type, from.substr(header_size, longest_name), size, now);
    }
    if (from.size() < size) return {.what = client_step::action::more};
    const auto message = from.substr(0, size);
    switch (type) {
        case frontend::query:
            return query(message, now);
        case frontend::parse:
            return parse(from, size, now);
        case frontend::bind:
            return bind(from, size, now);
        case frontend::describe:
            return describe(message);
        case frontend::execute:
            return execute(message, now);
        default:
            return close(message);
    }
}

escort::client_step escort::replace(std::size_t bytes, std::string_view types, bool mirrored) {
    types_ = types;
    return {client_step::action::replace, bytes, out_, types_, mirrored};
}

void escort::owe(due what) {
    if (what.what == due::kind::sync) skipping_ = false;
    if (!skipping_) due_.push_back(what);
}

// Of a transaction that has failed nothing is left.
bool escort::must_wait_to_commit(const pgwire::session_tracker& where) const {
    return active_ && !cleared_ && covered_ && !skipping_ && where.status() != pgwire::transaction_status::failed &&
           brings_rows();
}

bool escort::brings_rows() const {
    const auto asks_for_rows = [](const due& each) { return each.how.strip; };
    return batch_mirrors_ || !taken_.rows.empty() || std::ranges::any_of(due_, asks_for_rows);
}

escort::client_step escort::hold_commit() {
    phase_ = phase::settling;
    implicit_ = false;
    return hold();
}

void escort::settle_by_sync() {
    phase_ = phase::settling;
    implicit_ = true;
    flushed_ = true;
}

escort::client_step escort::make_up_for_unnamed() {
    out_ = std::exchange(unnamed_, {});
    owe({due::kind::parse, true});
    return replace(0, "P", false);
}

escort::client_step escort::unread(char type, std::string_view beginning, std::size_t size, const circumstances& now) {
    // What it is about may be anything, a DEALLOCATE too.
    prepared_.clear();
    if (!unnamed_.empty()) return make_up_for_unnamed();
    // A Query of that length has no Sync behind it that would end the skipping of it.
    if (must_fail(nullptr, now) && type == frontend::bind) return fail_batch(0, leave_reason::no_follower);
    if (type == frontend::bind) {
        const auto portal = pgwire::byte_reader{beginning}.cstring();
        if (const auto found = portals_.find(portal); found != portals_.end()) portals_.erase(found);
    }
    owe({*kind_of(type)});
    return pass(size);
}

escort::client_step escort::query(std::string_view message, const circumstances& now) {
    prepared_.erase("");
    portals_.erase("");
    unnamed_.clear();
    const auto text = pgwire::byte_reader{body_of(message)}.cstring();
    const auto known = understand(text, now.lexing);
    ends_explicitly_ = false;
    const auto* const it = only(known);
    if (it == nullptr) {
        if (must_fail(known.get(), now)) return fail_query(message.size(), leave_reason::no_follower);
        const bool ends_it = known != nullptr && *known && commits_first(*known);
        if (const auto why = ends_it ? must_not_commit(now) : std::nullopt) return fail_commit(message.size(), *why);
        // Nothing in it is known, or several at once.
        prepared_.clear();
        if (known != nullptr && *known)
            for (const auto& each : **known) {
                heed(each);
                // Whose answers can't be told from the others'.
                if (savepoint_step_of(each).what != savepoint_step::kind::nothing)
                    other_write(leave_reason::transaction);
            }
        owe({due::kind::query});
        return pass(message.size());
    }
    if (commits_now(*it) && must_wait_to_commit(now.where)) return hold_commit();
    if (const auto why = is_commit(*it) ? must_not_commit(now) : std::nullopt) return fail_commit(message.size(), *why);
    heed(*it);
    if (commits_now(*it) && cleared_) phase_ = phase::committing;
    ends_explicitly_ = ends(*it) && now.where.quiet() && now.where.status() != pgwire::transaction_status::idle;
    const auto how = now.where.quiet() && now.where.status() != pgwire::transaction_status::failed ? mirrors(*it, now)
                                                                                                   : std::nullopt;
    if (!how && must_fail(known.get(), now)) return fail_query(message.size(), leave_reason::no_follower);
    // Parameters have no place in a simple query, and are an error of another kind in the other.
    if (!how || text.find('$') != std::string_view::npos) {
        owe({due::kind::query, false, {.step = savepoint_step_of(*it)}});
        return pass(message.size());
    }
    const auto [sql, moved] = rewritten(text, *it);
    if (now.where.status() == pgwire::transaction_status::in_transaction) {
        out_ = pgwire::build_query(sql);
        owe({due::kind::query, false, *how, moved});
        return replace(message.size(), "Q", true);
    }
    // In a transaction of its own, which a simple query would end by itself.
    out_ = pgwire::build_parse("", sql) + pgwire::build_bind("", "", {});
    owe({due::kind::parse, true, {}, moved});
    owe({due::kind::bind, true});
    if (how->returning) {
        out_ += pgwire::build_describe(pgwire::named::portal, "");
        owe({due::kind::describe, false, *how});
    }
    out_ += pgwire::build_execute("", 0) + pgwire::build_flush();
    owe({due::kind::execute, false, *how, {}, true});
    settle_by_sync();
    return replace(message.size(), how->returning ? "PBDE" : "PBE", true);
}

escort::client_step escort::parse(std::string_view from, std::size_t size, const circumstances& now) {
    const auto message = from.substr(0, size);
    const auto asked = pgwire::parse_parse(body_of(message));
    if (!asked) {
        prepared_.clear();
        owe({due::kind::parse});
        return pass(size);
    }
    const auto known = understand(asked->sql, now.lexing);
    const auto* const it = only(known);
    if (it != nullptr && commits_now(*it) && binds_and_executes(asked->statement, from.substr(size)) &&
        must_wait_to_commit(now.where))
        return hold_commit();
    if (skipping_) return pass(size);
    const std::string name{asked->statement};
    const bool unnamed = name.empty();
    prepared_.erase(name);
    if (unnamed) unnamed_.clear();
    if (known == nullptr || !*known) prepared_.clear();
    auto how = it == nullptr || prepared_.size() >= most_prepared ? std::nullopt : mirrors(*it, now);
    if (unnamed && !portal_of({}, from.substr(size))) how.reset();
    auto& kept = prepared_[name];
    kept.text = known;
    kept.left = left_;
    kept.round = round_;
    if (!how) {
        owe({due::kind::parse});
        return pass(size);
    }
    const auto [sql, moved] = rewritten(asked->sql, *it);
    kept.hidden = unnamed ? 0 : free_number();
    // Of a statement that nobody knows any more there may be one by that name: connections outlive escorts.
    const auto name_of_it = name_of_ours(*kept.hidden);
    const auto ours =
        pgwire::build_close(pgwire::named::statement, name_of_it) + pgwire::build_parse(name_of_it, sql, asked->types);
    if (unnamed) {
        // Executed at once, and hardly ever again: the client's own has to be there only if it is.
        unnamed_ = message;
        out_ = ours;
        owe({due::kind::close, true});
        owe({due::kind::parse, false, {}, moved});
        return replace(size, "CP", false);
    }
    // The client's own is there, too, and is used whenever ours isn't.
    out_ = std::string{message} + ours;
    owe({due::kind::parse});
    owe({due::kind::close, true});
    owe({due::kind::parse, true});
    return replace(size, "PCP", false);
}

// So that no more of ours than `most_prepared` are ever on a connection.
unsigned escort::free_number() {
    std::bitset<most_prepared + 1> taken;
    for (const auto& [name, each] : prepared_)
        if (each.hidden) taken.set(*each.hidden);
    do serial_ = serial_ % most_prepared + 1;
    while (taken.test(serial_));
    return serial_;
}

escort::client_step escort::bind(std::string_view from, std::size_t size, const circumstances& now) {
    if (skipping_) return pass(size);
    const auto message = from.substr(0, size);
    pgwire::byte_reader in{body_of(message)};
    const std::string portal{in.cstring()};
    const auto name = in.cstring();
    const auto found = prepared_.find(name);
    const auto known = found == prepared_.end() ? known_statement{} : found->second;
    left_ = known.left;
    const auto* const it = only(known.text);
    const auto* const commit = it == nullptr ? nullptr : std::get_if<effect::commit>(&it->effect);
    if (commit != nullptr && executes(portal, from.substr(size)))
        if (const auto step = look_at_commit(*commit, now)) return *step;
    // Flags, tables and roles may be others than when it was prepared.
    const auto how = known.hidden ? mirrors(*it, now) : std::nullopt;
    if (name.empty() && !how && !unnamed_.empty()) return make_up_for_unnamed();
    if (!how && must_fail(known.text.get(), now)) return fail_batch(message.size(), leave_reason::no_follower);
    portals_[portal] = {};
    if (it != nullptr) portals_[portal].step = savepoint_step_of(*it);
    if (commit != nullptr) portals_[portal].commit = *commit;
    // It may be anything, a DEALLOCATE or a ROLLBACK TO too.
    if (it == nullptr && found == prepared_.end()) prepared_.clear();
    if (it == nullptr && (batch_mirrors_ || !taken_.rows.empty())) other_write(leave_reason::transaction);
    if (it != nullptr) heed(*it);
    if (it != nullptr && it->kind == sql::statement_kind::transaction_control) {
        ends_explicitly_ = ends(*it) && !batch_controls_ && !now.where.ready_is_due() &&
                           now.where.status() != pgwire::transaction_status::idle;
        batch_controls_ = true;
    }
    owe({due::kind::bind});
    auto made = how ? rebound(body_of(message), name_of_ours(*known.hidden)) : std::nullopt;
    if (!made) return pass(message.size());
    portals_[portal] = *how;
    out_ = std::move(*made);
    return replace(message.size(), "B", true);
}

escort::client_step escort::describe(std::string_view message) {
    pgwire::byte_reader in{body_of(message)};
    const bool of_statement = in.u8() == 'S';
    const auto name = in.cstring();
    if (of_statement && name.empty() && !unnamed_.empty()) return make_up_for_unnamed();
    manner how{};
    if (const auto found = portals_.find(name); !of_statement && found != portals_.end()) how = found->second;
    owe({due::kind::describe, false, how});
    return pass(message.size());
}

escort::client_step escort::execute(std::string_view message, const circumstances& now) {
    if (skipping_) return pass(message.size());
    pgwire::byte_reader in{body_of(message)};
    const auto portal = in.cstring();
    const auto most = in.u32();
    const auto found = portals_.find(portal);
    // It may have been bound when there were no rows.
    if (found != portals_.end() && found->second.commit)
        if (const auto step = look_at_commit(*found->second.commit, now)) return *step;
    if (found == portals_.end() || !found->second.strip) {
        owe({due::kind::execute, false, found == portals_.end() ? manner{} : found->second});
        return pass(message.size());
    }
    const auto& how = found->second;
    batch_mirrors_ = true;
    owe({due::kind::execute, false, how});
    if (most == 0 || how.returning) return pass(message.size());
    // A statement that returns nothing is carried out whole, whatever the limit is.
    out_ = pgwire::build_execute(portal, 0);
    return replace(message.size(), "E", true);
}

escort::client_step escort::close(std::string_view message) {
    pgwire::byte_reader in{body_of(message)};
    const bool of_statement = in.u8() == 'S';
    const auto name = in.cstring();
    owe({due::kind::close});
    if (!of_statement) {
        if (const auto found = portals_.find(name); found != portals_.end()) portals_.erase(found);
        return pass(message.size());
    }
    if (name.empty()) unnamed_.clear();
    const auto found = prepared_.find(name);
    if (found == prepared_.end()) return pass(message.size());
    const auto hidden = found->second.hidden;
    prepared_.erase(found);
    if (!hidden) return pass(message.size());
    out_ = std::string{message} + pgwire::build_close(pgwire::named::statement, name_of_ours(*hidden));
    owe({due::kind::close, true});
    return replace(message.size(), "CC", false);
}

escort::client_step escort::sync(std::string_view message, const circumstances& now) {
    const auto& where = now.where;
    const bool idle = where.status() == pgwire::transaction_status::idle;
    const bool mirrors = std::exchange(batch_mirrors_, false);
    const bool controls = std::exchange(batch_controls_, false);
    if (cleared_) phase_ = phase::committing;
    // Where the session stands is known only if nothing before this batch is still to be answered.
    const bool known = !where.ready_is_due();
    if (!active_ || !mirrors || !known || controls || !covered_ || !idle) {
        const bool may_commit = mirrors && !cleared_ && (!known || idle);
        if (may_commit && (!known || controls)) other_write(leave_reason::transaction);
        if (may_commit && would_be_late(now)) return fail_sync(message);
        owe({due::kind::sync});
        return pass(message.size());
    }
    out_ = pgwire::build_flush();
    settle_by_sync();
    return replace(message.size(), "", true);
}

void escort::other_write(leave_reason why) {
    wrote_ = true;
    if (covered_) why_ = why;
    covered_ = false;
    has_to_be_in_time_ = has_to_be_in_time_ || has_to_be_mirrored_;
    doubt_what_is_ahead();
}

// ---- What becomes of it

escort::errand escort::next() {
    if (phase_ == phase::settling && due_.empty() && covered_ && !has_known_tables()) other_write(leave_reason::table);
    if (ahead_.doubted) return errand::take_back;
    if (phase_ != phase::settling) return may_send_ahead() ? errand::send_ahead : errand::none;
    if (!due_.empty()) return std::exchange(flushed_, true) ? errand::none : errand::flush;
    if (failed_ || !covered_ || taken_.rows.empty()) return errand::proceed;
    phase_ = phase::writing;
    ahead_ = {};
    return errand::write;
}

// Of a table that is known otherwise by now the rows may be in the wrong columns. Who judges them looks out for that as
// long as it takes until that is known, which a transaction may outlast.
bool escort::has_known_tables() const {
    const auto tables = books_.tables();
    const mirror::table_facts* last = nullptr;
    for (const auto& each : taken_.rows) {
        if (each.table.get() == last) continue;
        last = each.table.get();
        if (tables == nullptr || tables->find(last->oid).get() != last) return false;
    }
    return true;
}

// With savepoints they may be undone in part, which is not worth following there. What is not answered yet may bring
// more, or an error.
bool escort::may_send_ahead() const {
    return taken_.rows.size() >= ahead_.rows + rows_worth_sending && !ahead_.doubted && !ahead_.none && active_ &&
           phase_ == phase::open && !cleared_ && covered_ && !failed_ && due_.empty() && savepoints_.empty();
}

void escort::sent_ahead(bool well) {
    ahead_ = {.rows = well ? taken_.rows.size() : 0, .none = !well};
}

escort::ahead escort::go_on(std::optional<leave_reason> why, bool away) {
    bool fails = why && has_to_be_mirrored_ && why != leave_reason::ties;
    if (why && !fails) other_write(*why);
    // Of what the stream is to bring. A COMMIT is looked at when it goes on.
    if (implicit_ && has_to_be_in_time_ && away && !failed_ && !fails) {
        fails = true;
        why = leave_reason::no_follower;
    }
    if (fails) commit_fails_ = why;
    on_follower_ = !why && phase_ == phase::writing;
    flushed_ = false;
    cleared_ = true;
    phase_ = implicit_ ? phase::committing : phase::open;
    if (!implicit_) return {};
    ahead made;
    if (fails) {
        made.bytes = failing_batch(*std::exchange(commit_fails_, std::nullopt));
        undone_ = true;
    }
    made.bytes += pgwire::build_sync();
    made.types = fails ? "CPBES" : "S";
    owe({due::kind::sync});
    return made;
}

std::size_t escort::kept_bytes() const {
    constexpr std::size_t each = 256;
    return out_.capacity() + answer_.capacity() + partial_.capacity() + complete_.capacity() + taken_bytes_ +
           unnamed_.capacity() + savepoints_.kept_bytes() + due_.size() * sizeof(due) +
           (prepared_.size() + portals_.size()) * each;
}

}  // namespace crossfade::proxy::frontend
