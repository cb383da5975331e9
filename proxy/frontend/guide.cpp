#include "proxy/frontend/guide.hpp"

#include <algorithm>

#include "lib/pgwire/diagnostics.hpp"
#include "lib/pgwire/message_types.hpp"
#include "lib/settings/turned.hpp"
#include "proxy/frontend/unnamed_use.hpp"
#include "proxy/frontend/whole_message.hpp"
#include "proxy/portrait/hearing.hpp"
#include "proxy/strategy/group_sides.hpp"

namespace crossfade::proxy::frontend {
namespace {

namespace said = pgwire::frontend;
namespace backend = pgwire::backend;
using pgwire::transaction_status;
using settings::side;
using strategy::carried_out;
using strategy::errand;
using strategy::intent;
using namespace std::chrono_literals;

constexpr std::size_t longest_names = 512;  // of a portal and a statement together
constexpr std::size_t most_targets = 1000;
// A session that could not go isn't asked again before; twice as long each time.
constexpr std::chrono::milliseconds first_pause{1000};
constexpr std::chrono::milliseconds longest_pause{60000};

constexpr std::string_view refusal =
    "DO $crossfade$ BEGIN RAISE EXCEPTION USING ERRCODE = 'XF009', "
    "MESSAGE = 'this READ ONLY transaction is on modern, where the statement would have another effect or find other "
    "rows', "
    "HINT = 'Try the transaction again, begin it without READ ONLY, or have hybrid_read_strategy: legacy for this "
    "tenant.'; END "
    "$crossfade$";

}  // namespace

// What is looked at together.
struct guide::request {
    intent what{};
    std::size_t size = 0;    // of the messages that were looked at, the last of which may not be there whole
    bool whole = false;      // up to its Query, Sync or FunctionCall
    bool flushed = false;    // the client waits for an answer in front of that
    bool cut = false;        // what follows has to be there before it can be looked at
    bool strange = false;    // it runs what was prepared before anybody listened
    bool extended = false;   // has messages that a Sync is to follow
    bool passes_by = false;  // a COPY's data, or a goodbye
    std::vector<std::shared_ptr<const void>> keeps{};  // what `what` leads to
};

void guide::take(settings::snapshot flags, strategy::session_facts session) {
    flags_ = std::move(flags);
    session_ = std::move(session);
    schemas_ = strategy::schemas_named(flags_->config);
    edition_.reset();
}

guide::step guide::look(std::string_view chunk, const usher::circumstances& now) {
    waits_ = false;
    if (looked_ > 0) return {.bytes = std::min(looked_, chunk.size())};
    if (now.where.idle()) start_.clear();
    // One unit at a time, so that it can be said again to legacy whatever becomes of modern.
    if (now.here != home && !amid_ && !now.where.quiet() && chunk.front() != said::terminate) {
        waits_ = true;
        return {.what = step::action::wait};
    }
    auto it = read_request(chunk, now);
    if (it.size == 0 && it.cut) return {};
    if (it.passes_by) return go_on(chunk, it, now);
    return now.where.idle() ? outside(chunk, it, now) : inside(chunk, it, now);
}

guide::step guide::outside(std::string_view chunk, request& it, const usher::circumstances& now) {
    const bool at_home = it.flushed || it.size > longest_text || it.what.what == errand::at_home;
    if (!it.whole && !at_home) return {};
    if (it.strange && prepared_.wants_to_learn() && now.here == home) {
        prepared_.learns();
        return {.what = step::action::learn};
    }
    auto place = at_home || !it.whole ? strategy::read_place{} : place_of(it, now);
    const bool reads = it.what.what == errand::read || it.what.what == errand::read_only;
    auto wanted = at_home ? home : !reads ? now.here : place.at_follower ? settings::other(home) : home;
    // Legacy couldn't be asked what modern fails: the way home makes the session the same on both again.
    const bool differs = now.here != home && !alike_ && it.what.what == errand::read;
    // Who has come back, or come too late, doesn't set out once more.
    if (differs || decided_ == home) wanted = home;
    if (wanted != now.here) {
        decided_ = wanted;
        return {
            .what = step::action::go, .replaces_unnamed = replaces_unnamed(chunk), .uses_unnamed = uses_unnamed(chunk)};
    }
    decided_.reset();
    if (wanted == home) place.at_follower = false;
    if (reads) read_ = place;
    return go_on(chunk, it, now);
}

guide::step guide::inside(std::string_view chunk, request& it, const usher::circumstances& now) {
    const auto pulled = now.here == home ? pull::none : pull_of(it, now);
    if (pulled != pull::none) return stray(chunk, it, pulled, now);
    // BEGIN, and then SET TRANSACTION READ ONLY.
    const bool may_go = now.here == home && it.whole && it.what.what == errand::read_only && now.where.quiet() &&
                        now.where.status() == transaction_status::in_transaction && start_.usable() &&
                        !start_.has_read();
    if (may_go && decided_ != home) {
        const auto place = place_of(it, now);
        if (place.at_follower) {
            decided_ = home;
            return {.what = step::action::go_again, .replaces_unnamed = replaces_unnamed(chunk)};
        }
        read_ = place;
    }
    decided_.reset();
    return go_on(chunk, it, now);
}

// What was there when the transaction began may be there no more: a copy of it has begun, say.
guide::pull guide::pull_of(const request& it, const usher::circumstances& now) {
    if (it.what.strays) return pull::strong;
    look_at_edition();
    auto pulled = pull::none;
    for (const auto* table : it.what.tables) {
        if (!table->read) continue;  // it is refused where it is
        if (strategy::is_postgresqls(table->schema, table->name))
            pulled = pull::weak;
        else if (!view_.seen(now.at) || !is_there(*table))
            return pull::strong;
    }
    // What it reads may be any of them, and as the transaction found it there: lag isn't looked at again.
    const auto is_there_too = [](const auto& each) { return each.ready && each.guarded && each.alike; };
    if (it.what.unknown) {
        if (!view_.seen(now.at) || !std::ranges::all_of(all_targets_, is_there_too)) return pull::strong;
        pulled = pull::weak;
    }
    if (!it.what.chains) return pulled;
    const auto place = placed(all_targets_, now);
    return place.at_follower ? pull::weak : pull::strong;
}

// To where it has its effect, with all that its transaction has said, if that can be said again.
guide::step guide::stray(std::string_view chunk, const request& it, pull how, const usher::circumstances& now) {
    const bool whole = it.whole && it.size <= chunk.size();
    if (!whole && !it.flushed && it.size <= longest_text) return {};
    const bool open = now.where.status() == transaction_status::in_transaction;
    if (open && start_.usable() && !std::exchange(stray_tried_, true))
        return {.what = step::action::go_again, .replaces_unnamed = replaces_unnamed(chunk)};
    stray_tried_ = false;
    if (!open) return go_on(chunk, it, now);  // it has failed, and so does this
    if (how == pull::weak) {
        start_.spoil();  // what can't be had isn't tried for each statement
        return go_on(chunk, it, now);
    }
    // Nothing can be sent in the place of a part of a unit: what the server skips behind an error would take that
    // along.
    if (!whole || amid_) return go_on(chunk, it, now);
    start_.spoil();
    return {.what = step::action::refuse, .bytes = it.size, .text = std::string{refusal}};
}

guide::step guide::go_on(std::string_view chunk, const request& it, const usher::circumstances& now) {
    looked_ = it.size;
    amid_ = !it.whole && (amid_ || it.extended);
    const auto there = chunk.substr(0, it.size);
    const bool at_home = now.here == home;
    alike_ = alike_ && !it.what.alters;
    const bool writes = at_home && it.what.may_write;
    wrote_ = wrote_ || writes;
    wrote_behind_ = wrote_behind_ || (writes && !now.where.quiet());
    if (!it.whole || there.size() < it.size) {
        start_.spoil();
    } else if (it.what.controls) {
        start_.add(there);
    } else if (there.front() == said::query && it.what.what == errand::read) {
        start_.pass_over(there);
    } else {
        start_.spoil();
    }
    unheard_ = !at_home && it.whole && there.size() == it.size && it.size <= longest_unit && now.where.idle();
    alone_ = now.where.idle();
    if (unheard_)
        unit_ = there;
    else
        unit_.clear();
    return {.bytes = std::min(it.size, chunk.size())};
}

// ---- What a unit is about

guide::request guide::read_request(std::string_view chunk, const usher::circumstances& now) {
    request made;
    while (!made.whole && !made.flushed && made.size < chunk.size()) {
        const auto left = chunk.substr(made.size);
        const auto size = left.size() < header_size ? 0 : size_of(left);
        if (size == 0 || !read_message(left, size, now.lexing, made)) {
            made.cut = true;
            break;
        }
        made.size += std::max(size, header_size);
        if (made.passes_by) break;
    }
    return made;
}

// False: more of it has to be there.
bool guide::read_message(std::string_view from, std::size_t size, sql::lexing how, request& into) {
    const char type = from.front();
    const bool has_text = type == said::query || type == said::parse;
    const bool has_name = has_text || type == said::bind || type == said::close;
    const bool too_long = has_text && size > longest_text;
    auto seen = std::min(size, has_text && !too_long ? size : longest_names);
    if (has_name && from.size() < seen) return false;
    // What is suspicious in it may come late.
    if (too_long) seen = std::min(size, from.size());
    pgwire::byte_reader body{from.substr(std::min(header_size, seen), seen - std::min(header_size, seen))};
    switch (type) {
        case said::query:
            into.whole = true;
            read_text(body.rest(), !too_long, how, carried_out::now, into);
            return true;
        case said::parse: {
            into.extended = true;
            const auto name = body.cstring();
            const auto text = body.failed() ? std::string_view{} : body.rest();
            const auto before = into.keeps.size();
            read_text(text, !too_long && !body.failed(), how, carried_out::later, into);
            const auto known = into.keeps.size() > before
                                   ? std::static_pointer_cast<const sql::understanding>(into.keeps.back())
                                   : nullptr;
            prepared_.remember(name, known_statements::only(known));
            // It stays, so that it is prepared where the session's state is; the other side is told when it comes.
            if (!name.empty()) into.what.alters = true;
            if (!name.empty()) into.what.what = errand::at_home;
            return true;
        }
        case said::bind: {
            into.extended = true;
            body.cstring();  // the portal
            const auto name = body.cstring();
            const auto found = body.failed() ? nullptr : prepared_.find(name);
            into.strange = into.strange || !found;
            add(into, found, carried_out::now);
            return true;
        }
        case said::close:
            into.extended = true;
            if (body.u8() == 'S' && !body.cstring().empty()) {
                into.what.what = errand::at_home;
                into.what.alters = true;
            }
            return true;
        case said::function_call:
            into.whole = true;
            into.what = intent::of_unknown();
            into.what.strays = true;
            return true;
        case said::sync:
            into.whole = true;
            return true;
        case said::flush:
            into.flushed = true;
            return true;
        case said::describe:
        case said::execute:
            into.extended = true;
            return true;
        default:
            into.passes_by = true;
            return true;
    }
}

void guide::read_text(std::string_view text, bool whole, sql::lexing how, carried_out when, request& into) {
    text = text.substr(0, text.find('\0'));
    const auto known = whole && sql::legible(text, how) ? notes_.statements.understand(text) : nullptr;
    const bool understood = known && *known;
    // What nobody knows of the session behind it keeps it where it is.
    if (!understood || text.size() + longest_names > portrait::hearing::longest_heard)
        into.what.strays = into.what.strays || portrait::is_suspicious(text, portrait::stands_in::query);
    if (!understood) return add(into, nullptr, when);
    into.keeps.push_back(known);
    if (when == carried_out::now) prepared_.remember_prepared_by(known);
    for (const auto& each : **known) strategy::add(into.what, each, when, by_name());
    // Several statements in one text: nobody says it in parts.
    if ((**known).size() > 1) into.what.controls = false;
}

void guide::add(request& to, const known_statements::statement& it, carried_out when) {
    if (it) {
        to.keeps.push_back(it);
        return strategy::add(to.what, *it, when, by_name());
    }
    to.what.what = errand::at_home;
    to.what.unknown = true;
    if (when == carried_out::now) to.what.alters = to.what.may_write = true;
    to.what.controls = false;
}

strategy::prepared_by_name guide::by_name() const {
    return [this](std::string_view name) { return prepared_.find(name); };
}

// ---- Where it may be answered

strategy::read_place guide::place_of(const request& it, const usher::circumstances& now) {
    if (it.what.what != errand::read && it.what.what != errand::read_only) return {};
    look_at_edition();
    std::vector<strategy::read_target> targets;
    for (const auto* table : it.what.tables) targets.push_back(target_of(*table));
    // What else it will read nobody knows.
    if (it.what.what == errand::read_only) targets.insert(targets.end(), all_targets_.begin(), all_targets_.end());
    return placed(targets, now);
}

strategy::read_place guide::placed(std::span<const strategy::read_target> targets, const usher::circumstances& now) {
    const auto place = strategy::place_of(targets, {.now = now.at,
                                                    .max_lag = flags_->config.proxy.max_read_lag,
                                                    .there = view_.there(now.at),
                                                    .fresh_to = view_.fresh_to(),
                                                    .last_write = last_write_,
                                                    .session_stays = now.at < tries_again_});
    if (place.why == strategy::fallback::own_writes || place.why == strategy::fallback::lag) view_.want_newer();
    return place;
}

void guide::look_at_edition() {
    const auto newest = view_.edition();
    if (edition_ == newest) return;
    edition_ = newest;
    tables_ = view_.tables();
    views_ = view_.views();
    unlike_ = view_.unlike();
    misshapen_ = view_.misshapen();
    shared_ = {view_.shared(side::legacy), view_.shared(side::modern)};
    targets_.clear();
    all_targets_.clear();
    const auto& scopes = flags_->config.flags;
    const auto of_scope = [&](std::string_view group) {
        const auto flags = scopes.resolve(group, session_.tenant);
        all_targets_.push_back({flags.hybrid_read_strategy, flags.migration_drift_tolerance, view_.whole()});
    };
    of_scope({});
    for (const auto& [group, ignored] : scopes.groups()) of_scope(group);
    for (const auto& [name, drift] : *tables_)
        if (drift > 0 || unlike_->contains(name) || misshapen_->contains(name))
            all_targets_.push_back(target_named(name));
}

const strategy::read_target& guide::target_of(const sql::table_use& table) {
    const auto name = table.schema + '.' + table.name;
    if (const auto known = targets_.find(name); known != targets_.end()) return known->second;
    if (targets_.size() >= most_targets) targets_.clear();
    strategy::read_target made;
    if (!table.schema.empty()) {
        made = target_named(name);
    } else {
        for (const auto& schema : schemas_)
            if (!made.ready) made = target_named(schema + '.' + table.name);
        // What search_path says isn't known, and is no matter where no other relation has the name.
        made.ready = made.ready && is_one_alone(table.name);
    }
    return targets_.emplace(name, made).first->second;
}

// Whether rows that are read by the name are legacy's.
bool guide::is_there(const sql::table_use& table) {
    const auto& of = target_of(table);
    return (of.ready && of.guarded && of.alike) || is_view_there(table);
}

// A view's rows are its tables', and which those are nobody looks up.
bool guide::is_view_there(const sql::table_use& table) const {
    if (!view_.whole()) return false;
    const auto known = [&](const std::string& schema) {
        const auto name = schema + '.' + table.name;
        return views_->contains(name) && !unlike_->contains(name) && !misshapen_->contains(name);
    };
    return table.schema.empty() ? is_one_alone(table.name) && std::ranges::any_of(schemas_, known)
                                : known(table.schema);
}

bool guide::is_one_alone(const std::string& name) const {
    return std::ranges::all_of(shared_, [&](const auto& names) { return names && !names->contains(name); });
}

strategy::read_target guide::target_named(std::string_view table) const {
    const auto& scopes = flags_->config.flags;
    const auto dot = table.find('.');
    const model::table_name name{std::string{table.substr(0, dot)}, std::string{table.substr(dot + 1)}};
    const auto flags = scopes.resolve(scopes.group_of(name), session_.tenant);
    const auto state = tables_->find(table);
    return {flags.hybrid_read_strategy, flags.migration_drift_tolerance,
            state != tables_->end(),    state == tables_->end() ? 0 : state->second,
            !unlike_->contains(table),  !misshapen_->contains(table)};
}

// ---- What became of it

void guide::became_alike() {
    alike_ = true;
    pause_ = {};
}

void guide::must_stay(instant at) {
    pause_ = std::clamp(2 * pause_, first_pause, longest_pause);
    tries_again_ = at + pause_;
    decided_ = home;
}

void guide::server_said(char type) {
    if (type == backend::error_response || type == backend::portal_suspended) start_.spoil();
}

void guide::settled(bool idle, instant at) {
    unit_.clear();
    unheard_ = false;
    if (!idle) return;
    amid_ = false;
    if (wrote_ && (!brought_ || wrote_behind_)) last_write_ = at;
    wrote_ = brought_ = wrote_behind_ = false;
    stray_tried_ = false;
}

guide::reply guide::weigh(std::string_view answer) {
    if (!may_say_again()) return reply::good;
    bool failed = false;
    bool over = false;
    for (std::size_t at = 0; !over && answer.size() - at >= header_size;) {
        const auto message = answer.substr(at);
        const auto size = size_of(message);
        if (size < header_size || size > message.size()) break;
        // Who has cancelled it, or set a time for it, wants no other answer.
        if (message.front() == backend::error_response)
            failed = pgwire::sqlstate_of(body_of(message.substr(0, size))) != pgwire::sqlstate::query_canceled;
        over = message.front() == backend::ready_for_query;
        at += size;
    }
    if (failed && over) return reply::bad;
    if (!over && answer.size() < longest_held) return reply::more;
    unheard_ = false;
    return reply::good;
}

}  // namespace crossfade::proxy::frontend
