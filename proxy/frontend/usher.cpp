#include "proxy/frontend/usher.hpp"

#include <algorithm>

#include "lib/pgwire/message_types.hpp"
#include "lib/pgwire/query_messages.hpp"
#include "proxy/frontend/unnamed_use.hpp"
#include "proxy/frontend/whole_message.hpp"
#include "proxy/strategy/beginning.hpp"

namespace crossfade::proxy::frontend {
namespace {

namespace said = pgwire::frontend;
using pgwire::transaction_status;
using strategy::fit;
using strategy::footprint;
using namespace std::chrono_literals;

constexpr std::size_t longest_names = 512;  // of a portal and a statement together
// What only would be nicer there isn't tried again before.
constexpr auto pause_after_failure = 1000ms;

bool is_there(fit how) {
    return how == fit::read_there || how == fit::write_there || how == fit::maybe_there || how == fit::torn;
}

}  // namespace

struct usher::walk {
    std::string_view chunk;
    const circumstances& now;
    std::size_t start;  // what is in front may go on
    std::size_t next;   // what is between was looked at, and waits for what follows
    std::size_t unit;   // behind the last Query or Sync
    bool batch;         // at `next`
    std::optional<message> parsed{};
};

usher::step usher::look(std::string_view chunk, const circumstances& now) {
    waits_ = false;
    if (looked_ == 0 && now.where.idle()) {
        bound_ = batch_ = false;
        start_.clear();
    }
    if (looked_ == 0 && now.where.quiet()) open_ = now.where.status() != transaction_status::idle;
    if (looked_ >= chunk.size()) return {.bytes = chunk.size()};
    walk at{chunk, now, looked_, looked_, looked_, batch_};
    bool cut = false;
    while (at.next < chunk.size() && !cut) {
        const auto it = read(chunk.substr(at.next), now.lexing);
        cut = !it;
        if (!it) break;
        if (it->size < header_size) return {.bytes = chunk.size()};  // no message
        const auto how = fit_of(it->needs, now.here, sides_->home());
        const bool prepares = it->type == said::parse && is_there(how);
        if (prepares && !at.parsed) at.parsed = *it;
        // What is only prepared may be carried out anywhere later, but for who waits for the answer in between.
        const bool waits_for_it = it->type == said::flush && at.parsed;
        if (prepared_.wants_to_learn() && (it->asks || prepares) && now.where.idle() && at.start == 0) {
            prepared_.learns();
            return {.what = step::action::learn};
        }
        if (waits_for_it)
            if (auto made = decide(at, *at.parsed, fit_of(at.parsed->needs, now.here, sides_->home()))) return *made;
        if (it->asks && is_there(how))
            if (auto made = decide(at, *it, how)) return *made;

        at.next += it->size;
        const bool ends_unit = it->type == said::query || it->type == said::sync || it->type == said::function_call;
        if (ends_unit || it->type == said::flush) at.parsed.reset();
        if (ends_unit) at.unit = at.next;
        at.batch = !ends_unit && (at.batch || it->asks || it->type == said::parse || it->type == said::describe ||
                                  it->type == said::close || it->type == said::execute);
        if (it->asks && it->needs.only_reads()) {
            const auto before = at.next - it->size;
            commit(at, before);
            if (!bound_) start_.pass_over(chunk.substr(before, it->size));
            skip(at);
        }
        const bool binds = it->asks && !it->needs.only_reads() && (how != fit::indifferent || !it->needs.repeatable);
        bound_ = bound_ || binds;
        if (bound_ || it->type == said::flush) commit(at, at.next);
        if (it->asks) control(it->needs);
        if (ends_unit && bound_ && !open_) {
            // Unless something has begun a transaction that its text doesn't tell.
            start_.spoil();
            bound_ = false;
        }
    }
    const auto waiting = at.next - at.start;
    // It won't be seen in time what is bound.
    if (waiting > longest_wait && at.parsed)
        if (auto made = decide(at, *at.parsed, fit_of(at.parsed->needs, now.here, sides_->home()))) return *made;
    if ((!at.batch && !cut) || waiting > longest_wait) commit(at, at.next);
    return go_on(at);
}

usher::step usher::go_on(walk& at) const {
    return {.bytes = std::min(at.start, at.chunk.size())};
}

void usher::commit(walk& at, std::size_t up_to) {
    if (!bound_ && up_to > at.start) start_.add(at.chunk.substr(at.start, up_to - at.start));
    if (!bound_ && up_to > at.chunk.size()) start_.spoil();
    looked_ = at.start = up_to;
    batch_ = at.batch && up_to != at.unit;
}

// Goes on, and isn't among what would be said again.
void usher::skip(walk& at) {
    looked_ = at.start = at.next;
    batch_ = at.batch;
}

void usher::control(const footprint& it) {
    if (it.begins || it.ends) open_ = it.begins;
    if (!it.ends) return;
    start_.clear();
    bound_ = it.begins;
}

std::optional<usher::step> usher::decide(walk& at, const message& it, fit how) {
    const auto& where = at.now.where;
    const bool writes = how == fit::write_there;
    if (how == fit::torn) return refuse(at, it, how);
    if (batch_ && at.unit > at.start) {  // another one has begun since
        commit(at, at.unit);
        return go_on(at);
    }
    if (batch_) return writes ? refuse(at, it, how) : std::nullopt;
    if (at.start > 0) return go_on(at);
    if (!where.quiet()) {
        waits_ = true;
        return step{.what = step::action::wait};
    }
    const bool outside = where.idle();
    if (!outside && where.status() != transaction_status::in_transaction) {
        // It has failed, unless what comes first helps it.
        if (at.unit == at.start) return std::nullopt;
        commit(at, at.unit);
        return go_on(at);
    }
    // Where it reads next need not be the newest, once it has read anything.
    const bool may = outside || (!bound_ && start_.usable() && (writes || !start_.has_read()));
    const bool in_vain = !stays_.empty() || (!writes && at.now.at < tries_again_);
    if (may && !in_vain)
        return step{.what = outside ? step::action::go : step::action::go_again,
                    .replaces_unnamed = replaces_unnamed(at.chunk)};
    if (writes) return refuse(at, it, how);
    stays_.clear();
    return std::nullopt;
}

// All of the batch that hasn't gone on, up to its Sync: the answer to a simple query is then what a client expects of
// the batch, whose error skips the rest of it. Where a Flush asks for an answer before, the database's fence gives it.
std::optional<usher::step> usher::refuse(walk& at, const message& it, fit how) {
    if (at.unit > at.start) commit(at, at.unit);
    if (at.start > 0) return go_on(at);
    const step refusal{.what = step::action::refuse, .bytes = it.size, .text = raising(it, how, at.now)};
    if (it.type == said::query) return it.size > at.chunk.size() ? std::nullopt : std::optional{refusal};
    std::size_t end = 0;
    while (at.chunk.size() > end && at.chunk.size() - end >= header_size) {
        const char type = at.chunk[end];
        end += size_of(at.chunk.substr(end));
        if (type == said::flush || type == said::query || type == said::function_call) return std::nullopt;
        if (type == said::sync) return step{.what = refusal.what, .bytes = end, .text = refusal.text};
    }
    if (at.chunk.size() > longest_text) return std::nullopt;
    return step{};
}

void usher::refused() {
    bound_ = true;
    batch_ = false;
    stays_.clear();
}

void usher::server_said(char type) {
    if (type == pgwire::backend::error_response || type == pgwire::backend::portal_suspended) start_.spoil();
}

void usher::must_stay(std::string why, std::chrono::steady_clock::time_point at) {
    stays_ = std::move(why);
    tries_again_ = at + pause_after_failure;
}

// ---- What a message is about

// Nothing: more of it has to be there.
std::optional<usher::message> usher::read(std::string_view from, sql::lexing how) {
    if (from.size() < header_size) return std::nullopt;
    message made{.type = from.front(), .size = size_of(from)};
    const bool has_text = made.type == said::query || made.type == said::parse;
    const auto seen = has_text && made.size <= longest_text ? made.size : std::min(made.size, longest_names);
    if ((has_text || made.type == said::bind) && from.size() < seen) return std::nullopt;
    if (made.size < header_size) return made;
    pgwire::byte_reader body{from.substr(header_size, seen - std::min(seen, header_size))};
    switch (made.type) {
        case said::query: {
            const auto text = body.rest();
            made.asks = true;
            made.needs = of_text(text.substr(0, text.find('\0')), seen == made.size, how, made);
            break;
        }
        case said::parse: {
            const auto name = body.cstring();
            const auto text = body.failed() ? std::string_view{} : body.rest();
            made.needs = of_text(text.substr(0, text.find('\0')), seen == made.size && !body.failed(), how, made);
            prepared_.remember(name, made.only);
            break;
        }
        case said::bind: {
            body.cstring();  // the portal
            const auto name = body.cstring();
            made.asks = true;
            made.needs = of_prepared(body.failed() ? "" : name, made);
            break;
        }
        case said::function_call:
            made.asks = true;
            made.needs = footprint_of(static_cast<const sql::understanding*>(nullptr), *sides_, by_name());
            break;
        default:
            break;
    }
    return made;
}

footprint usher::of_text(std::string_view text, bool whole, sql::lexing how, message& into) {
    std::shared_ptr<const sql::understanding> known;
    if (whole && sql::legible(text, how))
        known = sql::with_names_in_utf8(notes_.statements.understand(text), how.names);
    into.only = known_statements::only(known);
    prepared_.remember_prepared_by(known);
    into.keeps = known;
    auto made = footprint_of(known.get(), *sides_, by_name());
    if (known || !how.ascii_is_itself) return made;
    // Rows are often written by one long text; what else is in it is left to the fence.
    auto target = strategy::written_first(text);
    if (!target) return made;
    target->schema = sql::name_in_utf8(target->schema, how.names);
    target->name = sql::name_in_utf8(target->name, how.names);
    auto as_if = std::make_shared<sql::statement>();
    as_if->kind = sql::statement_kind::write;
    as_if->tables.push_back(std::move(*target));
    into.keeps = into.only = as_if;
    return footprint_of(*as_if, *sides_, by_name());
}

footprint usher::of_prepared(std::string_view name, message& into) const {
    const auto found = by_name()(name);
    into.keeps = found;
    return found ? footprint_of(*found, *sides_, by_name())
                 : footprint_of(static_cast<const sql::understanding*>(nullptr), *sides_, by_name());
}

strategy::prepared_lookup usher::by_name() const {
    return [this](std::string_view name) { return prepared_.find(name); };
}

}  // namespace crossfade::proxy::frontend
